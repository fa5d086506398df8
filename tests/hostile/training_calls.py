"""Hostile calls of training: `TrainConfig`, `fit` with callbacks, and `TrainLoop.epoch` by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from backhand import Rows, TrainConfig, fit
from backhand.train.loop import TrainLoop

from .arguments import inputs, parameters, targets, weights
from .ingredients import Dice, Given, plain, shape_of
from .judge import Call, differs, not_finite
from .network_calls import Calls, a_network, arrays_in, exact, shown

RATE = 0.01
MODERATE = 1e3  # numbers up to which a few steps of descent do not leave the float32 range


def descent(dice: Dice, engine: str, **more: Any) -> TrainConfig:
    """A few steps, with a rule whose steps go by the size of the gradient."""
    chosen = {
        "epochs": dice.whole(1, 3),
        "batch_size": dice.one((1, 3, 8, 64)),
        "optimiser": dice.one(("sgd", "momentum", "nesterov", "adam")),
        "l2": dice.one((0.0, 0.01)),
        "seed": dice.whole(0, 5),
        "shuffle": dice.chance(0.7),
        "clip_norm": dice.one((None, None, 0.5)),
    }
    return TrainConfig(learning_rate=RATE, engine=engine, **{**chosen, **more})


def plain_rows(given: dict[str, Given], network: Any) -> Rows:
    """What is given, as plain float64."""
    x, t = given["x"].truth, given["t"].truth
    t = t.reshape(len(x), -1)
    return Rows(x, t.astype(np.int64) if network.loss.by_row else t, given["weight"].truth[:, None])


def moderate(*given: Given) -> bool:
    """Whether no number is so large that training may rightly diverge."""
    arrays = [a for g in given for a in arrays_in(g.truth)]
    return all(a is None or (np.abs(a) <= MODERATE).all() for a in arrays)


def trained_alike(result: Any, want: Any, settings: TrainConfig, dtype: str) -> str:
    """Where parameters differ by more than rounding can make of a few steps.

    Where they grow without bound, rounding does too. Adam's step is as long for a gradient of
    rounding errors as for any other.
    """
    if fault := not_finite(*result.values()):
        return fault
    if any(not (np.abs(a) <= MODERATE).all() for a in want.values()):
        return ""
    for name, b in want.items():
        allowed = (2e-3 if dtype == "float32" else 1e-8) * (1 + np.abs(b).max(initial=0))
        if settings.optimiser.name == "adam":
            allowed += 3 * RATE * 60
        if fault := differs(result[name], b, allowed, dtype, name):
            return fault
    return ""


def fits(dice: Dice, memory: Any) -> Calls:
    """`backhand.fit`."""
    network = a_network(dice)
    rows = dice.one((1, 4, 19))
    peril = dice.perils("params", "x", "x", "t", "weight", "validation")
    given = {
        "params": parameters(dice, memory, network, peril["params"]),
        "x": inputs(dice, memory, rows, network.inputs, peril["x"]),
        "t": targets(dice, memory, network, rows, peril["t"]),
        "weight": weights(dice, memory, rows, peril["weight"]),
    }
    if dice.chance(0.3):
        given["x_val"] = inputs(dice, memory, 4, network.inputs, peril["validation"])
        given["t_val"] = targets(dice, memory, network, 4, peril["validation"])
    settings = descent(dice, dice.one(("llvm", "numpy")), threads=dice.one((None, 1, 2)))

    def do(params: Any, x: Any, t: Any, weight: Any, x_val: Any = None, t_val: Any = None) -> Any:
        validation = Rows(x_val, t_val) if "x_val" in given else None
        return fit(network, params, Rows(x, t, weight), settings, validation=validation).params

    def check(result: Any) -> str:
        if not moderate(*given.values()) or "x_val" in given:
            return not_finite(*result.values())
        other = exact_settings(settings)
        want = fit(exact(network), given["params"].truth, plain_rows(given, network), other)
        return trained_alike(result, want.params, settings, network.dtype)

    text = f"fit({shown(network)}, {settings_shown(settings)}, validation={'x_val' in given})"
    sparse_clip = settings.clip_norm is not None and hasattr(given["x"].value, "tocoo")
    easy = moderate(*given.values()) and not sparse_clip
    yield Call(text, do, given, check, harmless=easy)


def exact_settings(settings: TrainConfig) -> TrainConfig:
    fields = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return TrainConfig(**{**fields, "engine": "numpy", "threads": None})


def settings_shown(settings: TrainConfig) -> str:
    names = ("engine", "epochs", "batch_size", "l2", "clip_norm", "threads", "shuffle", "seed")
    chosen = ", ".join(f"{name}={getattr(settings, name)!r}" for name in names)
    return f"TrainConfig({chosen}, optimiser={settings.optimiser.name})"


def epochs(dice: Dice, memory: Any) -> Calls:
    """`TrainLoop.epoch` by hand, with other rows each time."""
    network = a_network(dice)
    settings = descent(dice, dice.one(("llvm", "llvm", "numpy")), epochs=9, batch_size=8)
    start = network.init("kaiming_normal", 1)
    training = TrainLoop(network, start, settings, 19)
    twin = TrainLoop(
        exact(network),
        {name: a.astype(float) for name, a in start.items()},
        exact_settings(settings),
        19,
    )
    for number in range(dice.whole(1, 3)):
        rows = dice.one((1, 7, 19))
        peril = dice.perils("x", "t", "weight")
        given = {
            "x": inputs(dice, memory, rows, network.inputs, peril["x"]),
            "t": targets(dice, memory, network, rows, peril["t"]),
            "weight": weights(dice, memory, rows, peril["weight"]),
        }
        if given["t"].truth is not None and len(shape_of(given["t"].value)) != 2:
            given["t"].harmless = False  # `Rows` are (N, K)
        if given["weight"].value is not None:
            given["weight"].harmless &= len(shape_of(given["weight"].value)) == 2

        def do(x: Any, t: Any, weight: Any) -> Any:
            return training.epoch(Rows(x, t, weight)), training.params

        def check(result: Any, given: dict[str, Given] = given) -> str:
            loss, params = result
            if training.nonfinite or not np.isfinite(loss):  # as its docstring tells
                return "" if not moderate(*given.values()) else f"nonfinite: {training.nonfinite}"
            if not moderate(*given.values()):
                return not_finite(*params.values())
            twin.epoch(plain_rows(given, network))
            return trained_alike(params, twin.params, settings, network.dtype)

        def kept() -> Any:
            return [a.tobytes() for a in training.params.values()]

        text = f"{shown(network)}, {settings_shown(settings)}: TrainLoop.epoch number {number + 1}"
        easy = moderate(*given.values()) and not hasattr(given["x"].value, "tocoo")
        outcome = yield Call(text, do, given, check, kept, harmless=easy)
        if outcome.kind == "fault" or not moderate(*given.values()):
            return


HOSTILE: dict[str, tuple[Any, ...]] = {
    "epochs": (0, 1, -1, 2.0, "3", True, None, np.int8(1), np.nan, [1], 1j),
    "batch_size": (0, 1, -1, 2**62, 2**63, 2**70, 2.5, "auto", None, np.uint64(2**63), [1]),
    "optimiser": (
        "sgd",
        "no",
        None,
        3,
        "adam:beta1=1",
        "adam:beta1=nan",
        "momentum:momentum=2",
        "adam:epsilon=0",
        "adam:epsilon=1e-400",
        [],
        {},
    ),
    "learning_rate": (
        0,
        1e-3,
        -1,
        np.nan,
        np.inf,
        1e300,
        1e-300,
        "1",
        None,
        True,
        10**400,
        1j,
        np.float16(1),
    ),
    "schedule": ("constant", "no", "cosine:warmup=2", "cosine:warmup=nan", None, 3, "step:every=0"),
    "l2": (0, -1, 1e39, np.nan, "0", None, 1e-50),
    "shuffle": (True, 0, None, "yes", np.bool_(True), np.array([True, False])),
    "seed": (0, -1, 2**32, 2**64, 2**200, 1.5, None, "0", np.int64(3), True),
    "patience": (None, 0, 1, -1, 2.5, np.inf),
    "monitor": ("score", "loss", "no", None, 3, []),
    "min_delta": (0, -1, np.nan, np.inf, "0"),
    "engine": (None, "llvm", "numpy", "", "no", 3, [], b"llvm"),
    "threads": (None, 1, 3, 0, -1, 17, 2.0, "2", True),
    "clip_norm": (None, 1, 0, -1, np.nan, np.inf, 1e-300, 1e300, "1", True),
    "schedules": (
        {},
        None,
        "cosine",
        {"dropout": "flat_cos"},
        {"dropout": "cosine:final=2"},
        {"weight_decay": "constant"},
        {"label_smoothing": "constant"},
        {3: "cosine"},
        {"l2": "cosine"},
        {"dropout": None},
        [("dropout", "cosine")],
    ),
}


def settings(dice: Dice, memory: Any) -> Calls:
    """`TrainConfig` of any values, and a fit with those that are accepted."""
    names = dice.rng.choice(list(HOSTILE), dice.whole(1, 3), replace=False)
    chosen = {str(name): dice.one(HOSTILE[name]) for name in names}
    network = a_network(dice)
    x = plain(dice, (19, network.inputs))
    t = targets(Dice(0), memory, network, 19, 1e-9).truth
    t = t.astype(np.int64) if network.loss.by_row else t

    def do() -> Any:
        made = TrainConfig(**{"epochs": 2, "batch_size": 8, **chosen})
        return fit(network, network.init("kaiming_normal"), Rows(x, t), made).params

    def check(result: Any) -> str:
        return not_finite(*result.values())

    yield Call(f"fit({shown(network)}, TrainConfig(**{chosen!r}))", do, {}, check, harmless=False)
