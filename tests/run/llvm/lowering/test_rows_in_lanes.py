"""A row in each lane: reductions go in the order that `rows` states."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.expr.trace import trace
from backhand.run.llvm import tuning
from backhand.run.llvm.machine.target import Target

from ..kernels.test_row_map import ROWS, WHOLE, run
from ..native_formulas import same_bits
from .test_rows import virtual_sum


@pytest.mark.parametrize("columns", range(1, 17))
def test_sums_and_largest_of_columns_in_the_stated_order(columns, monkeypatch):
    monkeypatch.setattr(tuning, "ROWS_IN_LANES_COLUMNS", 16)
    graph = trace(lambda xp, z: (xp.row_sum(z), xp.row_max(z)), [("z", "real")])
    z = np.random.default_rng(columns).standard_normal((ROWS, columns)).astype(np.float32)
    z[3, columns // 2], z[4] = np.nan, -np.inf
    ((sums, largest),) = run(graph, {"z": z}, columns, Target.host(), np.dtype("f4"), WHOLE)
    assert same_bits(sums[:ROWS, 0], np.array([virtual_sum(row) for row in z]))
    np.testing.assert_array_equal(largest[:ROWS, 0], z.max(1))
