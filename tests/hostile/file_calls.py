"""Hostile models, files and formulas: `Model`, saved files, data sets, `register_*`, `verify`."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import numpy as np

import backhand
from backhand import (
    MLPClassifier,
    MLPRegressor,
    Network,
    register_activation,
    register_loss,
    sealed,
    verify,
)
from backhand.datasets import load
from backhand.export import Model
from backhand.formulas.activations import ACTIVATIONS, Activation
from backhand.formulas.losses import LOSSES, Loss

from .arguments import inputs, parameters, targets, weights
from .ingredients import Dice, nothing, plain, spoil
from .judge import Call, differs, not_finite
from .network_calls import Calls, a_network, bounded, shown

FILES = (".csv", ".tsv", ".csv.gz", ".parquet", ".pkl", ".pkl.gz", ".txt", "")
CELLS = (
    "1",
    "-2.5",
    "1e39",
    "nan",
    "",
    "x",
    "inf",
    "2020-01-31",
    "007",
    '"a,b"',
    "\x00",
    "é",
    "1e400",
    " ",
)


def models(dice: Dice, memory: Any) -> Calls:
    """`Model.predict`, and the same by way of its file."""
    network = Network(
        (4, 6, dice.one((1, 3))),
        activation="tanh",
        dtype=dice.one(("float32", "float64")),
        loss="mean_squared_error",
    )
    task = "regression"
    if network.outputs == 3:
        network, task = (
            Network(network.widths, loss="softmax_cross_entropy", dtype=network.dtype),
            "classification",
        )
    given = {
        "params": parameters(dice, memory, network, 0.7),
        "raw": inputs(dice, memory, dice.one((1, 6)), 4),
    }
    classes = (
        dice.one((["a", "b", "c"], [0, 1, 2], None, [True], [1, 1, 1]))
        if task != "regression"
        else None
    )
    stored = dice.chance(0.5)

    def do(params: Any, raw: Any) -> Any:
        model = Model(network, params, task, classes=classes)
        if stored:
            with tempfile.TemporaryDirectory() as folder:
                model.save(pathlib.Path(folder) / "m")
                model = Model.load(pathlib.Path(folder) / "m")
        return model.predict_proba(raw) if task != "regression" else model.predict(raw)

    def check(result: Any) -> str:
        if task != "regression":
            return not_finite(result)
        z, allowed = bounded(network, given["params"].truth, given["raw"].truth, network.dtype)
        return differs(result, z[:, 0], allowed[:, 0], network.dtype)

    yield Call(
        f"Model({shown(network)}, {task}, {classes}), stored={stored}: predict",
        do,
        given,
        check,
        harmless=False,
    )


def files(dice: Dice, memory: Any) -> Calls:
    """An estimator's or a model's file, damaged or forged, and a prediction by it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        kind = dice.one((MLPRegressor, MLPClassifier, Model))
        if kind is Model:
            network = Network((3, 5, 1))
            Model(network, network.init("kaiming_normal"), "regression").save(path)
        else:
            kind((5,), max_iter=1).fit(X, (X[:, 0] > 0).astype(int)).save(
                path
            ) if kind is MLPClassifier else kind(hidden_layer_sizes=(5,), max_iter=1).fit(
                X, X[:, 0]
            ).save(path)
        text = _forged(dice, path) if dice.chance(0.7) else _flipped(dice, path)

        read = dice.one((backhand.load, backhand.load_predictor, kind.load))

        def do() -> Any:
            made = read(path)
            return [made.predict(X), made.predict(X[:1].astype("f4"))]

        def check(result: Any) -> str:
            return not_finite(*(a for a in result if a.dtype.kind == "f"))

        yield Call(f"{kind.__name__} from a file, {text}", do, {}, check, harmless=False)


def _flipped(dice: Dice, path: pathlib.Path) -> str:
    content = bytearray(path.read_bytes())
    at = dice.whole(0, len(content) - 1)
    if dice.chance(0.5):
        content[at] ^= 1 << dice.whole(0, 7)
        path.write_bytes(content)
        return f"byte {at} flipped"
    path.write_bytes(content[:at])
    return f"cut at {at}"


