"""Piecewise-linear embeddings of numbers (Gorishniy et al. 2022; "version B" of 2024)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ...errors import InputError
from ...formulas import pieces
from ...formulas.initialisers import uniform, zeros
from ..buffers import BATCH, Buffer
from ..nodes import Cumulate, Lookup, ScatterAdd
from ..ranges import as_numbers
from ..wiring import Factors, Wiring
from .layer import CHECKS, Layer, known

NARROWEST = 1e-4
"""Share of a column's range: edges that are not further apart count once, since a component of a
narrower bin would jump where nothing but rounding tells values apart."""


@known
@dataclasses.dataclass(frozen=True)
class PiecewiseLinear(Layer):
    """Each column of x (N, D) becomes ``width`` columns, piecewise linear in it, (N, D * width).

    ``y = w x + c + sum over bins t of component_t(x) v[t]``, where component t rises from 0 to 1
    between the edges of bin t; the first bin goes on to the left, and the last to the right. It is
    taken from the bin that x lies in, ``before[t] + part v[t]``, with the sums ``before`` of the
    bins to the left.

    Parameters
    ----------
    edges : tuple of tuple of float
        For each column its edges in increasing order, two at least; `from_quantiles` finds them.
    width : int
    learning_rate, decay : float
        Factors of the learning rate and of weight decay, of all parameters of the layer.
    """

    kind = "piecewise_linear"

    edges: tuple[tuple[float, ...], ...]
    width: int = 16
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "edges", pieces.checked_edges(self.edges))

    @classmethod
    def from_quantiles(
        cls, x: Any, bins: int = 48, distinct: int = 0, **keywords: Any
    ) -> PiecewiseLinear:
        """The layer with bins that hold about equally many of the rows x (N, D).

        Parameters
        ----------
        x : array (N, D)
            Training rows, finite.
        bins : int
            At most so many for each column. A column with one value has one bin, from there to 1
            above.
        distinct : int
            So many further bins hold about equally many of the distinct values of a column. Where
            most rows have the same value, these are the ones that tell the others apart.
        **keywords
            The other fields of the layer.
        """
        bins, x = CHECKS["int"](bins, "bins", None), as_numbers(x, "x")
        if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
            raise InputError(
                f"x {x.shape} must be rows and columns of finite numbers, one at least"
            )
        return cls(tuple(_edges(column, bins, distinct) for column in x.T), **keywords)

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        columns, bins = len(self.edges), max(map(len, self.edges)) - 1
        if x.width != columns:
            raise InputError(f"{self.kind}: edges of {columns} columns do not go with {x}")
        rates = Factors(self.learning_rate, self.decay)
        bound = uniform(1.0 / math.sqrt(self.width))
        w = wire.parameter("slope", (columns, self.width), bound, rates)
        c = wire.parameter("offset", (columns, self.width), bound, rates)
        v = wire.parameter("bins", (columns, bins, self.width), zeros, rates)
        inner = wire.parameter(
            "edges", (columns, max(1, bins - 1)), pieces.inner_edges(self.edges), learned=False
        )
        spans = wire.parameter("spans", (columns, bins, 2), pieces.spans(self.edges), learned=False)
        each = x.view(wire.label(f"{x.name}_each"), 0, 1, columns, 1)
        which = wire.buffer(f"bin{wire.linear_index}", (BATCH, columns))
        which_each = which.view(wire.label(f"{which.name}_each"), 0, 1, columns, 1)
        wire.maps(pieces.which, (each, inner), (which_each,))
        span = wire.buffer(f"span{wire.linear_index}", (BATCH, columns * 2))
        found = span.view(wire.label(f"{span.name}_each"), 0, 2, columns)
        wire.add(Lookup(spans, which, found))
        low, inverse = (
            span.view(wire.label(f"{span.name}_{n}"), i, 1, columns, 2)
            for i, n in enumerate(("low", "inverse"))
        )
        part = wire.map(pieces.part, (each, low, inverse), f"part{wire.linear_index}")
        wire.kinks.append((part, (0.0, 1.0)))
        until = wire.buffer(f"until{wire.linear_index}", v.axes)
        wire.add(Cumulate(v, until))
        member = (BATCH, columns, self.width)
        rows = [wire.buffer(f"{name}{wire.linear_index}", member) for name in ("upto", "step")]
        wire.add(Lookup(until, which, rows[0]))
        wire.add(Lookup(v, which, rows[1]))
        y = wire.buffer(f"embedded{wire.linear_index}", (BATCH, columns * self.width))
        out = y.view(wire.label(f"{y.name}_each"), 0, self.width, columns)
        wire.map(pieces.embedded, (each, w, c, part, *rows), out)
        return y, (x, each, w, c, v, which, part, inverse, rows[1])

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, each, w, c, v, which, part, inverse, step = saved
        given = dy.view(wire.label(f"{dy.name}_each"), 0, self.width, len(self.edges))
        outs = (f"{w.name}_rows", f"d{step.name}")
        dw, dstep = wire.maps(pieces.embedded_vjp, (each, part, given), outs)
        wire.gradient(w, dw)
        wire.gradient(c, given)
        upto, steps = (wire.buffer(f"d{v.name}_{n}", v.axes) for n in ("upto", "step"))
        wire.add(ScatterAdd(given, which, upto))
        wire.add(ScatterAdd(dstep, which, steps))
        wire.gradient(v, lambda out: Cumulate(upto, out, True, steps))
        if not wire.is_wanted(x):
            return None
        dx = wire.buffer(f"d{x.name}", x.axes)
        each_dx = dx.view(wire.label(f"{dx.name}_each"), 0, 1, len(self.edges), 1)
        wire.maps(pieces.embedded_vjp_input, (w, inverse, step, given), (each_dx,))
        return dx


def _edges(column: Any, bins: int, distinct: int) -> tuple[float, ...]:
    """The edges of one column (N,), see `PiecewiseLinear.from_quantiles`."""
    column = column.astype(np.float64)
    found = np.quantile(column, np.linspace(0.0, 1.0, bins + 1))
    if distinct:
        shares = np.linspace(0.0, 1.0, distinct + 1)
        found = np.append(found, np.quantile(np.unique(column), shares))
    found = np.unique(found)
    if len(found) < 2:
        return float(found[0]), float(found[0]) + 1.0
    least, inner = NARROWEST * (found[-1] - found[0]), found[1:-1]
    inner = inner[(np.diff(found[:-1]) > least) & (found[-1] - inner > least)]
    return float(found[0]), *inner.tolist(), float(found[-1])
