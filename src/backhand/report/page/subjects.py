"""A subject of each kind of model: its rows prepared and answered, its columns as people know them.

Models are taken as they are, by their attributes, so that each kind can offer its own report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, count
from ...network import Network
from ...preprocess import cells
from ...preprocess.arrow import FIRST_ROW
from ...preprocess.preparation import TablePreparation
from ...preprocess.tables import Columns, columns_of
from ...run.namespaces import NUMPY
from ...tabular.member import Member, outputs_of
from ...tabular.metrics import Metric
from ...tabular.model import TableModel
from .answering import Answering
from .sampling import COVERAGES, MOST_ROWS, drawn
from .subject import Cells, Subject

Array = Any

HELD_OUT = (
    "rows held out while the networks were trained, each answered only by networks that had not "
    "learned from it; they chose epochs and weights, though, so that rows of a test are stricter"
)
GIVEN = "rows that were given; their scores are honest if no network has learned from them"


def of_table(
    model: TableModel,
    raw: Any,
    y: Array,
    *,
    which: Array | None = None,
    weights: Array | None = None,
    rows_are: str = GIVEN,
    made_intervals: bool = False,
) -> Subject:
    """The subject of an ensemble.

    Parameters
    ----------
    model : TableModel
    raw : table
        With the columns of its preparation.
    y : array (N,)
        Targets, numbers of classes or values.
    which : array of int (N,), optional
        The row of the table of each target; by default all, in their order.
    weights : array (M, N), optional
        What each member counts in each row; by default as in the model.
    rows_are : str
    made_intervals : bool
        As of `Subject`.
    """
    if not model.members:
        raise InputError("the model knows one class only: there is nothing to report")
    table, y = columns_of(raw), np.asarray(y)
    which = np.arange(table.rows) if which is None else which
    if len(which) != len(y) or not len(y):
        raise InputError(f"there are {len(which)} rows and {len(y)} targets: a report needs both")
    some = drawn(len(y), MOST_ROWS)
    prepared = model.preparation
    small = _taken(table, which[some], prepared.columns)
    x = prepared.apply(_as_fitted(prepared, table, which[some], small), warn=False)
    counts = np.array(model.weights)[:, None] if weights is None else weights[:, some]
    answering = Answering(
        [(member.network, member.params) for member in model.members],
        [_decoded(member) for member in model.members],
        counts,
        model.finished,
    )
    predictions = answering(x, np.arange(len(some)))
    has_intervals = model.residuals is not None and len(model.residuals) > 0
    halves = {}
    if model.classes is None and has_intervals:
        halves = {c: model.half_width(c) for c in COVERAGES}
        halves = {c: half for c, half in halves.items() if math.isfinite(half)}
    return Subject(
        model=f"{count(len(model.members), 'network')} for tables",
        rows_are=rows_are,
        target=model.target or "target",
        classes=None if model.classes is None else model.classes.tolist(),
        x=x,
        y=y[some],
        numbers=which[some] + _first_number(table),
        rows_in_all=len(y),
        answering=answering,
        predictions=predictions,
        chosen=None if model.classes is None else model.chosen(predictions),
        columns=columns_of_preparation(prepared, small),
        metric=Metric(str(model.about["metric"])),
        threshold=model.threshold,
        treatments=prepared.describe(),
        half_widths=halves,
        made_intervals=made_intervals,
    )


def _decoded(member: Member) -> Callable[[Array], Array]:
    return lambda z: outputs_of(member.network, member.scale, z)


def held_out_weights(model: TableModel, members: Sequence[Member]) -> Array:
    """What each member counts in each held-out row, (M, N), in the order of ``held_out_``.

    A row is answered by the members that have not learned from it, of each kind with that kind's
    share. ``members`` are all that were trained.
    """
    numbers = [_numbers(member.validation_rows) for member in members]
    kinds = sorted({member.kind for member in members})
    by_kind = []
    for kind in kinds:
        own = [n for n, member in zip(numbers, members, strict=True) if member.kind == kind]
        by_kind.append(np.unique(np.concatenate(own)))
    rows = by_kind[0]
    for other in by_kind[1:]:
        rows = np.intersect1d(rows, other)
    share = dict.fromkeys(kinds, 0.0)
    for member, weight in zip(model.members, model.weights, strict=True):
        share[member.kind] += weight
    held = {id(member): np.isin(rows, n) for n, member in zip(numbers, members, strict=True)}
    of_kind = {
        kind: np.sum([held[id(m)] for m in members if m.kind == kind], axis=0) for kind in kinds
    }
    return np.array(
        [held[id(m)] * share[m.kind] / np.maximum(of_kind[m.kind], 1) for m in model.members]
    )


def _numbers(which: Array | slice | None) -> Array:
    if isinstance(which, slice):
        return np.arange(which.start, which.stop)
    return np.asarray(which)


def _first_number(table: Columns) -> int:
    """The number of the first row: of a file as people count its lines, else 0."""
    notes = table.only(table.names[0]).schema.metadata or {}
    return int(notes.get(FIRST_ROW, b"0"))


def taken(prepared: TablePreparation, table: Columns, rows: Array) -> Any:
    """Some rows of a table, as a preparation takes them."""
    return _as_fitted(prepared, table, rows, _taken(table, rows, prepared.columns))


def _taken(table: Columns, rows: Array, names: Sequence[str]) -> Any:
    """Some rows of some columns, as a pyarrow.Table."""
    import pyarrow as pa

    table.check_there(names)
    taken = [table.only(name).take(rows).column(0) for name in names]
    notes = table.only(names[0]).schema.metadata
    return pa.table(taken, names=list(names)).replace_schema_metadata(notes)


def _as_fitted(prepared: TablePreparation, table: Columns, rows: Array, small: Any) -> Any:
    """Rows as the preparation takes them: those of an array without names stay without."""
    if prepared.has_names:
        return small
    columns = [table.only(name).column(0).take(rows).to_numpy() for name in table.names]
    return np.column_stack(columns)


def columns_of_preparation(prepared: TablePreparation, table: Any) -> dict[str, Cells]:
    """What the rows of a pyarrow.Table have in each column that is used."""
    places = prepared.places
    first_code = prepared.width - len(prepared.inputs.codes)
    found = {}
    for encoder in prepared.encoders:
        name = encoder.name
        if encoder.kind == "number":
            values = cells.numbers(table, name, encoder.reading, strays="ignore")
        elif encoder.kind == "date":
            values = cells.dates(table, name, encoder.reading, strays="ignore")
        else:
            texts = table.column(name).to_pylist()
            values = np.array([None if text is None else str(text) for text in texts], object)
        codes = [place for place in places[name] if place >= first_code]
        found[name] = Cells(encoder.kind, values, places[name], codes)
    return found


# one network --------------------------------------------------------------------------------------


def of_network(
    network: Network,
    params: Mapping[str, Array],
    x: Array,
    y: Array,
    *,
    classes: Sequence[Any] | None,
    target: str | None = None,
    target_mean: float = 0.0,
    target_std: float = 1.0,
    preparation: Any = None,
    raw: Any = None,
    names: Sequence[str] = (),
    which: Array | None = None,
    rows_are: str = GIVEN,
) -> Subject:
    """The subject of one network.

    Parameters
    ----------
    network, params
    x : array (N, D)
        Prepared rows.
    y : array (N,)
        Numbers of classes, or values in the target's own unit.
    classes, target, target_mean, target_std, preparation
        As of `backhand.Model`.
    raw : table, optional
        The rows before preparation, if they are a table.
    names : sequence of str
        Of the columns of x, if they are no table.
    which : array of int (N,), optional
        Their numbers, for people.
    rows_are : str
        As of `Subject`.
    """
    y = np.asarray(y)
    if len(x) != len(y) or not len(y):
        raise InputError(f"there are {len(x)} rows and {len(y)} targets: a report needs both")
    if y.ndim != 1:
        raise InputError(f"targets have shape {y.shape}: a report is of one target")
    which = np.arange(len(y)) if which is None else which
    some = drawn(len(y), MOST_ROWS)
    x = np.ascontiguousarray(x[some], network.dtype)

    def decode(z: Array) -> Array:
        found = np.asarray(network.loss.inverse_link(NUMPY, z), np.float64)
        if classes is None:
            return found[:, 0] * target_std + target_mean
        p = np.concatenate([1 - found, found], axis=1) if found.shape[1] == 1 else found
        return p / p.sum(axis=1, keepdims=True)

    answering = Answering([(network, dict(params))], [decode], np.ones((1, 1)))
    predictions = answering(x, np.arange(len(some)))
    treatments: Sequence[Any] = ()
    image = None
    if isinstance(preparation, TablePreparation) and raw is not None:
        table = columns_of(raw)
        small = _taken(table, which[some], preparation.columns)
        columns = columns_of_preparation(preparation, small)
        treatments = preparation.describe()
    else:
        given = [str(name) for name in names] or [f"x{i}" for i in range(x.shape[1])]
        columns = {name: Cells("number", x[:, i], [i]) for i, name in enumerate(given)}
        side = math.isqrt(x.shape[1])
        if preparation is not None and side * side == x.shape[1] and side > 3:
            image = side, side
    return Subject(
        model=f"one network, {network.summary}",
        rows_are=rows_are,
        target=target or "target",
        classes=None if classes is None else list(classes),
        x=x,
        y=y[some],
        numbers=which[some],
        rows_in_all=len(y),
        answering=answering,
        predictions=predictions,
        chosen=None if classes is None else predictions.argmax(axis=1),
        columns=columns,
        treatments=treatments,
        image=image,
    )
