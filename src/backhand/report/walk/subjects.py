"""Of each kind of model its networks, each as a program of its own in float64, and rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...estimators.fitted import Fitted
from ...estimators.programs import program_of_fitted
from ...estimators.targets import Classes
from ...export.program import MISSING, Program
from ...export.programs import program_of, values_of
from ...network import Network, Params
from ...preprocess.tables import columns_of
from ...run.namespaces import is_sparse
from ...tabular.model import TableModel
from ..page.reports import numbers_of
from ..page.sampling import drawn as sampled
from ..page.subjects import taken
from .parameters import in_float64

Array = Any

MOST_ROWS, MOST_NUMBERS = 150, 80_000
"""Rows of which a page keeps a sample, and numbers in them."""

DAY = 86_400


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One network of a model.

    Attributes
    ----------
    name : str
        For people.
    network : Network
        In float64.
    params : dict of str to array
        That it has learned, in float64.
    program : callable
        From a network of the same shapes and its parameters to a program from a row to an answer.
    t : array (N, K), or of int (N,)
        The rows' targets as its loss takes them.
    """

    name: str
    network: Network
    params: Params
    program: Callable[[Network, Params], Program]
    t: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A model and rows whose targets are known.

    Attributes
    ----------
    title : str
    target : str
    labels : list of str or None
        Of the classes; None for a regression.
    values : array (N, columns) of float64
        Rows as programs take them.
    numbers : array of int (N,)
        Of the rows, for people.
    rows_in_all : int
    image : (int, int) or None
        Height and width, if rows are pictures.
    parts : list of Part
        The networks, those first that count most.
    actual : array (N,), optional
        The target of each row as the table has it, of a regression.
    """

    title: str
    target: str
    labels: list[str] | None
    values: Array
    numbers: Array
    rows_in_all: int
    image: tuple[int, int] | None
    parts: list[Part]
    actual: Array | None = None

    def prepared(self, program: Program) -> Array:
        """The rows as inputs x (N, D) of the networks."""
        return self.values if program.prepare is None else program.prepared(self.values)


def _some(rows: int, width: int) -> Array:
    """Which rows of a given number are kept."""
    if not rows:
        raise InputError("there are no rows: a walk needs some whose targets are known")
    return sampled(rows, min(MOST_ROWS, max(20, MOST_NUMBERS // max(width, 1))))


def _check(network: Network) -> None:
    if network.loss.levels or (not network.loss.by_row and network.outputs > 1):
        raise InputError(
            f"the network has {network.outputs} outputs with loss {network.loss.name!r}; a walk is "
            "of one target"
        )


def _params64(params: Params) -> Params:
    return {name: np.asarray(a, np.float64) for name, a in params.items()}


def of_table(model: TableModel, raw: Any, y: Array) -> Subject:
    """An ensemble of tables, with rows and their targets: numbers of classes (N,), or values."""
    if not model.members:
        raise InputError("the model knows one class only: there is no network to walk through")
    table, y = columns_of(raw), np.asarray(y)
    if table.rows != len(y):
        raise InputError(f"there are {table.rows} rows and {len(y)} targets: they must be as many")
    which = _some(len(y), len(model.preparation.columns))
    rows = taken(model.preparation, table, which)
    parts = []
    order = np.argsort([-weight for weight in model.weights], kind="stable")
    for place in _each_kind(model, order):
        member = model.members[place]
        network, t = in_float64(member.network), y[which]
        _check(network)
        if member.scale is not None:
            t = np.maximum(t, 1e-12) if member.scale.log else t
            t = member.scale.encode(t).astype(np.float64)
        elif not network.loss.by_row:
            t = t.astype(np.float64)[:, None]
        alone = {"members": (member,), "weights": (1.0,), "temperature": 1.0}
        name = f"network {place + 1} of {len(model.members)}, weight {model.weights[place]:.2g}"
        maker = _of_member(model, alone)
        parts.append(Part(name, network, _params64(member.params), maker, t))
    return Subject(
        f"{model.target or 'the target'}, {model.task}",
        model.target or "target",
        None if model.classes is None else [str(one) for one in model.classes.tolist()],
        model.preparation.values(rows, warn=False),
        which,
        len(y),
        None,
        parts,
        y[which].astype(np.float64).ravel() if model.classes is None else None,
    )


def _each_kind(model: TableModel, order: Array) -> list[int]:
    """Places of members: the first of each kind, then the others."""
    first: dict[int, int] = {}
    for place in order.tolist():
        first.setdefault(model.members[place].kind, place)
    rest = [place for place in order.tolist() if place not in first.values()]
    return [*first.values(), *rest]


def _of_member(model: TableModel, alone: dict[str, Any]) -> Callable[[Network, Params], Program]:
    def made(network: Network, params: Params) -> Program:
        member = dataclasses.replace(alone["members"][0], network=network, params=params)
        return program_of(dataclasses.replace(model, **{**alone, "members": (member,)}))

    return made


def of_network(
    network: Network,
    params: Params,
    rows: Array,
    y: Array,
    program: Callable[[Network, Params], Program],
    *,
    title: str,
    classes: Sequence[Any] | None,
    target: str = "",
    mean: float = 0.0,
    std: float = 1.0,
    picture: bool = False,
) -> Subject:
    """One network.

    Parameters
    ----------
    network, params
    rows : array (N, columns)
        As the program takes them.
    y : array (N,)
        Numbers of classes, or values, which the network learns less ``mean`` and by ``std``.
    program : callable
        As of `Part`.
    title, target : str
    classes : sequence or None
    picture : bool
        Whether the columns may be the pixels of pictures.
    """
    _check(network)
    if len(rows) != len(y):
        raise InputError(f"there are {len(rows)} rows and {len(y)} targets: they must be as many")
    which = _some(len(y), rows.shape[1])
    t: Array = np.asarray(y)[which]
    actual = t.astype(np.float64) if classes is None and t.ndim == 1 else None
    if not network.loss.by_row:
        t = ((t.astype(np.float64) - mean) / std)[:, None]
    side = math.isqrt(rows.shape[1])
    part = Part("the network", in_float64(network), _params64(params), program, t)
    return Subject(
        title,
        target or "target",
        None if classes is None else [str(one) for one in classes],
        np.asarray(rows, np.float64)[which],
        which,
        len(y),
        (side, side) if picture and side * side == rows.shape[1] and side > 3 else None,
        [part],
        actual,
    )


def of_model(model: Any, raw: Any, y: Any, title: str = "") -> Subject:
    """A `backhand.Model`; rows as it takes them, targets as labels or values."""
    network = model.network
    _check(network)
    pictures = model.preparation is not None and not hasattr(model.preparation, "encoders")
    return of_network(
        network,
        model.params,
        values_of(model, raw),
        numbers_of(y, model.classes),
        lambda other, params: program_of(dataclasses.replace(model, network=other, params=params)),
        title=title or f"{model.target or 'network'}, {model.task}",
        classes=model.classes,
        target=model.target or "",
        mean=model.target_mean,
        std=model.target_std,
        picture=pictures,
    )


def of_fitted(fitted: Fitted, params: Params, x: Array, y: Any, title: str) -> Subject:
    """An estimator in scikit-learn's manner: its record, parameters, rows x (N, D), targets."""
    targets = fitted.targets
    classes = targets.labels.tolist() if isinstance(targets, Classes) else None
    if getattr(targets, "several", False):
        raise InputError(f"the model has {fitted.network.outputs} outputs; a walk is of one target")
    if is_sparse(x):
        raise InputError("a walk looks at every column of X: pass X.toarray()")
    return of_network(
        fitted.network,
        params,
        x,
        numbers_of(y, classes),
        lambda other, now: program_of_fitted(dataclasses.replace(fitted, network=other), now),
        title=title,
        classes=classes,
    )


# rows for people ----------------------------------------------------------------------------------


def cells_of(program: Program, values: Array) -> list[list[Any]]:
    """Rows as the module of a program takes them: numbers, texts, dates as ISO, None."""
    if not program.columns:
        return [[int(v) if v.is_integer() else v for v in row] for row in values.tolist()]
    return [
        [_cell(column, value) for column, value in zip(program.columns, row, strict=True)]
        for row in values.tolist()
    ]


def _cell(column: Any, value: float) -> Any:
    if column.kind == "category":
        place = int(value)
        if place == MISSING:
            return None
        return column.values[place] if 0 <= place < len(column.values) else OTHERS
    if math.isnan(value):
        return None
    if column.kind == "date":
        second = np.datetime64(round(value * DAY), "s")
        return str(second).removesuffix("T00:00:00")
    return value


OTHERS = "(another)"
"""What stands for a text that no training row has."""
