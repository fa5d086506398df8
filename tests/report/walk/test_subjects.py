from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from backhand import InputError, MLPRegressor, Network
from backhand.export import Model
from backhand.report.walk.subjects import MOST_ROWS, OTHERS, cells_of, of_table

from .conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_programs_answer_as_the_model(walked, kind):
    """A single network, in float64: as near as float32 allows, in the units of the answers."""
    model, rows, _, subject, _ = walked(kind)
    assert len(subject.values) <= MOST_ROWS
    assert subject.rows_in_all == len(rows)
    some = rows.iloc[subject.numbers] if hasattr(rows, "iloc") else rows[subject.numbers]
    part = subject.parts[0]
    program = part.program(part.network, part.params)
    found = program.answers(subject.prepared(program))
    if kind in ("several", "regression"):
        member = next(
            m
            for m in model.model_.members
            if set(m.params) == set(part.params)
            and all(np.array_equal(m.params[k], part.params[k]) for k in m.params)
        )
        x = model.model_.preparation.apply(some)
        wanted = member.predictions(x)
    else:
        wanted = model.predict_proba(some)
    wanted = np.reshape(wanted, (len(some), -1))
    atol = 2e-4 * np.abs(wanted).max()
    np.testing.assert_allclose(
        found.reshape(len(some), -1)[:, -wanted.shape[1] :], wanted, atol=atol
    )


def test_each_kind_of_network_comes_first(walked):
    model, *_, subject, _ = walked("several")
    kinds = {member.kind for member in model.model_.members}
    shapes = [tuple(part.params) for part in subject.parts[: len(kinds)]]
    assert len(set(shapes)) == len(kinds)


def test_cells(walked):
    *_, subject, _ = walked("several")
    part = subject.parts[0]
    program = part.program(part.network, part.params)
    values = np.array(subject.values[:1])
    names = [column.name for column in program.columns]
    values[0, names.index("b")] = np.nan
    values[0, names.index("day")] = 18262.25
    (row,) = cells_of(program, values)
    assert row[names.index("b")] is None
    assert row[names.index("day")] == "2020-01-01T06:00:00"
    assert row[names.index("few")] in ("red", "green", "blue")
    values[0, names.index("day")] = 18262.0
    values[0, names.index("few")] = -1
    values[0, names.index("many")] = -2
    (row,) = cells_of(program, values)
    assert row[names.index("day")] == "2020-01-01"
    assert {row[names.index("few")], row[names.index("many")]} == {None, OTHERS}


def test_what_cannot_be_explored(walked):
    model, rows, y, *_ = walked("digits")
    with pytest.raises(InputError, match="needs rows and their targets"):
        model.explore()
    with pytest.raises(InputError, match="they must be as many"):
        model.explore(rows=rows[:3], y=y[:2])
    with pytest.raises(InputError, match="there are no rows"):
        model.explore(rows=rows[:0], y=y[:0])
    with pytest.raises(InputError, match="a class that the model does not know"):
        model.explore(rows=rows[:2], y=[3, 11])
    table = walked("several")[0].model_
    with pytest.raises(InputError, match="they must be as many"):
        of_table(table, walked("several")[1], np.zeros(3, int))
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.warns(ConvergenceWarning):
        two = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(x, x)
    with pytest.raises(InputError, match="a walk is of one target"):
        two.explore(rows=x, y=x[:, 0])


def test_a_network_that_is_too_large():
    network = Network((1000, 900, 1))
    model = Model(network, network.init("kaiming_normal"), "regression")
    with pytest.raises(InputError, match=r"901,801 parameters.*2\.9 MB"):
        model.explore(rows=np.ones((3, 1000)), y=[1.0, 2.0, 3.0])