def _forged(dice: Dice, path: pathlib.Path) -> str:
    """Change what a file says, and seal it again as anybody can."""
    tensors, about = sealed.read_sealed(path)
    tensors = dict(tensors)
    if dice.chance(0.6):
        name = dice.one(tensors)
        a = tensors[name]
        how = dice.one(
            (
                "int8",
                "float16",
                "float64",
                "bool",
                "int64",
                "shape",
                "gone",
                "value",
                "one more",
                "large",
            )
        )
        if how == "shape":
            tensors[name] = np.zeros(
                dice.one(((), (0,), (3,), (5, 5), (3, 5, 1), (5,), (1, 5))), a.dtype
            )
        elif how == "gone":
            del tensors[name]
        elif how == "value":
            spoil(dice, a)
        elif how == "one more":
            tensors["w9"] = a
        elif how == "large":
            tensors[name] = np.zeros([300 * n for n in a.shape], a.dtype)
        else:
            tensors[name] = a.astype(how)
        what = f"{name} {how}"
    else:
        inside = about[
            dice.one([key for key, value in about.items() if isinstance(value, dict) and value])
        ]
        if "layers" in inside and dice.chance(0.5):
            inside = dice.one(inside["layers"])
        key = dice.one(inside)
        inside[key] = dice.one(
            (None, 0, -1, 10**9, "x", [], {}, 1.5, True, [1, 2], "nan", {"list": [3]}, {"dict": 3})
        )
        what = f"{key} = {inside[key]!r}"
    sealed.write_sealed(path, tensors, about)
    return f"forged: {what}"


