"""Memory begins on a cache line."""

from __future__ import annotations

import pytest

from backhand.run.llvm import tuning
from backhand.run.llvm.runtime.memory import aligned


@pytest.mark.parametrize("shape", [(), (1,), (3, 5)])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_aligned(shape, dtype):
    a = aligned(shape, dtype)
    assert (a.shape, a.dtype) == (shape, dtype)
    assert a.ctypes.data % tuning.CACHE_LINE == 0
    assert not a.any()
