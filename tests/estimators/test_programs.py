"""Programs of fitted estimators against the estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backhand import MLPClassifier, MLPRegressor
from backhand.export.programs import program_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(3).normal(size=(80, 5)).astype(np.float32)
TARGETS = {
    "two": (X[:, 0] > 0.2).astype(int),
    "texts": np.where(X[:, 0] > 0.2, "up", "down"),
    "three": np.digitize(X[:, 1], [-0.5, 0.5]),
    "one": np.full(80, 7),
    "several": (X[:, :3] > 0).astype(int),
}


@pytest.mark.parametrize("loss", ["log_loss", "focal"])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifiers(kind, loss, dtype):
    given = X.astype(dtype)
    model = MLPClassifier((6,), dtype=dtype, max_iter=5, random_state=0, loss=loss)
    model.fit(given, TARGETS[kind])
    program = program_of(model)
    fitted = model._fitted
    z = fitted.forward(given, fitted.params)
    near = np.concatenate([given, given * 1e-3])
    decided = program.decided(near)
    if kind == "several":
        np.testing.assert_array_equal(decided, model.predict(near))
    else:
        labels = np.array(program.decision.classes)
        np.testing.assert_array_equal(labels[decided], model.predict(near))
    assert program.answers(given).dtype == dtype
    # the compiled pass and NumPy's differ in the order of sums
    ulp = np.finfo(dtype).eps
    scale = 1 + np.abs(z).max()
    np.testing.assert_allclose(
        program.answers(given), model.predict_proba(given), atol=64 * ulp * scale
    )


def test_a_tiny_logit_decides_as_predict_does():
    model = MLPClassifier((), max_iter=1, random_state=0, dtype="float32").fit(X, TARGETS["two"])
    model.coefs_[0][:] = 1e-20
    model.intercepts_[0][:] = 0
    program = program_of(model)
    np.testing.assert_array_equal(program.answers(X), 0.5)
    np.testing.assert_array_equal(program.decided(X), model.predict(X))
    assert len(set(model.predict(X))) == 2


@pytest.mark.parametrize(
    ("loss", "more", "target"),
    [
        ("squared_error", {}, X[:, :1]),
        ("squared_error", {"out_activation": "softplus"}, X[:, :2]),
        ("quantiles:0.1,0.5,0.9", {}, X[:, 0]),
        ("poisson", {}, np.abs(X[:, 0])),
    ],
)
def test_regressors(loss, more, target):
    model = MLPRegressor(hidden_layer_sizes=(6,), loss=loss, max_iter=3, random_state=0, **more)
    y = target[:, 0] if target.shape[-1:] == (1,) else target
    program = program_of(model.fit(pd.DataFrame(X, columns=list("abcde")), y))
    assert program.feature_names == tuple("abcde")
    want = model.predict(pd.DataFrame(X, columns=list("abcde")))
    got = program.answers(X.astype(program.dtype))
    np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-4, atol=1e-5)
