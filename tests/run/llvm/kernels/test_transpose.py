"""Transposed copies, which write their part and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ..products import DTYPES, SIZES, TARGETS, compiled, matrix, padded


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_transposed_copies_write_exactly_their_part(rng, target, dtype):
    code = compiled(target, dtype)
    for _ in range(40):
        rows, columns = (int(n) for n in rng.choice(SIZES, 2))
        (r0, r1), (c0, c1) = (sorted(rng.integers(0, n + 1, 2).tolist()) for n in (rows, columns))
        source = matrix(rng, rows, columns, dtype)
        copy = np.full((columns, padded(rows)), 7, dtype)
        want = copy.copy()
        want[c0:c1, r0:r1] = source[r0:r1, c0:c1].T
        part = (r0, r1, c0, c1)
        code["transpose"](
            source.ctypes.data, source.shape[1], copy.ctypes.data, copy.shape[1], *part
        )
        np.testing.assert_array_equal(copy, want, err_msg=str((rows, columns, part)))
