"""Learning in parts, and going on from a state."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_digits

from backhand import MLPClassifier, MLPRegressor
from backhand.train.state import TrainState
from backhand.train.stopping import Best

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16.0, y[:300]


def learn_in_parts(ours, calls, **settings):
    """An estimator, and its weights and `stopped_` after each call."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    model = ours(hidden_layer_sizes=(16,), early_stopping=True, random_state=0, **settings)
    extra = {"classes": np.arange(10)} if ours is MLPClassifier else {}
    seen = []
    for call in range(calls):
        some = slice(300 + call % 5 * 200, 500 + call % 5 * 200)
        model.partial_fit(X[some], y[some], X_val=X[:300], y_val=y[:300], **extra)
        seen.append(([w.copy() for w in model.coefs_], model.stopped_))
    return model, seen, (X, y)


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_partial_fit_stops_early_at_the_best_weights(ours):
    settings = {"learning_rate_init": 0.05, "n_iter_no_change": 3, "dtype": "float64"}
    model, seen, (X, y) = learn_in_parts(ours, 90, **settings)
    stopped = [stop for _, stop in seen]
    calls = stopped.index(True) + 1
    assert all(stopped[calls:])
    scores = model.validation_scores_
    assert len(scores) == len(model.validation_loss_curve_) == len(model.loss_curve_) == calls
    best = max(scores)
    assert model.best_validation_score_ == best
    assert model.score(X[:300], y[:300]) == pytest.approx(best, rel=1e-9)
    kept = seen[scores.index(best)][0]
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, kept, strict=True))
    # each call is the epoch that it is without early stopping
    plain = ours(hidden_layer_sizes=(16,), random_state=0, learning_rate_init=0.05, dtype="float64")
    extra = {"classes": np.arange(10)} if ours is MLPClassifier else {}
    for call in range(3):
        some = slice(300 + call * 200, 500 + call * 200)
        plain.partial_fit(X[some], y[some], **extra)
        assert all(map(np.array_equal, plain.coefs_, seen[call][0]))
    # it goes on if early stopping is off
    model.set_params(early_stopping=False).partial_fit(X[:300], y[:300])
    assert not hasattr(model, "stopped_")
    assert not np.array_equal(model.coefs_[0], kept[0])


@pytest.mark.parametrize(
    ("scores", "kept"),
    [  # with tol=0.1 and three calls without an improvement allowed
        ([0.5, 0.4, 0.5, 0.55, 0.2], 4),  # a little better: kept, but no improvement
        ([0.5, 0.4, 0.4, 0.4, 0.75, 0.7, 0.8, 0.1, 0.2], 7),  # an improvement just in time
        ([0.0, 0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6], 4),  # of equals the first is kept
    ],
)
@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_parts_stop_after_the_fourth_call_in_a_row_that_was_no_improvement(ours, scores, kept):
    left = iter(scores)
    settings = {"tol": 0.1, "n_iter_no_change": 3, "scoring": lambda *_: next(left)}
    model, seen, _ = learn_in_parts(ours, len(scores), **settings)
    assert [stop for _, stop in seen] == [False] * (len(scores) - 1) + [True]
    assert model.validation_scores_ == scores
    assert model.best_validation_score_ == scores[kept - 1]
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, seen[kept - 1][0], strict=True))


def test_stopping_in_parts_survives_a_file_and_begins_anew_after_a_fit(tmp_path):
    settings = {"learning_rate_init": 0.05, "n_iter_no_change": 3}
    model, _, (X, y) = learn_in_parts(MLPClassifier, 90, **settings)
    judged = {"X_val": X[:300], "y_val": y[:300]}
    model.save(tmp_path / "model.safetensors")
    same = MLPClassifier.load(tmp_path / "model.safetensors")
    assert same.stopped_
    before = same.coefs_[0].copy()
    same.partial_fit(X[300:], y[300:], **judged)
    assert np.array_equal(same.coefs_[0], before)
    model.set_params(max_iter=2).fit(X[300:], y[300:], **judged)
    assert not hasattr(model, "stopped_")
    best = Best(2.0, waited=99, params=model._fitted.state.best.params)
    state = dataclasses.replace(model._fitted.state, best=best)  # of a fit that had waited long
    model._fitted = dataclasses.replace(model._fitted, state=state)
    model._fitted.course.best_validation_score_ = 2.0  # and scored by other rows
    model.partial_fit(X[300:], y[300:], **judged)
    assert not model.stopped_
    assert model.best_validation_score_ == model.score(X[:300], y[:300])
    # a course that has not stopped keeps its best weights in a file
    model.save(tmp_path / "model.safetensors")
    same = MLPClassifier.load(tmp_path / "model.safetensors")
    for one in (model, same):
        one.partial_fit(X[300:], y[300:], **judged)
    assert same.best_validation_score_ == model.best_validation_score_
    assert np.array_equal(
        same._fitted.state.best.params["w1"], model._fitted.state.best.params["w1"]
    )


def test_a_callback_stops_learning_in_parts():
    model, seen, _ = learn_in_parts(MLPClassifier, 3, callbacks=lambda progress: True)
    assert [stop for _, stop in seen] == [True] * 3
    assert len(model.loss_curve_) == 1


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_rows_to_judge_parts_by(ours):
    X, y = load_digits(return_X_y=True)
    extra = {"classes": np.arange(10)} if ours is MLPClassifier else {}
    with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
        ours(early_stopping=True).partial_fit(X, y, **extra)
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        ours(early_stopping=True).partial_fit(X, y, X_val=X, **extra)
    with pytest.raises(ValueError, match="they need early_stopping=True"):
        ours().partial_fit(X, y, X_val=X, y_val=y, **extra)
    with config_context(enable_metadata_routing=True):
        asked = ours().set_partial_fit_request(X_val=True, y_val=True, sample_weight_val="w")
        requests = asked.get_metadata_routing().partial_fit.requests
    assert (requests["X_val"], requests["sample_weight_val"]) == (True, "w")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
        {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5},
        {"dropout": 0.3, "schedule": "cosine", "clip_norm": 0.5},
        {"early_stopping": True, "n_iter_no_change": 4},
        {"early_stopping": True, "warm_start": True, "n_iter_no_change": 1},
        {"warm_start": True, "max_iter": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_from_the_state_as_arrays_and_json_it_goes_on_with_the_same_bits(settings, engine):
    X, y = digits()
    model = MLPClassifier((11,), random_state=5, max_iter=20, engine=engine).set_params(**settings)
    judged = {"X_val": X[:50], "y_val": y[:50]} if model.early_stopping else {}

    def go_on(model, parts):
        for _ in range(parts):
            if model.warm_start:
                model.fit(X, y, **judged)
            else:
                model.partial_fit(X, y, classes=np.arange(10), **judged)
        return model

    go_on(model, 3)
    other = copy.deepcopy(model)
    kept = other._fitted.state
    text = json.dumps(kept.described())
    state = TrainState.restored(kept.tensors(), json.loads(text))
    other._fitted = dataclasses.replace(other._fitted, state=state)
    for a, b in zip(go_on(model, 3).coefs_, go_on(other, 3).coefs_, strict=True):
        assert np.array_equal(a, b)
    assert model.loss_curve_ == other.loss_curve_
    assert model.validation_scores_ == other.validation_scores_
