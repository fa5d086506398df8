"""Hostile calls of `Network`: description, parameters, passes, losses and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backhand import Network

from .arguments import inputs, parameters, targets, weights
from .ingredients import Dice, Given
from .judge import Call, differs, not_finite

NETWORKS: tuple[tuple[tuple[int, ...], str, str], ...] = (
    ((3, 2), "relu", "mean_squared_error"),
    ((4, 5, 1), "tanh", "binary_cross_entropy"),
    ((6, 9, 3), "relu", "softmax_cross_entropy"),
    ((5, 7, 6, 2), "silu", "huber"),
    ((3, 17, 33, 1), "tanh", "poisson"),
    ((2, 300, 1), "relu", "half_squared_error"),
)
Calls = Iterator[Call]


def a_network(dice: Dice) -> Network:
    widths, activation, loss = dice.one(NETWORKS)
    dtype = dice.one(("float32", "float64"))
    return Network(widths, activation=activation, loss=loss, dtype=dtype)


def exact(network: Network) -> Network:
    """The same network in float64."""
    return Network.from_dict({**network.to_dict(), "dtype": "float64"})


# what is right ------------------------------------------------------------------------------------


def bounded(network: Network, params: Any, x: Any, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The logits in float64, and by how much rounding in a dtype may move them.

    Every activation here has slopes of at most 1.1, and is at most its input in size.
    """
    with np.errstate(all="ignore"):
        z = exact(network).forward(params, x, engine="numpy")
        size, terms = np.abs(x), 8
        for layer in range(1, len(network.widths)):
            w, b = params[f"w{layer}"], params[f"b{layer}"]
            size, terms = 1.1 * (size @ np.abs(w) + np.abs(b)), terms + len(w) + 16
        return z, terms * np.finfo(dtype).eps * (size + 1)


def shown(network: Network) -> str:
    names = "-".join(map(str, network.widths))
    return f"Network({names} {network.dtype} {network.loss.name})"


def passes(dice: Dice, memory: Any) -> Calls:
    """`forward`, `predictor` and `predict`."""
    network = a_network(dice)
    rows = dice.one((1, 1, 2, 5, 19))
    peril = dice.perils("params", "x")
    given = {
        "params": parameters(dice, memory, network, peril["params"]),
        "x": inputs(dice, memory, rows, network.inputs, peril["x"]),
    }
    engine = dice.one((None, "llvm", "numpy"))
    way = dice.one(("forward", "forward", "predictor", "predictor", "predict"))
    threads = dice.one((None, 1, 2))

    def do(params: Any, x: Any) -> Any:
        if way == "forward":
            return network.forward(params, x, engine=engine)
        if way == "predict":
            return network.predict(params, x)
        return network.predictor(params, threads)(x)

    def check(result: Any) -> str:
        params, x = given["params"].truth, given["x"].truth
        z, allowed = bounded(network, params, x, network.dtype)
        if way == "predict":
            with np.errstate(all="ignore"):
                want = exact(network).predict(params, x)
            allowed = np.expm1(np.minimum(np.max(allowed, 1, keepdims=True), 600)) * (
                1 + np.abs(want)
            )
            return differs(result, want, allowed, network.dtype)
        return differs(result, z, allowed, network.dtype)

    easy = all(g.truth is None or _fit(g.truth, network.dtype) for g in given.values())
    easy &= not (way == "predictor" and hasattr(given["x"].value, "tocoo"))
    yield Call(
        f"{shown(network)}.{way} engine={engine} threads={threads}", do, given, check, harmless=easy
    )


def _fit(truth: Any, dtype: str) -> bool:
    return all((np.abs(a) < np.finfo(dtype).max).all() for a in arrays_in(truth))


def arrays_in(truth: Any) -> list[Any]:
    """The arrays of parameters, or the one array."""
    return [*truth.values()] if isinstance(truth, dict) else [truth]


