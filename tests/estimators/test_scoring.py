from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error, roc_auc_score
from sklearn.preprocessing import StandardScaler

from backhand import InputError, MLPClassifier, MLPRegressor
from backhand.train.callbacks import Progress

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = (MLPClassifier, MLPRegressor)
SETTINGS = {"max_iter": 12, "random_state": 0, "learning_rate_init": 0.02}


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def fitted(ours, X, y, weight=None, **settings):
    X_val, y_val = X[::3], y[::3]
    model = ours(early_stopping=True, **{**SETTINGS, **settings})
    return (
        model.fit(X[1::3], y[1::3], X_val=X_val, y_val=y_val, sample_weight_val=weight),
        X_val,
        y_val,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["two", "three", "labels", "numbers", "columns", "poisson"])
def test_the_validation_loss_is_scikit_learns(target, weighted):
    X, y = iris()
    weight = np.random.default_rng(0).uniform(0.1, 2, 50) if weighted else None
    y = {"two": y > 0, "labels": np.eye(3, dtype=int)[y], "columns": X[:, :2]}.get(target, y)
    ours = MLPClassifier if target in ("two", "three", "labels") else MLPRegressor
    extra = {"loss": "poisson"} if target == "poisson" else {}
    model, X_val, y_val = fitted(ours, X, y, weight, scoring="loss", **extra)
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == 12
    # the weights that are kept are those of the best epoch
    best = min(model.validation_loss_curve_)
    if ours is MLPRegressor:
        measure = mean_poisson_deviance if extra else mean_squared_error
        expected = measure(y_val, model.predict(X_val), sample_weight=weight) / 2
    elif target == "labels":
        p = model.predict_proba(X_val)
        columns = [log_loss(y_val[:, k], p[:, k], sample_weight=weight) for k in range(3)]
        expected = sum(columns)
    else:
        expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=weight)
    assert best == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_scorer_judges_the_weights_of_the_epoch(form, weighted):
    X, y = iris()
    names = np.array(["no", "yes"])[(y == 1).astype(int)]  # not to be told apart by a line
    weight = np.random.default_rng(0).uniform(0.1, 2, 50) if weighted else None
    model, X_val, y_val = fitted(MLPClassifier, form(X), names, weight, scoring="roc_auc")
    again = MLPClassifier(**SETTINGS)
    scores = []
    for epochs in range(1, 13):
        again.set_params(max_iter=epochs).fit(form(X)[1::3], names[1::3])
        p = again.predict_proba(X_val)[:, 1]
        scores.append(roc_auc_score(y_val, p, sample_weight=weight))
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-9)
    p = model.predict_proba(X_val)[:, 1]
    assert roc_auc_score(y_val, p, sample_weight=weight) == pytest.approx(max(scores), rel=1e-9)


@pytest.mark.parametrize("ours", BOTH)
def test_a_function_scores_and_the_best_weights_come_back(ours):
    X, y = iris()
    seen = []

    def score(estimator, X, y):
        assert np.array_equal(estimator.predict(X).shape, y.shape)
        seen.append(estimator.coefs_[0].copy())
        return 1.0 if len(seen) == 4 else 0.0

    model = ours(early_stopping=True, scoring=score, n_iter_no_change=3, **SETTINGS).fit(X, y)
    assert model.n_iter_ == 8  # three without an improvement are waited for after the fourth
    assert model.validation_scores_ == [0, 0, 0, 1, 0, 0, 0, 0]
    assert np.array_equal(model.coefs_[0], seen[3])


def test_a_table_with_column_names_is_judged_without_a_warning():
    frames = pytest.importorskip("pandas")
    X, y = iris()
    table = frames.DataFrame(X, columns=list("abcd"))
    model = MLPClassifier(early_stopping=True, scoring="f1_macro", **SETTINGS).fit(table, y)
    assert list(model.feature_names_in_) == list("abcd")


@pytest.mark.parametrize("ours", BOTH)
def test_a_score_that_nobody_knows(ours):
    X, y = iris()
    with pytest.raises(ValueError, match="accurracy"):
        ours(early_stopping=True, scoring="accurracy").fit(X, y)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("ours", BOTH)
