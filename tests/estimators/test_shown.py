from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from backhand import MLPClassifier, MLPRegressor, TabularRegressor
from backhand.tabular.recipes import PIECES, Recipe

X = np.random.default_rng(0).normal(size=(60, 3))
RECIPE = Recipe((PIECES,), 0.25, ((10**9, 2, 32),))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "y", "told"),
    [
        (MLPClassifier(solver="lbfgs", max_iter=5), X[:, 0] > 0, "Fitted: 3-100-1, 501 parameters"),
        (MLPRegressor(solver="lbfgs", max_iter=5), X[:, 0], "Fitted: 3-100-1, 501 parameters"),
        (
            TabularRegressor(RECIPE, n_members=2),
            X[:, 0],
            "Fitted: 2 networks, from 60 rows",
        ),
    ],
    ids=["classifier", "regressor", "table"],
)
def test_a_notebook_shows_what_was_learned(model, y, told):
    before = clone(model)
    assert "Fitted:" not in before._repr_html_()
    model.fit(X, y)
    for text in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert text.count(told) == 1
        assert text.rstrip().endswith("</p>")
    assert repr(model) == repr(before)