def datasets(dice: Dice, memory: Any) -> Calls:
    """`datasets.load` of small tables and other files, most of them wrong."""
    suffix = dice.one(FILES)
    rows, columns = dice.one((0, 1, 9, 12, 40)), dice.whole(1, 4)
    cells = [[f"{v:.3g}" for v in row] for row in plain(dice, (rows, columns))]
    for _ in range(dice.whole(0, 4)):
        if rows:
            cells[dice.whole(0, rows - 1)][dice.whole(0, columns - 1)] = dice.one(CELLS)
    names = [
        dice.one(("a", "b", "c", "d", "", "é", "t")) if dice.chance(0.2) else f"c{i}"
        for i in range(columns)
    ]
    separator = "\t" if suffix == ".tsv" else dice.one((",", ",", ";"))
    content = "\n".join(separator.join(row) for row in [names, *cells]).encode(
        dice.one(("utf-8", "utf-8", "utf-16"))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"table{suffix}"
        if suffix == ".parquet":
            _parquet(path, names, cells)
        else:
            _packed(path, content)
        broken = ""
        if dice.chance(0.4) and path.stat().st_size:
            broken = _flipped(dice, path)
        target = dice.one((names[-1], names[-1], "no", None, "", 3, "C0"))
        task, seed = (
            dice.one((None, None, "regression", "classification", "no")),
            dice.one((0, 0, -1, None, 1.5, 2**70)),
        )

        def do() -> Any:
            return load(dice.one((path, str(path))), target=target, task=task, seed=seed)

        def check(data: Any) -> str:
            return not_finite(
                *(
                    a
                    for part in (data.train, data.validation, data.test)
                    for a in part.__dict__.values()
                )
            )

        what = f"{path.name!r} of {content[:150]!r} {broken}"
        text = f"load({what}, target={target!r}, task={task!r}, seed={seed!r})"
        yield Call(text, do, {}, check, harmless=False)


def _packed(path: pathlib.Path, content: bytes) -> None:
    import gzip

    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _parquet(path: pathlib.Path, names: list[str], cells: list[list[str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array([row[i] for row in cells], pa.string()) for i in range(len(names))]
    pq.write_table(pa.Table.from_arrays(columns, names), path)


def verified(dice: Dice, memory: Any) -> Calls:
    """`verify` of a network's gradients on anything."""
    network = a_network(dice)
    rows = dice.one((1, 4))
    given = {
        "params": parameters(dice, memory, network, 0.5),
        "x": inputs(dice, memory, rows, network.inputs, 0.5),
        "t": targets(dice, memory, network, rows, 0.5),
        "weight": weights(dice, memory, rows, 0.5),
    }

    def do(params: Any, x: Any, t: Any, weight: Any) -> Any:
        return verify(network, params, x, t, weight)

    yield Call(
        f"verify({shown(network)})",
        do,
        given,
        lambda report: "" if len(report) else "no line",
        harmless=False,
    )


def registered(dice: Dice, memory: Any) -> Calls:
    """`register_activation` and `register_loss` of formulas that are wrong in some way."""
    number = dice.whole(0, 10**9)
    wrong: dict[str, Any] = {
        "right": lambda xp, z: z * z,
        "raises": lambda xp, z: 1 / 0,
        "None": lambda xp, z: None,
        "text": lambda xp, z: "z",
        "a scalar": lambda xp, z: 1.0,
        "NaN": lambda xp, z: z * np.nan,
        "another shape": lambda xp, z: z[..., :1],
        "complex": lambda xp, z: z * 1j,
        "no function": 3,
        "one argument": lambda z: z,
        "in place": lambda xp, z: np.add(z, 1, out=z),
        "list": lambda xp, z: list(z),
    }
    ways = dice.one(list(wrong)), dice.one(("right", "right", *wrong))
    name = dice.one(
        (f"mine{number}", f"mine{number}", "relu", "", None, 3, "a:b", "mean_squared_error")
    )
    forward, vjp = wrong[ways[0]], wrong[ways[1]]
    if ways[1] == "right":
        vjp = lambda xp, z, y, dy: 2 * z * dy  # noqa: E731
    is_loss = dice.chance(0.4)

    def do() -> Any:
        if is_loss:
            right = lambda xp, z, t: (z - t) ** 2  # noqa: E731
            value = (
                right
                if ways[0] == "right"
                else (lambda xp, z, t: forward(xp, z))
                if callable(forward)
                else forward
            )
            grad = (
                (lambda xp, z, t: 2 * (z - t))
                if ways[1] == "right"
                else (lambda xp, z, t: vjp(xp, z))
                if callable(vjp)
                else vjp
            )
            target = dice.one(("real", "class", "no", None, "probability"))
            return register_loss(Loss(name, value, grad, lambda xp, z: z, target))
        return register_activation(
            Activation(name, forward, vjp, dice.one((("z",), ("y",), (), ("x",), None, "z")))
        )

    def check(entry: Any) -> str:
        (LOSSES if is_loss else ACTIVATIONS).pop(name, None)
        if ways != ("right", "right"):
            return f"accepted, though {ways} is wrong"
        return "" if isinstance(name, str) and name else f"accepted the name {name!r}"

    kind = "register_loss" if is_loss else "register_activation"
    yield Call(
        f"{kind} of {name!r}: {ways[0]}, derivative {ways[1]}", do, {}, check, harmless=False
    )


def places(dice: Dice, memory: Any) -> Calls:
    """`load` and `save` of estimators at places that are no files."""
    place = dice.one(
        (None, 3, "", "/nonexistent/m", b"m", nothing(dice, np.ones((2, 2))).value, "/", "a\x00b")
    )
    way = dice.one(("load", "save", "backhand.load", "load_predictor", "datasets.load"))
    fitted = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1)
    fitted.fit(np.ones((4, 2)), np.arange(4.0))

    def do() -> Any:
        if way == "save":
            return fitted.save(place)
        ways = {
            "load": MLPRegressor.load,
            "backhand.load": backhand.load,
            "load_predictor": backhand.load_predictor,
            "datasets.load": load,
        }
        return ways[way](place)

    yield Call(f"{way}({place!r:.80})", do, {}, lambda _: "accepted", harmless=False)