def test_callbacks_see_the_course_and_end_it(ours, early):
    X, y = iris()
    course, others = [], []

    def watch(now: Progress) -> bool:
        course.append(now)
        return now.epoch == 5

    model = ours(early_stopping=early, callbacks=[watch, others.append], **SETTINGS).fit(X, y)
    assert model.n_iter_ == 5
    assert len(others) == 5
    assert [now.epoch for now in course] == [1, 2, 3, 4, 5]
    assert [now.loss for now in course] == model.loss_curve_
    if early:
        assert [now.validation_score for now in course] == model.validation_scores_
        assert [now.validation_loss for now in course] == model.validation_loss_curve_
    else:
        assert course[0].validation_score is course[0].validation_loss is None
        assert np.array_equal(course[-1].params["w1"], model.coefs_[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        course[0].loss = 0.0


def test_parameters_that_a_callback_changes_are_copies():
    X, y = iris()

    def spoil(now: Progress) -> None:
        for a in now.params.values():
            a[:] = np.nan

    for solver in ("adam", "lbfgs"):
        plain = MLPClassifier(solver=solver, **SETTINGS).fit(X, y)
        spoilt = MLPClassifier(solver=solver, callbacks=spoil, **SETTINGS).fit(X, y)
        assert np.array_equal(plain.coefs_[0], spoilt.coefs_[0])


@pytest.mark.parametrize("ours", BOTH)
def test_callbacks_of_lbfgs(ours, recwarn):
    X, y = iris()
    course = []

    def watch(now: Progress) -> bool:
        course.append(now)
        return now.epoch == 5

    targets = y if ours is MLPClassifier else X[:, :2]
    model = ours(solver="lbfgs", random_state=0, callbacks=watch).fit(X, targets)
    assert not recwarn  # it was told to stop, which is no failure to converge
    assert model.n_iter_ == 5
    assert course[-1].loss == pytest.approx(model.loss_, rel=1e-12)
    assert np.array_equal(course[-1].params["w1"], model.coefs_[0])
    assert course[0].loss > course[-1].loss


def test_a_callback_that_cannot_be_called():
    X, y = iris()
    with pytest.raises(InputError, match="callbacks must be functions, got 3"):
        MLPClassifier(callbacks=[print, 3]).fit(X, y)
    with pytest.raises(ValueError, match="callbacks"):
        MLPClassifier(callbacks="print").fit(X, y)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_fit_that_was_watched_can_be_copied(how):
    X, y = iris()
    model = MLPClassifier(early_stopping=True, scoring="accuracy", callbacks=id, **SETTINGS)
    other = how(model.fit(X, y))
    assert other.validation_scores_ == model.validation_scores_


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("ours", BOTH)
def test_lbfgs_stops_early_and_gives_the_best_weights(ours, own, recwarn):
    X, y = iris()
    X = np.hstack([X, np.random.default_rng(0).standard_normal((150, 30))])  # to be overfitted
    course, weights = [], []

    def watch(now: Progress) -> None:
        course.append(now)
        weights.append(now.params["w1"])

    settings = {"solver": "lbfgs", "early_stopping": True, "scoring": "loss", "alpha": 0.0}
    model = ours(callbacks=watch, random_state=0, **settings)
    model.fit(X[::2], y[::2], **({"X_val": X[1::2], "y_val": y[1::2]} if own else {}))
    assert not recwarn
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    best = int(np.argmax(model.validation_scores_))
    assert model.n_iter_ < 199
    assert model.validation_scores_[best] == model.best_validation_score_
    assert best < model.n_iter_ - 1  # it went on in vain
    assert [now.validation_score for now in course] == model.validation_scores_
    assert np.array_equal(weights[best], model.coefs_[0])


def test_early_stopping_of_lbfgs_is_scikit_learns_without_a_score_or_rows():
    X, y = iris()
    plain, early = (
        MLPClassifier(solver="lbfgs", early_stopping=early, random_state=0).fit(X, y)
        for early in (False, True)
    )
    assert np.array_equal(plain.coefs_[0], early.coefs_[0])
    assert not hasattr(early, "validation_scores_")
