"""Hostile sessions with an estimator: fits, parameters set between them, coefficients replaced.

Beside the estimator goes a twin: the array executor in float64 on the plain truth of what was
accepted. Where the twin cannot say what is right, it is None.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

from .arguments import inputs, weights
from .ingredients import Dice, Given, nothing, plain, shape_of, shaped
from .judge import Call, difference, differs, not_finite
from .network_calls import Calls
from .sessions import BETWEEN, LABELS, LIVE, SHOWN, Session, logits_of, said
from .training_calls import MODERATE


def sessions(dice: Dice, memory: Any) -> Calls:
    """Some calls on one estimator."""
    session = Session(dice, memory)
    steps = [
        fitting,
        fitting,
        fitting,
        setting,
        setting,
        predicting,
        predicting,
        predicting,
        replacing,
        copying,
    ]
    yield from fitting(session)
    for _ in range(dice.whole(1, 5)):
        yield from dice.one(steps)(session)


def parts(dice: Dice, memory: Any) -> Calls:
    """Several calls of `partial_fit`, between which parameters, targets or columns change."""
    session = Session(dice, memory)
    session.model.set_params(solver=dice.one(("sgd", "adam")), early_stopping=False)
    yield from fitting(session, in_parts=True)
    for _ in range(dice.whole(1, 3)):
        change = dice.one(("parameters", "parameters", "outputs", "columns", "labels"))
        if change == "parameters":
            yield from setting(session)
        elif change == "outputs":
            session.outputs = 3 - min(session.outputs, 2)
        elif change == "columns":
            session.columns += dice.one((-1, 1))
        else:
            session.labels = dice.one(list(LABELS))
        yield from fitting(session, in_parts=True)
        yield from predicting(session)


def fitting(session: Session, in_parts: bool = False) -> Calls:
    """`fit` or `partial_fit`; in parts, of arguments that mostly pass."""
    dice, model = session.dice, session.model
    incremental = in_parts or (dice.chance(0.5) and model.solver in ("sgd", "adam", "adamw"))
    rows = dice.one((1, 5, 23, 23))
    peril = dice.perils("X", "X", "y", "weight", "validation", "parameters")
    if in_parts:
        peril = dict.fromkeys(peril, 0.1)
    anew = not hasattr(model, "coefs_") or not (incremental or model.warm_start)
    given = {
        "X": inputs(dice, session.memory, rows, session.columns, peril["X"], anew),
        "y": session.targets(rows, peril["y"]),
        "weight": weights(dice, session.memory, rows, peril["weight"]),
    }
    if dice.chance(0.1) and not in_parts:
        model.early_stopping = True
        given["X_val"] = inputs(dice, session.memory, 9, session.columns, peril["validation"])
        given["y_val"] = session.targets(9, peril["validation"])
    fresh = session.fresh = not hasattr(model, "coefs_")
    several = len(shape_of(given["y"].value)) == 2 and session.classifies
    more = (
        {"classes": [0, 1, 2] if several else LABELS[session.labels]}
        if session.classifies and fresh
        else {}
    )

    def do(X: Any, y: Any, weight: Any, X_val: Any = None, y_val: Any = None) -> Any:
        extra = {} if "X_val" not in given else {"X_val": X_val, "y_val": y_val}
        if incremental:
            return model.partial_fit(X, y, weight, **more, **extra)
        return model.fit(X, y, weight, **extra)

    def check(_: Any) -> str:
        fault = not_finite(*model.coefs_, *model.intercepts_, model.loss_)
        return fault or twin_differs(session, given, incremental, more)

    text = f"{said(model)}.{'partial_fit' if incremental else 'fit'}({shown(more)})"
    if session.pending:
        text += f" after set_params({', '.join(sorted(session.pending))})"
    usual = (
        fresh and not model.early_stopping and not session.pending and not session.odd and rows > 4
    )
    easy = usual and _moderate(given) and not several and "X_val" not in given
    outcome = yield Call(text, do, given, check, session.state, harmless=easy)
    if outcome.kind == "result":
        session.pending, session.tampered, session.replaced = set(), False, False
        session.activation = (
            model.activation if fresh or not (incremental or model.warm_start) else None
        )
    if outcome.kind == "fault":
        session.twin, session.activation = None, None


def shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _moderate(given: dict[str, Given]) -> bool:
    for name, one in given.items():
        t = one.truth
        small = t is None or t.dtype.kind not in "fiu" or name == "weight"
        if not small and not (np.abs(t) <= MODERATE).all():
            return False
        if name == "weight" and t is not None and not t.min() > 1e-3 * t.max():
            return False
    return True


def twin_differs(session: Session, given: dict[str, Given], incremental: bool, more: Any) -> str:
    """Fit the twin too, and compare what both predict."""
    model = session.model
    goes_on = incremental or model.warm_start
    if session.fresh or not goes_on:
        session.twin = session.plain_model()
    elif session.twin is not None and session.pending - LIVE:
        session.twin = None
    odd = (
        type(model.random_state) is not int
        or model.dropout != 0
        or model.early_stopping
        or model.solver == "lbfgs"
        or model.clip_norm
    )
    if session.twin is None or odd or not _moderate(given) or session.tampered:
        session.twin = None
        return ""
    twin = session.twin
    X, y, weight = (given[name].truth for name in ("X", "y", "weight"))
    weight = None if given["weight"].value is None else weight
    if weight is not None and model.alpha > 0 and not 1e-3 < weight.max() < 1e3:
        session.twin = None  # the penalty, divided by such weights, is all that counts
        return ""
    try:
        with np.errstate(all="ignore"):
            twin.partial_fit(X, y, weight, **more) if incremental else twin.fit(X, y, weight)
    except Exception as error:
        return f"accepted, but plain arrays that mean the same are not: {error}"
    exact = model.coefs_[0].dtype == np.float64
    for number, (a, b) in enumerate(zip(model.coefs_, twin.coefs_, strict=True), 1):
        allowed = (1e-8 if exact else 2e-3) * (1 + np.abs(b).max()) + (
            0.9 if model.solver == "adam" else 0
        )
        if np.abs(b).max() < MODERATE and (
            fault := differs(a, b, allowed, "float32", f"coefs_[{number - 1}]")
        ):
            return fault
    return ""


def setting(session: Session) -> Calls:
    """`set_params` between two calls: it changes nothing before the next fit."""
    dice, model = session.dice, session.model
    often = ["hidden_layer_sizes"] * dice.chance(0.3)
    chosen = {
        name: dice.one(BETWEEN[name])
        for name in [*often, *dice.rng.choice(session.names(), dice.whole(1, 2), replace=False)]
    }
    before = session.state()

    def check(_: Any) -> str:
        now = session.state()
        return "" if now == before else f"set_params changed {difference(before, now)}"

    outcome = yield Call(
        f"{said(model)}.set_params({shown(chosen)})",
        lambda: model.set_params(**chosen),
        {},
        check,
        harmless=False,
    )
    session.pending |= chosen.keys()
    if outcome.kind == "fault":
        session.activation = None
    if session.twin is not None and not session.pending - LIVE:
        session.twin.set_params(
            **{n: v for n, v in chosen.items() if n not in ("threads", "callbacks")}
        )


def predicting(session: Session) -> Calls:
    """`predict` and its kin."""
    dice, model = session.dice, session.model
    rows = dice.one((1, 1, 4, 30))
    given = {"X": inputs(dice, session.memory, rows, session.columns)}
    ways = ["predict", "predict", "predictor", "score"]
    ways += (
        ["predict_proba", "decision_function", "predict_log_proba"] if session.classifies else []
    )
    way = dice.one(ways)
    if way == "score":
        given["y"] = session.targets(rows)
    activation = session.activation

    def do(X: Any, y: Any = None) -> Any:
        if way == "predictor":
            return model.predictor()(X)
        return model.score(X, y) if way == "score" else getattr(model, way)(X)

    def check(result: Any) -> str:
        if way == "predict_log_proba" or way == "score":
            return ""
        if (
            np.asarray(result).dtype.kind == "f"
            and (fault := not_finite(result))
            and way != "predictor"
        ):
            return fault
        if session.tampered or not isinstance(activation, str) or activation not in SHOWN:
            return ""
        z, allowed = logits_of(model, activation, given["X"].truth)
        if result.dtype == np.float32:
            allowed = allowed + 1e-6 * np.abs(z)
        if way == "predictor":
            return differs(result, z, allowed, str(model.coefs_[0].dtype))
        if way == "decision_function" or (way == "predict" and model.out_activation_ == "identity"):
            z = z[:, 0] if z.shape[1] == 1 else z
            return differs(result, z, allowed.reshape(z.shape), str(model.coefs_[0].dtype))
        return ""

    fits = given["X"].truth is not None and (np.abs(given["X"].truth) < MODERATE).all()
    easy = (
        fits
        and hasattr(model, "coefs_")
        and way not in ("score", "predictor")
        and not session.tampered
    )
    easy &= (
        getattr(model, "n_features_in_", 0) == session.columns
        and not session.pending
        and not hasattr(model, "feature_names_in_")
    )
    yield Call(f"{said(model)}.{way}(X)", do, given, check, session.state, harmless=easy)


def replacing(session: Session) -> Calls:
    """Coefficients of another dtype, shape or layout in the place of the fitted ones."""
    dice, model = session.dice, session.model
    if not getattr(model, "coefs_", None):
        return
    layer = dice.whole(0, len(model.coefs_) - 1)
    w = model.coefs_[layer]
    if session.tampered or not isinstance(w, np.ndarray):
        return
    how = dice.one(
        (
            "dtype",
            "shape",
            "layout",
            "nothing",
            "nan",
            "in place",
            "resize",
            "one layer less",
            "biases",
        )
    )
    if how == "dtype":
        model.coefs_[layer] = w.astype(
            dice.one(
                ("float16", "float64", "float32", "int8", "longdouble", "O", "complex64", ">f4")
            )
        )
    elif how == "shape":
        model.coefs_[layer] = np.zeros(shaped(dice, w.shape), w.dtype)
    elif how == "layout":
        model.coefs_[layer] = np.asfortranarray(w)[:, ::-1][:, ::-1]
    elif how == "nothing":
        model.coefs_[layer] = nothing(dice, w).value
    elif how == "nan":
        w[0, 0] = np.nan
    elif how == "in place":
        w *= 0.5
    elif how == "resize":
        model.coefs_[layer] = w.copy()
        session.predictions()
        model.coefs_[layer].resize((1, 1), refcheck=False)
    elif how == "one layer less":
        del model.coefs_[layer]
    else:
        model.intercepts_[layer] = model.intercepts_[layer].astype(
            dice.one(("float16", "float64", "int8", "O"))
        )
    session.twin = None
    right = how in ("layout", "in place")
    session.tampered, session.replaced = not right, True
    X = plain(dice, (dice.one((1, 5)), session.columns)).astype(dice.one(("float32", "float64")))
    way = dice.one(("predict", "predict", "predictor", "pickle", "save"))
    way = "predict" if way == "pickle" and how == "nothing" else way  # some cannot be pickled

    def do() -> Any:
        if way == "predictor":
            return model.predictor()(X)
        return (
            _copied(model, way, session.memory).predict(X)
            if way in ("pickle", "save")
            else model.predict(X)
        )

    def check(result: Any) -> str:
        if (
            how == "nan"
            or np.asarray(result).dtype.kind != "f"
            or (model.out_activation_ != "identity" and way != "predictor")
        ):
            return ""
        try:
            z, allowed = logits_of(model, session.activation, X)
        except Exception:
            if session.activation in SHOWN and model.n_features_in_ == session.columns:
                return f"accepted coefs_ that are none ({how})"
            return ""
        if z.dtype.kind != "f":
            return ""
        z, allowed = (
            a.reshape(np.shape(result)) if a.size == np.size(result) else a for a in (z, allowed)
        )
        return differs(result, z, allowed, "float32")

    yield Call(
        f"{said(model)} with coefs_[{layer}] replaced ({how}), then {way}",
        do,
        {},
        check,
        harmless=False,
    )


def _copied(model: Any, way: str, memory: Any) -> Any:
    import pathlib
    import tempfile

    if way == "pickle":
        return pickle.loads(pickle.dumps(model))
    if way == "deepcopy":
        return copy.deepcopy(model)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        model.save(path)
        return type(model).load(path)


def copying(session: Session) -> Calls:
    """A pickle, a deep copy or a file predicts what the model predicts."""
    model, way = session.model, session.dice.one(("pickle", "deepcopy", "save"))

    def do() -> Any:
        return _copied(model, way, session.memory)

    def check(made: Any) -> str:
        own = session.predictions()
        session.model = made
        others = session.predictions()
        session.model = model
        # replaced coefficients may be read by another executor, which rounds otherwise
        return (
            ""
            if own == others or session.replaced
            else f"the copy predicts {others}, the model {own}"
        )

    fitted = hasattr(model, "coefs_")
    outcome = yield Call(
        f"{said(model)}: {way}", do, {}, check if fitted else None, session.state, harmless=False
    )
    if outcome.kind == "result" and fitted:
        session.model = outcome.result
        session.twin = None
