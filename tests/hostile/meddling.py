"""Callbacks of the user's that write into arrays or estimators while a fit goes on."""

from __future__ import annotations

from typing import Any

import numpy as np

from backhand import Rows, fit
from backhand.train.loop import TrainLoop

from .arguments import targets
from .ingredients import Dice, Given, UserError, plain
from .judge import Call, not_finite
from .network_calls import Calls, a_network, shown
from .sessions import Session, said
from .training_calls import descent, settings_shown

LARGE = 20_000  # rows whose memory is given back when they are resized


def training(dice: Dice, memory: Any) -> Calls:
    """A callback that changes the caller's arrays while `fit` reads them."""
    network = a_network(dice)
    how = dice.one(
        (
            "resize x",
            "resize t",
            "fill x",
            "indices",
            "indptr",
            "raise",
            "fit again",
            "other rows",
            "classes too large",
        )
    )
    big = how.startswith("resize")
    rows = LARGE if big else 30
    x = plain(dice, (rows, network.inputs)).astype(dice.one(("float32", "float64")))
    t = targets(Dice(0), memory, network, rows, 1e-9)
    t = np.array(t.truth, np.int64 if network.loss.by_row else np.float32)
    if how in ("indices", "indptr"):
        import scipy.sparse as sp

        x = sp.csr_array(np.where(np.abs(x) > 2, x, 0))
        big = False
    settings = descent(dice, dice.one(("llvm", "numpy")), epochs=3, batch_size=64, clip_norm=None)
    given = {"x": Given(x, x, f"{x.shape} {x.dtype}"), "t": Given(t, t, f"{t.shape} {t.dtype}")}

    def meddle(now: Any) -> None:
        if how == "raise":
            raise UserError("a callback's own")
        if how == "fit again":
            fit(network, network.init("kaiming_normal"), Rows(x, t), settings)
        elif how == "other rows":
            other = TrainLoop(network, now.params, settings, 5, state=now.state)
            other.epoch(Rows(x[:5], t[:5]))
        elif how in ("indices", "indptr"):
            getattr(x, how)[:] = dice.one((2**30, -5))
        elif how == "fill x":
            x[...] = np.nan
        elif how == "classes too large":
            t[...] = 10**6
        else:
            try:
                {"x": x, "t": t}[how[-1]].resize((1, 1), refcheck=False)
            except ValueError as error:  # NumPy's own: somebody holds its memory
                raise UserError(str(error)) from None

    def do(x: Any, t: Any) -> Any:
        return fit(
            network, network.init("kaiming_normal"), Rows(x, t), settings, callbacks=[meddle]
        ).params

    def check(result: Any) -> str:
        return not_finite(*result.values())

    yield Call(
        f"fit({shown(network)}, {settings_shown(settings)}) with a callback: {how}",
        do,
        given,
        check,
        harmless=False,
        modifies=True,
    )


def estimators(dice: Dice, memory: Any) -> Calls:
    """A callback that writes into the caller's arrays, or into the estimator itself."""
    session = Session(dice, memory)
    how = dice.one(
        (
            "resize X",
            "resize y",
            "fill X",
            "indices",
            "coefs",
            "set_params",
            "raise",
            "fit again",
            "predict",
        )
    )
    rows = 20_000 if how.startswith("resize") else 40
    X = plain(dice, (rows, 4)).astype(dice.one(("float32", "float64")))
    y = (
        (X[:, 0] > 0).astype(np.int64)
        if session.classifies
        else X[:, 0].astype(dice.one(("float32", "float64")))
    )
    if how == "indices":
        import scipy.sparse as sp

        X = sp.csr_array(np.where(np.abs(X) > 2, X, 0))
    model = session.kind(
        hidden_layer_sizes=dice.one(((6,), ())),
        max_iter=3,
        random_state=0,
        solver=dice.one(("sgd", "adam", "lbfgs")),
        engine=dice.one((None, "numpy")),
    )

    def meddle(_: Any) -> None:
        if how == "raise":
            raise UserError("a callback's own")
        if how in ("resize X", "resize y"):
            try:
                {"X": X, "y": y}[how[-1]].resize((1, 1), refcheck=False)
            except ValueError as error:
                raise UserError(str(error)) from None
        elif how == "fill X":
            X[...] = np.nan
        elif how == "indices":
            X.indices[:] = 2**30
        elif how == "coefs":
            model.coefs_ = [np.zeros((1, 1), np.int8)]
        elif how == "set_params":
            model.set_params(
                hidden_layer_sizes=(2000, 3), activation="tanh", solver="lbfgs", dtype="float64"
            )
        elif how == "fit again":
            session.kind(max_iter=1).fit(X, y)
        else:
            model.predict(X[:3])

    model.callbacks = [meddle]

    def check(_: Any) -> str:
        probe = np.ones((2, 4))
        answer = model.predict(probe)
        return not_finite(*model.coefs_, answer if answer.dtype.kind == "f" else 0)

    given = {"X": Given(X, 0, f"{X.shape} {X.dtype}"), "y": Given(y, 0, f"{y.shape} {y.dtype}")}
    yield Call(
        f"{said(model)}.fit with a callback: {how}",
        lambda X, y: model.fit(X, y),
        given,
        check,
        harmless=False,
        modifies=True,
    )
