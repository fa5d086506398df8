"""Column sums against additions one after another."""

from __future__ import annotations

import numpy as np
import pytest

from ..products import DTYPES, PAD, SIZES, TARGETS, compiled, matrix, padded


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_column_sums_go_in_the_order_of_the_rows(rng, target, dtype):
    code = compiled(target, dtype)
    for rows in SIZES:
        columns = int(rng.choice(SIZES))
        source = matrix(rng, rows, columns, dtype)
        first, out = rows // 3, np.full((1, padded(columns) + PAD), 7, dtype)
        place = (source.ctypes.data, source.shape[1], first, rows, 0, padded(columns))
        code["sum"](*place, out.ctypes.data, 0)
        want = np.zeros(columns, dtype)
        for row in source[first:, :columns]:
            want = want + row
        assert out[0, :columns].tobytes() == want.tobytes(), (rows, columns)
        assert (out[0, padded(columns) :] == 7).all()