def losses(dice: Dice, memory: Any) -> Calls:
    """`batch_loss`, `loss_at`, `loss_and_grads` and `statistics`."""
    network = a_network(dice)
    rows = dice.one((1, 2, 5, 19))
    way = dice.one(("batch_loss", "loss_at", "loss_and_grads", "loss_and_grads", "statistics"))
    engine = dice.one((None, "llvm", "numpy"))
    columns = network.outputs if way == "loss_at" else network.inputs
    peril = dice.perils("params", "x", "t", "weight")
    given = {
        "params": parameters(dice, memory, network, peril["params"]),
        "x": inputs(dice, memory, rows, columns, peril["x"]),
        "t": targets(dice, memory, network, rows, peril["t"]),
        "weight": weights(dice, memory, rows, peril["weight"]),
    }
    if way == "statistics":
        del given["weight"]
    if way == "loss_at":
        del given["params"]

    def do(
        x: Any, t: Any, params: Any = None, weight: Any = None, of: Any = network, by: Any = engine
    ) -> Any:
        if way == "batch_loss":
            return of.batch_loss(params, x, t, weight, engine=by)
        if way == "loss_at":
            return of.loss_at(x, t, weight)
        if way == "statistics":
            return [row[2:4] for row in of.statistics(params, x, t, engine=by)]  # means and spreads
        loss, grads, dx = of.loss_and_grads(params, x, t, weight, wrt_input=True, engine=by)
        return [loss, *(grads[name] for name in of.shapes), dx]

    def check(result: Any) -> str:
        plain_ones = {n: g.truth for n, g in given.items()}
        if network.loss.by_row:
            plain_ones["t"] = plain_ones["t"].astype(np.int64)
        plain_ones["t"] = plain_ones["t"].reshape(rows, -1)
        with np.errstate(all="ignore"):
            want = do(**plain_ones, of=exact(network), by="numpy")
        return alike(result, want, min(_most(given), 1e90) ** 3, network.dtype)

    easy = all(g.truth is None or _fit(g.truth, network.dtype) for g in given.values())
    sparse_statistics = hasattr(given["x"].value, "tocoo") and way in ("statistics", "loss_at")
    yield Call(
        f"{shown(network)}.{way} engine={engine}",
        do,
        given,
        check,
        harmless=easy and not sparse_statistics,
    )


def _most(given: dict[str, Given]) -> float:
    """The largest number in what is given, weights aside."""
    most = 1.0
    for name in ("params", "x", "t"):
        truth = given[name].truth if name in given else 0.0
        most = max(most, *(float(np.abs(a).max(initial=0)) for a in arrays_in(truth)))
    return most


def alike(result: Any, want: Any, size: float, dtype: str) -> str:
    """Where numbers and arrays differ by more than rounding of sums of values of that size."""
    results, wants = (r if isinstance(r, list) else [r] for r in (result, want))
    for number, (a, b) in enumerate(zip(results, wants, strict=True)):
        with np.errstate(all="ignore"):
            scale = size + np.abs(np.asarray(b, np.float64)).max(initial=0)
            fault = differs(a, b, 2000 * np.finfo(dtype).eps * scale, dtype, f"result {number}")
        if fault:
            return fault
    return ""


def descriptions(dice: Dice, memory: Any) -> Calls:
    """The constructor and `init`."""
    odd = (None, 0, -1, 2.5, "3", True, 10**7, np.int8(3), [3], np.float32(3), np.nan, 1j, b"3")
    widths: Any = [dice.whole(1, 9) for _ in range(dice.whole(2, 4))]
    if dice.chance(0.5):
        widths[dice.whole(0, len(widths) - 1)] = dice.one(odd)
    if dice.chance(0.2):
        widths = dice.one(
            (*odd, np.array([3, 2]), np.array(3), {}, {3: 2}, iter([3, 2]), "32", [[3, 2]])
        )
    hostile: dict[str, tuple[Any, ...]] = {
        "activation": (
            "relu",
            "no",
            None,
            3,
            ["relu"],
            ["relu"] * 9,
            [None],
            {},
            "leaky_relu:slope=nan",
            np.array("relu"),
        ),
        "loss": (
            "mean_squared_error",
            "no",
            None,
            3,
            "huber:delta=-1",
            "huber:delta=1e400",
            "quantiles:2",
            [],
            "quantiles:",
        ),
        "dropout": (
            0.1,
            1,
            -0.1,
            np.nan,
            "0.1",
            [0.1],
            [0.1] * 9,
            None,
            np.float32(0.5),
            1e-320,
            [[0.1]],
        ),
        "dtype": (
            "float32",
            np.float64,
            "float16",
            None,
            3,
            np.dtype(">f4"),
            np.dtype("f8"),
            "f4",
            float,
            [],
        ),
    }
    chosen = {n: dice.one(v) for n, v in hostile.items() if dice.chance(0.3)}
    schemes = ("kaiming_normal", "orthogonal", "lsuv", "zeros", "no", None, 3, "lsuv:x=1")
    scheme, seed = dice.one(schemes), dice.one((0, 7, 2**40, -1, None, 1.5, "1", True, [1], [-1]))

    def do() -> Any:
        network = Network(widths, **chosen)
        if network.n_parameters > 10**6:
            return []
        x = np.ones((4, network.inputs)) if dice.chance(0.8) else None
        return [*network.init(scheme, seed, x).values()]

    def check(result: Any) -> str:
        return not_finite(*result)

    yield Call(
        f"Network({widths!r}, **{chosen!r}).init({scheme!r}, {seed!r})",
        do,
        {},
        check,
        harmless=False,
    )
