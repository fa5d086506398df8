"""scikit-learn's callbacks see what a fit does, and a fit is the same with them."""

from __future__ import annotations

import importlib.util
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backhand import InputError, MLPClassifier, MLPRegressor

BOTH = (MLPClassifier, MLPRegressor)
AVAILABLE = importlib.util.find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not AVAILABLE, reason="scikit-learn before 1.9")
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = quiet


class Notes:
    """A callback that notes each hook; it ends the task number `last`."""

    def __init__(self, last: int = -1) -> None:
        self.hooks: list[tuple[str, str]] = []
        self.seen: list[dict] = []
        self.contexts: list = []
        self.last = last

    def setup(self, estimator, context):
        self.hooks.append(("setup", ""))

    def teardown(self, estimator, context):
        self.hooks.append(("teardown", ""))

    def on_fit_task_begin(self, estimator, context):
        self.hooks.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.hooks.append(("end", context.task_name))
        self.contexts.append(context)
        self.seen.append({"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator})
        return context.parent is not None and context.task_id == self.last


class Spread(Notes):
    """One that meta-estimators hand on."""

    max_propagation_depth = None


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("kind", BOTH)
def test_set_callbacks_is_there_where_scikit_learn_has_it(kind):
    assert hasattr(kind(), "set_callbacks") is AVAILABLE


@needs_callbacks
@pytest.mark.parametrize("kind", BOTH)
def test_each_epoch_is_a_task_of_the_fit(kind):
    X, y = iris()
    notes = Notes()
    model = kind(hidden_layer_sizes=(4,), max_iter=3, random_state=0).set_callbacks(notes)
    model.fit(X, y)
    epoch = [("begin", "epoch"), ("end", "epoch")]
    assert notes.hooks == [
        ("setup", ""),
        ("begin", "fit"),
        *epoch * 3,
        ("end", "fit"),
        ("teardown", ""),
    ]
    assert notes.contexts[-1].max_subtasks == 3
    assert not hasattr(model, "_callback_fit_ctx")


@needs_callbacks
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_watching_changes_no_weight(solver):
    X, y = iris()
    plain = MLPClassifier((4,), solver=solver, max_iter=5, random_state=0)
    watched = clone(plain).set_callbacks(Notes()).fit(X, y)
    plain.fit(X, y)
    assert all(map(np.array_equal, plain.coefs_, watched.coefs_))


@needs_callbacks
def test_iterations_of_lbfgs_are_tasks_and_each_that_begins_ends():
    X, y = iris()
    for max_iter in (1, 4, 500):  # the last converges
        notes = Notes()
        model = MLPClassifier((4,), solver="lbfgs", max_iter=max_iter, random_state=0)
        model.set_callbacks(notes).fit(X, y)
        assert notes.hooks.count(("begin", "iteration")) == notes.hooks.count(("end", "iteration"))
        real = [note for note in notes.seen[:-1] if note["fitted"] is not None]
        assert len(real) == model.n_iter_
        assert np.array_equal(real[-1]["fitted"].predict(X), model.predict(X))


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_that_returns_true_ends_training(solver):
    X, y = iris()
    notes = Notes(last=1)
    model = MLPClassifier((4,), solver=solver, max_iter=20, random_state=0).set_callbacks(notes)
    assert model.fit(X, y).n_iter_ == 2


@needs_callbacks
@pytest.mark.parametrize("early", [False, True])
def test_the_fitted_estimator_is_what_a_fit_that_ended_there_returns(early):
    X, y = iris()
    labels = np.array(["one", "two", "three"])[y]
    notes = Notes()
    settings = {"random_state": 0, "early_stopping": early, "n_iter_no_change": 50}
    model = MLPClassifier((4,), max_iter=6, **settings).set_callbacks(notes)
    model.fit(X, labels, sample_weight=np.ones(len(X)))
    for epochs, note in enumerate(notes.seen[:-1], 1):
        alone = MLPClassifier((4,), max_iter=epochs, **settings).fit(X, labels)
        assert np.array_equal(note["fitted"].predict_proba(X), alone.predict_proba(X))
        assert np.array_equal(note["y"], labels)
        assert set(note["metadata"]) == {"sample_weight"}
    assert np.array_equal(notes.seen[-1]["fitted"].predict(X), model.predict(X))


@needs_callbacks
@pytest.mark.parametrize("kind", BOTH)
def test_partial_fit_is_one_task_without_parts(kind):
    X, y = iris()
    notes = Notes()
    model = kind(hidden_layer_sizes=(4,), random_state=0).set_callbacks(notes)
    extra = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    model.partial_fit(X, y, **extra)
    assert notes.hooks == [("setup", ""), ("begin", "fit"), ("end", "fit"), ("teardown", "")]
    assert notes.contexts[0].max_subtasks == 0


@needs_callbacks
def test_callbacks_are_torn_down_when_a_fit_fails():
    X, y = iris()
    notes = Notes()
    model = MLPRegressor(
        hidden_layer_sizes=(4,), solver="sgd", learning_rate_init=1e30, random_state=0
    )
    with pytest.raises(InputError):
        model.set_callbacks(notes).fit(X * 1e10, y)
    assert notes.hooks[-1] == ("teardown", "")
    assert not hasattr(model, "_callback_fit_ctx")


@needs_callbacks
def test_pipelines_and_searches_hand_callbacks_on():
    X, y = iris()
    spread = Spread()
    make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2, random_state=0)).set_callbacks(
        spread
    ).fit(X, y)
    assert spread.hooks.count(("end", "epoch")) == 2
    path, context = [], next(c for c in spread.contexts if c.task_name == "epoch")
    while context is not None:
        path.append(context.estimator_name)
        context = context.parent
    assert path == ["MLPClassifier", "MLPClassifier", "Pipeline"]

    spread = Spread()
    search = GridSearchCV(MLPClassifier((4,), max_iter=2, random_state=0), {"alpha": [0, 1]}, cv=2)
    search.set_callbacks(spread).fit(X, y)
    assert spread.hooks.count(("end", "epoch")) == 2 * (2 * 2 + 1)
    assert spread.hooks.count(("setup", "")) == spread.hooks.count(("teardown", "")) == 1


@needs_callbacks
def test_scikit_learns_own_callbacks_work(capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    X, y = iris()
    scores = ScoringMonitor(scoring="accuracy")
    model = MLPClassifier((4,), max_iter=4, random_state=0).set_callbacks(scores, ProgressBar())
    model.fit(X, y)
    data = scores.get_logs()
    data = (data[0] if isinstance(data, list) else data).data
    assert data[-1]["accuracy"] == model.score(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out


@needs_callbacks
def test_callbacks_go_into_clones_and_pickles():
    X, y = iris()
    model = MLPClassifier((4,), max_iter=2, random_state=0).set_callbacks(Notes())
    notes = clone(model)._skl_callbacks[0]
    clone(model).fit(X, y)
    assert notes.hooks.count(("end", "epoch")) == 2
    assert len(pickle.loads(pickle.dumps(model))._skl_callbacks) == 1
