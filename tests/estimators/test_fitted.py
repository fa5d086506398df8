"""A fitted model is complete in itself, and a fit that fails leaves it as it was."""

from __future__ import annotations

import copy
import dataclasses
import gc
import inspect
import pickle
import weakref

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from backhand import InputError, MLPClassifier, MLPRegressor
from backhand.formulas.activations import ACTIVATIONS, Activation
from backhand.formulas.losses import LOSSES, Loss

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`"),
]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((230, 4))
NUMBERS = np.exp(0.5 * X[:, 0]) + 0.1
LABELS = np.array(["low", "mid", "top"])[np.digitize(X[:, 1], [-0.4, 0.4])]
COMPARED = np.char.add(LABELS, "er")
BOTH = {MLPRegressor: NUMBERS, MLPClassifier: LABELS}


def fitted(ours=MLPRegressor, parts=0, **settings):
    """A fitted model, by `fit` or by some parts."""
    model = ours(
        **{"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0, "tol": 0.0, **settings}
    )
    if not parts:
        return model.fit(X, BOTH[ours])
    extra = {"classes": np.unique(LABELS)} if ours is MLPClassifier else {}
    for _ in range(parts):
        model.partial_fit(X, BOTH[ours], **extra)
    return model


def params_of(model):
    """A fitted model's parameters as its network takes them."""
    weights = {f"w{number}": w for number, w in enumerate(model.coefs_, 1)}
    return weights | {f"b{number}": b for number, b in enumerate(model.intercepts_, 1)}


KEPT = ("TrainState", "Best")


def state(a):
    """An object's attributes as plain values, down to the bits of arrays."""
    if isinstance(a, np.ndarray):
        return a.dtype.str, a.shape, a.tobytes() if a.dtype != object else a.tolist()
    if isinstance(a, dict):
        return {key: state(value) for key, value in a.items()}
    if isinstance(a, (list, tuple)):
        return [state(value) for value in a]
    if type(a).__name__ in ("Fitted", "Classes", "Numbers", "Course", "LabelBinarizer", *KEPT):
        names = [f.name for f in dataclasses.fields(a)] if dataclasses.is_dataclass(a) else vars(a)
        # a trainer may have been given up for what was in it
        return {name: state(getattr(a, name)) for name in names if name != "live"}
    return a


# parameters that are set later ------------------------------------------------------------------

OTHERS = {
    "hidden_layer_sizes": (3, 3),
    "activation": ["tanh", "silu"],
    "solver": "lbfgs",
    "loss": "focal",
    "dtype": "float64",
    "engine": "numpy",
    "scoring": "loss",
    "out_activation": "softplus",
    "schedule": "cosine",
    "initialiser": "lsuv",
    "learning_rate": "adaptive",
    "batch_size": 3,
    "random_state": 7,
    "class_weight": "balanced",
}
"""Other values of parameters; the rest are numbers or switches."""


def other(name, value):
    if name in OTHERS:
        return "poisson" if name == "loss" and value == "squared_error" else OTHERS[name]
    if isinstance(value, bool):
        return not value
    return 5 if value is None else value / 2 + 0.25


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (ours, name)
        for ours in BOTH
        for name in inspect.signature(ours).parameters
        if name != "callbacks"
    ],
)
def test_a_parameter_that_is_set_later_changes_nothing(ours, name, tmp_path):
    model = fitted(ours)
    ask = model.predict_proba if ours is MLPClassifier else model.predict
    before, score = ask(X), model.score(X, BOTH[ours])
    model.set_params(**{name: other(name, model.get_params()[name])})
    model.save(tmp_path / "m")
    for same in (
        model,
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
        ours.load(tmp_path / "m"),
    ):
        ask = same.predict_proba if ours is MLPClassifier else same.predict
        np.testing.assert_array_equal(ask(X), before)
        assert same.score(X, BOTH[ours]) == score
        np.testing.assert_array_equal(same.predictor()(X), model.predictor()(X))
    assert not hasattr(clone(model), "coefs_")


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ({"loss": "poisson"}, {"loss": "squared_error"}),
        ({"loss": "squared_error"}, {"loss": "gamma"}),
        ({"out_activation": "softplus"}, {"out_activation": None}),
        ({"loss": "quantiles:0.1,0.9"}, {"loss": "squared_error"}),
        ({"loss": "binary_cross_entropy"}, {"loss": "huber"}),
    ],
)
def test_predictions_go_by_the_loss_of_the_fit(was, now):
    y = np.clip(NUMBERS, 0, 1) if was == {"loss": "binary_cross_entropy"} else NUMBERS
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=9, random_state=0, **was).fit(X, y)
    before = model.predict(X)
    model.set_params(**now)
    np.testing.assert_array_equal(model.predict(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)


def test_formulas_that_nobody_registered_go_into_pickles_and_not_into_files(tmp_path):
    mine = dataclasses.replace(ACTIVATIONS["silu"], name="mine")
    loss = dataclasses.replace(LOSSES["huber"], name="my_loss")
    model = fitted(activation=mine, loss=loss, out_activation=mine)
    before = model.predict(X)
    model.set_params(activation="relu", loss="squared_error", out_activation=None)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), before)
    loaded = pickle.loads(pickle.dumps(fitted(activation=ACTIVATIONS["silu"])))
    np.testing.assert_array_equal(loaded.predict(X), fitted(activation="silu").predict(X))
    with pytest.raises(InputError, match="cannot save activation="):
        model.save(tmp_path / "m")


# fits that fail ---------------------------------------------------------------------------------


class FailedError(Exception):
    """What a callback of these tests raises."""


def fail(*_):
    raise FailedError


def fail_late(now):
    if now.epoch == 3:
        raise FailedError


Y2 = np.stack([NUMBERS, NUMBERS], axis=1)
REFUSED = {  # parameters to set, arguments to replace
    "widths": ({"hidden_layer_sizes": (9,)}, {}),
    "depth": ({"hidden_layer_sizes": (6, 6)}, {}),
    "no hidden layer": ({"hidden_layer_sizes": ()}, {}),
    "activation": ({"activation": "rleu"}, {}),
    "activations": ({"activation": ["relu", "tanh"]}, {}),
    "solver": ({"solver": "adm"}, {}),
    "dropout": ({"dropout": [0.1, 0.1]}, {}),
    "engine": ({"engine": "abacus"}, {}),
    "schedule": ({"schedule": "cosin"}, {}),
    "divergence": ({"solver": "sgd", "learning_rate_init": 1e30}, {}),
    "callback": ({"callbacks": fail}, {}),
    "columns": ({}, {"X": X[:, :3]}),
    "names": ({}, {"X": "frame"}),
    "not finite": ({}, {"X": np.where(X > 2, np.inf, X)}),
    "beyond float32": ({}, {"X": np.where(X > 2, 1e39, X)}),
    "fewer targets": ({}, {"y": NUMBERS[:10]}),
    "targets of another kind": ({}, {"y": {MLPRegressor: Y2, MLPClassifier: (X > 0).astype(int)}}),
    "other targets": ({}, {"y": {MLPRegressor: NUMBERS * 1e39, MLPClassifier: COMPARED}}),
    "weights": ({}, {"sample_weight": np.zeros(len(X))}),
    "negative weights": ({}, {"sample_weight": -np.ones(len(X))}),
    "rows to judge by": ({"early_stopping": True}, {"X_val": X[:, :3], "y_val": "y"}),
    "targets to judge by": ({"early_stopping": True}, {"X_val": X, "y_val": Y2}),
    "score": ({"early_stopping": True, "scoring": "acuracy"}, {"X_val": X, "y_val": "y"}),
    "scorer": ({"early_stopping": True, "scoring": fail}, {"X_val": X, "y_val": "y"}),
}


@pytest.mark.parametrize("how", ["partial_fit", "warm_start", "fit"])
@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("ours", BOTH)
def test_a_fit_that_fails_leaves_everything_as_it_was(ours, reason, how):
    changes, given = REFUSED[reason]
    partial, settings = how == "partial_fit", {"warm_start": how == "warm_start"}
    settings["engine"] = "llvm" if ours is MLPClassifier else "numpy"
    model, again = (fitted(ours, 3 * partial, **settings) for _ in range(2))
    arguments = {"X": X, "y": BOTH[ours]}
    for name, value in given.items():
        value = value[ours] if isinstance(value, dict) else value
        arguments[name] = BOTH[ours] if isinstance(value, str) and value == "y" else value
    if reason == "names":
        frames = pytest.importorskip("pandas")
        model = clone(model).fit(frames.DataFrame(X, columns=list("abcd")), BOTH[ours])
        arguments["X"] = frames.DataFrame(X, columns=list("dcba"))
    before = state(vars(model))
    predicted = model.predict(X) if reason != "names" else None
    was = model.get_params()
    model.set_params(**changes)
    try:
        (model.partial_fit if partial else model.fit)(**arguments)
    except (ValueError, FailedError):
        pass
    else:
        assert how == "fit", "it should have been refused"
        return  # a fit from the beginning may take it
    model.set_params(**{name: was[name] for name in changes})
    assert state(vars(model)) == before
    if predicted is not None:
        np.testing.assert_array_equal(model.predict(X), predicted)
        go_on = ours.partial_fit if model.solver != "lbfgs" else ours.fit
        for m in (model, again):
            go_on(m, X, BOTH[ours])
        assert state(model.coefs_) == state(again.coefs_)
        assert model.loss_curve_ == again.loss_curve_


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_callback_that_fails_late_and_a_first_fit_that_fails_leave_nothing(solver):
    model = MLPRegressor(hidden_layer_sizes=(6,), solver=solver, callbacks=fail_late)
    with pytest.raises(FailedError):
        model.fit(X, NUMBERS)
    assert [name for name in vars(model) if name.endswith("_") or name.startswith("_")] == []
    model = fitted(solver=solver, warm_start=True)
    before = state(vars(model))
    with pytest.raises(FailedError):
        model.set_params(callbacks=fail_late).fit(X, NUMBERS)
    assert state(vars(model.set_params(callbacks=None))) == before


def test_what_a_fit_can_go_on_with_says_what_it_cannot():
    for name, how in (("fit", "set warm_start=False"), ("partial_fit", "call fit")):
        model = fitted(warm_start=True)
        message = rf"hidden_layer_sizes=\(9, 9\), but the network was fitted with \(6,\).*{how}"
        with pytest.raises(InputError, match=message):
            getattr(model.set_params(hidden_layer_sizes=(9, 9)), name)(X, NUMBERS)
        model.set_params(hidden_layer_sizes=6, loss="poisson")
        with pytest.raises(InputError, match=rf"'poisson' predicts by 'exp'.*'identity'.*{how}"):
            getattr(model, name)(X, NUMBERS)
        model.set_params(loss="quantiles:0.1,0.9")
        with pytest.raises(InputError, match="needs 2 outputs"):
            getattr(model, name)(X, NUMBERS)


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "tanh"},
        {"loss": "huber"},
        {"dtype": "float64"},
        {"dropout": 0.2},
        {"engine": "numpy"},
        {"threads": 1},
        {"solver": "sgd"},
        {"alpha": 0.5, "batch_size": 50},
    ],
)
@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_what_is_trained_next_is_what_predicts(changes, how):
    model = fitted(parts=2, warm_start=True, learning_rate_init=0.01)
    model.set_params(**changes)
    losses = [getattr(model, how)(X, NUMBERS).loss_ for _ in range(30)]
    assert losses[-1] < losses[0]
    net = model._fitted.network
    assert net.dtype == changes.get("dtype", "float32") == str(model.coefs_[0].dtype)
    assert net.activations[0].name == changes.get("activation", "relu")
    z = net.forward(params_of(model), X, engine="numpy")
    np.testing.assert_allclose(model.predict(X), z[:, 0], rtol=1e-4, atol=1e-4)


# coefficients that somebody replaces ------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        np.asfortranarray,
        lambda w: w.astype(np.float64),
        lambda w: w.astype(">f4"),
        lambda w: w[::-1][::-1],
        lambda w: w.tolist(),
        lambda w: np.lib.stride_tricks.as_strided(w.copy(), w.shape, w.copy().strides),
        sparse.csr_matrix,
        lambda w: w.astype(np.longdouble) * np.longdouble(10) ** 400,
        lambda w: w[:-1],
        lambda w: w.astype(complex),
        lambda w: w.astype(object),
        lambda w: w.astype(str),
        lambda w: None,
        lambda w: 3.0,
    ],
)
@pytest.mark.parametrize("ours", BOTH)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_coefficients_in_another_form_are_right_or_refused_in_one_line(ours, make, solver):
    model = fitted(ours, solver=solver)
    before = model.predict(X), model.predict(X[:1]), model.predictor()(X)
    model.coefs_[1] = make(model.coefs_[1])
    for how in (lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        same = how(model)
        message = None
        try:
            after = same.predict(X), same.predict(X[:1]), same.predictor()(X)
        except InputError as error:
            message = str(error)
        if message is not None:
            assert "coefs_" in message
            assert "w2" in message
            assert "\n" not in message
            continue
        for a, b in zip(before, after, strict=True):
            if a.dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            else:
                assert (a == b).mean() > 0.99


# nothing of the caller's is kept ----------------------------------------------------------------


@pytest.mark.parametrize("early", [False, True, "own rows"])
@pytest.mark.parametrize("form", ["float32", "float64", "sparse"])
@pytest.mark.parametrize("how", ["adam", "lbfgs", "warm_start"])
@pytest.mark.parametrize(("ours", "engine"), [(MLPClassifier, "llvm"), (MLPRegressor, "numpy")])
def test_no_row_is_kept_after_a_fit(ours, how, engine, form, early):
    seen = []  # a callback that keeps what it was told
    rows = sparse.csr_matrix(X) if form == "sparse" else X.astype(form)
    t = BOTH[ours].copy()
    weight = np.ones(len(X))
    own = {"X_val": rows.copy(), "y_val": t.copy(), "sample_weight_val": weight.copy()}
    model = ours(
        hidden_layer_sizes=(6,),
        solver="adam" if how == "warm_start" else how,
        warm_start=how == "warm_start",
        max_iter=2,
        engine=engine,
        early_stopping=bool(early),
        scoring="loss" if early else None,
        callbacks=seen.append,
    )
    for _ in range(1 + (how == "warm_start")):
        model.fit(rows, t, weight, **(own if early == "own rows" else {}))
    model.predict(own["X_val"])
    given = [rows, t, weight, *own.values()]
    watched = [weakref.ref(a.data if sparse.issparse(a) else a) for a in given]
    del rows, t, weight, own, given
    gc.collect()
    assert [a() is not None for a in watched] == [False] * len(watched)
    assert list(seen[-1].params) == ["w1", "b1", "w2", "b2"]


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize("ours", BOTH)
def test_no_row_is_kept_after_a_part(ours, engine):
    rows, t, weight = X.copy(), BOTH[ours].copy(), np.ones(len(X))
    extra = {"classes": np.unique(t)} if ours is MLPClassifier else {}
    model = ours(hidden_layer_sizes=(6,), engine=engine)
    model.partial_fit(rows, t, weight, **extra).partial_fit(rows, t, weight)
    watched = [weakref.ref(a) for a in (rows, t, weight)]
    del rows, t, weight
    gc.collect()
    assert [a() is not None for a in watched] == [False] * 3
    assert len(model.predict(X)) == len(X)


def test_the_record_of_a_fit_holds_no_trainer():
    assert fitted()._fitted.live == []
    assert len(fitted(parts=1)._fitted.live) == 1  # the next part goes on with it


def test_types_of_the_record():
    model = fitted(out_activation="softplus")
    assert isinstance(model._fitted.loss, Loss)
    assert isinstance(model._fitted.link, Activation)


@pytest.mark.parametrize("engines", [("numpy", "llvm"), ("llvm", "numpy")])
@pytest.mark.parametrize("copied", [lambda model: model, lambda m: pickle.loads(pickle.dumps(m))])
def test_the_environment_may_name_another_engine_after_the_fit(monkeypatch, engines, copied):
    monkeypatch.setenv("BACKHAND_ENGINE", engines[0])
    model = fitted(dtype="float64")
    monkeypatch.setenv("BACKHAND_ENGINE", engines[1])
    z = model._fitted.network.forward(params_of(model), X, engine="numpy")[:, 0]
    # both executors sum at most 6 products in another order
    np.testing.assert_allclose(copied(model).predict(X), z, rtol=1e-12, atol=1e-12)
    copied(model).partial_fit(X, NUMBERS).predict(X)
