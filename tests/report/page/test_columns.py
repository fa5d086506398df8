from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import partial_dependence

from backhand.report.page.columns import column_page, dependence


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
def test_what_matters_comes_first(subject, kind):
    found = column_page(subject(kind))
    assert [one.column for one in found.importances[:2]] == ["a", "few"]
    by_name = {one.column: one for one in found.importances}
    assert set(by_name) == set(subject(kind).columns)
    noise = by_name["noise"]
    assert abs(noise.mean) < by_name["a"].mean / 5
    assert found.metric == ("RMSE" if kind == "regression" else "log-loss")
    assert found.dependences[0].column == "a"


def test_partial_dependence_is_that_of_scikit_learn(fitted):
    from backhand.report.page.subjects import of_table

    model, frame, y = fitted("regression")
    of = of_table(model.model_, frame, np.asarray(y))
    some = np.arange(len(of))
    found = dependence(of, "a", some)
    wanted = partial_dependence(
        model, frame, ["a"], custom_values={"a": np.array(found.at)}, kind="average", method="brute"
    )
    # float32 logits, and a mean of 300
    np.testing.assert_allclose(found.answers[:, 0], wanted["average"][0], rtol=1e-5, atol=1e-5)
    assert sum(bar[2] for bar in found.density) <= len(frame)
    assert found.at == sorted(found.at)


def test_of_categories_and_dates(subject):
    of = subject("several")
    some = np.arange(len(of))
    few = dependence(of, "few", some)
    assert sorted(few.at) == ["blue", "green", "red"]
    assert sum(few.density) == len(of)
    assert few.lines == of.labels
    np.testing.assert_allclose(few.answers.sum(axis=1), 1.0, rtol=1e-6)
    assert (few.low <= few.high).all()
    day = dependence(of, "day", some)
    assert day.labels[0].startswith("2020-")
    assert len(dependence(of, "many", some).at) == 10
