from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.report.page.attributions import BASELINES, attribute
from backhand.report.page.sampling import drawn
from backhand.report.page.subjects import of_network


def test_of_a_linear_network_they_are_the_weights_times_the_way():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    network = Network((4, 1), loss="mean_squared_error", dtype="float64")
    params = network.init("kaiming_normal", 0)
    subject = of_network(network, params, x, x[:, 0], classes=None)
    found = attribute(subject, 7)
    others = drawn(len(x), BASELINES, seed=1)
    way = x[7] - x[others].mean(axis=0)
    np.testing.assert_allclose(found.by_input, way * params["w1"][:, 0], rtol=1e-7, atol=1e-9)
    assert abs(found.gap) < 1e-8
    assert found.adds_up


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
def test_contributions_add_up_to_the_answer(subject, kind):
    """With embedded codes, kinks, and networks that differ from row to row."""
    of = subject(kind)
    assert any(cells.codes for cells in of.columns.values())
    for row in range(0, len(of), 20):
        k = 0 if of.chosen is None else int(of.chosen[row])
        found = attribute(of, row, k)
        answer = of.predictions[row] if of.classes is None else of.predictions[row, k]
        assert found.answer == pytest.approx(answer, rel=1e-5)
        assert found.adds_up
        assert found.base + found.by_input.sum() + found.gap == pytest.approx(found.answer)


def test_a_column_that_says_nothing_does_nothing(subject):
    of = subject("regression")
    sizes = np.zeros(len(of.columns))
    for row in range(0, len(of), 10):
        by_input = attribute(of, row).by_input
        sizes += [abs(by_input[cells.places].sum()) for cells in of.columns.values()]
    by_name = dict(zip(of.columns, sizes, strict=True))
    assert by_name["noise"] < by_name["a"] / 5
