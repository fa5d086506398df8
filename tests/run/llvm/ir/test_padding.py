"""Row strides: whole vectors, and never a multiple of a page."""

from __future__ import annotations

import pytest

from backhand.run.llvm import tuning
from backhand.run.llvm.ir.padding import PAD, padded, padded_columns


@pytest.mark.parametrize("itemsize", [4, 8])
def test_strides_hold_the_columns_in_whole_vectors_that_do_not_share_cache_sets(itemsize):
    for columns in range(1, 5000):
        wide, stride = padded_columns(columns), padded(columns, itemsize)
        assert columns <= wide < columns + PAD
        assert wide % PAD == stride % PAD == 0
        assert 0 <= stride - wide <= PAD
        assert stride * itemsize % tuning.PAGE
