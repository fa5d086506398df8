"""Random rows for programs: every kind of cell is among them."""

from __future__ import annotations

import numpy as np
from tests.export.programs import COLUMNS, table_program

from backhand import Network
from backhand.check.examples import EXAMPLES
from backhand.export.program import MISSING, OTHER, program_of_network
from backhand.export.samples import looked_up, sample_rows


def test_cells_are_numbers_dates_and_places_and_some_are_missing():
    rows = sample_rows(table_program(), 500)
    assert rows.shape == (500, len(COLUMNS))
    for column, values in zip(COLUMNS, rows.T, strict=True):
        if column.kind == "category":
            assert set(values) == {MISSING, OTHER, *range(len(column.values))}
        else:
            assert 0 < np.isnan(values).mean() < 0.3


def test_a_seed_gives_the_same_rows():
    a, b = (sample_rows(table_program(), 20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_columns_of_embeddings_hold_places_in_their_tables():
    layers, inputs = EXAMPLES["embedding"]
    network = Network(layers, inputs=inputs, loss="softmax_cross_entropy")
    program = program_of_network(network, network.init("lecun_normal"))
    assert looked_up(program) == {2: 4, 3: 2}
    rows = sample_rows(program, 100)
    assert set(rows[:, 2]) == {0, 1, 2, 3}
    assert set(rows[:, 3]) == {0, 1}
