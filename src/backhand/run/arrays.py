"""The array executor: walks the plan with an array namespace, one node after another.

With NumPy it is the reference that a person can step through with a debugger. With PyTorch or
autograd the same lines give automatic differentiation something to differentiate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formulas import noise
from ..formulas.optimisers import clip_factor, l2_penalised
from ..plan.buffers import Buffer
from ..plan.nodes import (
    BatchSum,
    Clip,
    Cumulate,
    Gather,
    Lookup,
    Map,
    MemberSum,
    Node,
    Noise,
    NormaliseWeights,
    Product,
    ScaleRows,
    ScatterAdd,
    Update,
)
from ..plan.scalars import group_scalars
from ..plan.step import Plan
from .namespaces import NUMPY, is_sparse

Array = Any
Buffers = dict[str, Any]


def walk(plan: Plan, buffers: Mapping[str, Array], xp: Any = NUMPY) -> Buffers:
    """Run a plan.

    Parameters
    ----------
    plan : Plan
        The nodes to run.
    buffers : mapping of str to array
        What the plan reads, by the labels of its buffers: parameters, inputs ``x`` (N, D), targets
        ``t``, ``weight`` (N, 1); for dropout ``seed`` and ``step``; for a training step more, see
        `ArrayTrainer`. Per-step scalars have their settings' values if they are not given.
    xp : namespace
        What the formulas run with.

    Returns
    -------
    dict of str to array
        All buffers, those that were given included.
    """
    return all_values(plan, buffers, xp).at


def all_values(plan: Plan, buffers: Mapping[str, Array], xp: Any = NUMPY) -> Values:
    """Run a plan; the arrays of all its buffers, and of views."""
    values = values_of(plan, buffers, xp)
    for node in plan.nodes:
        perform(node, values)
    return values


def values_of(plan: Plan, buffers: Mapping[str, Array], xp: Any = NUMPY) -> Values:
    """What `walk` begins with: given buffers, and per-step scalars that are not given."""
    settings = {scalar.buffer.name: scalar.of(scalar.setting) for scalar in plan.scalars}
    return Values({**settings, **buffers}, xp)


class Values:
    """The arrays of a plan's buffers, by their labels; views are taken from their base.

    Parameters
    ----------
    at : dict of str to array
    xp : namespace
    """

    def __init__(self, at: Buffers, xp: Any) -> None:
        self.at, self.xp = at, xp
        self._parts: dict[Buffer, dict[Buffer, Array]] = {}

    def __getitem__(self, buffer: Buffer) -> Array:
        if buffer.name in self.at or buffer.base is None:
            return self.at[buffer.name]
        found = self._columns(buffer.base, buffer.base_columns)
        return found if len(buffer.axes) == 2 else found.reshape(len(found), *buffer.axes[1:])

    def __setitem__(self, buffer: Buffer, a: Array) -> None:
        self.at[buffer.name] = a
        if buffer.base is None:
            return
        parts = self._parts.setdefault(buffer.base, {})
        parts[buffer] = a
        if sum(len(part.base_columns) for part in parts) == buffer.base.width:
            self.at[buffer.base.name] = self._columns(buffer.base, range(buffer.base.width))

    def _columns(self, base: Buffer, columns: Sequence[int]) -> Array:
        """Columns of a base, of which there may be only some by now."""
        if base.name in self.at:
            return self.at[base.name][:, columns]
        parts = self._parts[base]
        there = [column for part in parts for column in part.base_columns]
        place = {column: at for at, column in enumerate(there)}
        flat = [a.reshape(len(a), len(part.base_columns)) for part, a in parts.items()]
        beside = self.xp.side_by_side(flat)
        return beside[:, [place[column] for column in columns]]


def perform(node: Node, at: Values) -> None:
    """Do what one node says, in place in the values."""
    xp = at.xp
    match node:
        case Product():
            bias = None if node.bias is None else at[node.bias]
            at[node.out] = _product(node, at[node.left], at[node.right], bias, xp)
        case Map():
            inputs = [None if buffer is None else at[buffer] for buffer in node.inputs]
            scalars = {name: at[buffer] for name, buffer in node.scalars}
            found: Any = node.formula(xp, *inputs, **dict(node.keywords), **scalars)
            for out, a in zip(node.outs, found if len(node.outs) > 1 else (found,), strict=True):
                at[out] = a
        case BatchSum():
            total = at[node.source].sum(0)
            at[node.out] = total if total.ndim == len(node.out.axes) else total.sum(0)
        case MemberSum():
            at[node.out] = at[node.source].sum(1)
        case Lookup():
            at[node.out] = at[node.table][_places(node, at)]
        case ScatterAdd():
            shape = tuple(node.out.axes)
            at[node.out] = xp.scatter_add(shape, _places(node, at), at[node.source])
        case Cumulate():
            total = xp.cumulated(at[node.source], node.reverse)
            at[node.out] = total if node.plus is None else total + at[node.plus]
        case NormaliseWeights():
            at[node.out] = node.formula(at[node.weight], node.outputs)
        case ScaleRows():
            at[node.out] = node.formula(at[node.source], at[node.share])
        case Gather():
            rows = at.at[node.source][at.at["order"]]
            at[node.out] = rows if node.out.kind == "index" else xp.cast(rows, at.at["dtype"])
        case Noise():
            at[node.out] = _words(node, at)
        case Clip():
            _clip(node, at)
        case Update():
            w, g, *state = (at[buffer] for buffer in node.reads)
            scalars = group_scalars(node.optimiser, node.group, at.at)
            given = {"scalars": scalars, "l2": at.at["l2"], "clip": at.at.get("clip")}
            new = node.apply(xp, w, g, *state, **given)
            for buffer, a in zip(node.writes, new, strict=True):
                at[buffer] = a


def _product(node: Product, left: Array, right: Array, bias: Array | None, xp: Any) -> Array:
    """``scale * (left @ right) + bias``, with members on the middle axis."""
    own = len(node.out.axes) == 3 if node.sums_batch else right.ndim == 3
    if node.sums_batch and not own and left.ndim == 3:  # members are summed as rows are
        left, right = (a.reshape(-1, a.shape[-1]) for a in (left, right))
    elif own:  # a product for each member, which goes first
        left = left.swapaxes(0, 1)
        right = right.swapaxes(0, 1) if node.sums_batch else right
        bias = bias[:, None] if bias is not None and bias.ndim == 2 else bias
    left = _transposed(left) if node.left_transposed else left
    right = _transposed(right) if node.right_transposed else right
    if node.scale == 1.0:
        found = xp.product(left, right, bias)
    else:
        found = xp.product(left, right, None) * node.scale
        found = found if bias is None else found + bias
    return found.swapaxes(0, 1) if own and not node.sums_batch else found


def _transposed(a: Array) -> Array:
    return a.T if a.ndim == 2 else a.swapaxes(-1, -2)  # sparse rows have no swapaxes


def _places(node: Lookup | ScatterAdd, at: Values) -> tuple[Array, ...]:
    """What a table is indexed with: the member, if there are some, and the number."""
    rows = at.xp.indices(at[node.index])
    table = node.table if isinstance(node, Lookup) else node.out
    if len(table.axes) == 2:
        return (rows[:, 0],)
    return at.xp.indices(np.arange(rows.shape[1]))[None, :], rows


def _words(node: Noise, at: Values) -> Array:
    """Words of noise, one for each unit of each row; a member's row counts as a row."""
    xp = at.xp
    x = at.at["x"]
    members, width = node.out.members, node.out.width
    seed, step, number = (xp.words(v, like=x) for v in (at.at["seed"], at.at["step"], node.number))
    row = xp.words(np.arange(x.shape[0] * members)[:, None], like=x)
    column = xp.words(np.arange(width), like=x)
    key = noise.row_key(xp, noise.layer_key(xp, seed, step, number), row)
    return noise.noise(xp, key, column).reshape(-1, *node.out.axes[1:])


def _clip(node: Clip, at: Values) -> None:
    squares = 0.0
    for gradient, parameter in node.gradients:
        if parameter is not None:
            at[gradient] = l2_penalised(at.xp, at[parameter], at[gradient], at.at["l2"])
        squares += float((np.asarray(at[gradient], np.float64) ** 2).sum())
    factor = clip_factor(at.xp, np.float64(squares), at.at["clip_norm"])
    at[node.out] = float(factor)


def first_nonfinite(plan: Plan, buffers: Mapping[str, Array]) -> str:
    """Find the first value of a training step that is not finite, in the order of computation.

    Parameters
    ----------
    plan : Plan
        Of a training step.
    buffers : mapping of str to array
        What its forward pass and loss read; see `walk`.

    Returns
    -------
    str
        Such as ``"layer 2 (outputs)"``.
    """
    for parameter in reversed(plan.parameters):  # as the step before has updated them
        if not _finite(buffers[parameter.buffer.name]):
            return f"{parameter.buffer.name} (a parameter)"
    values = values_of(plan, {**buffers, "dtype": plan.description.dtype})
    of = {result.buffer: result for result in plan.results}
    with np.errstate(all="ignore"):
        for node in plan.nodes:
            perform(node, values)
            for out in node.writes:
                if out == plan.x and not _finite(values[out]):
                    return f"the inputs as {plan.description.dtype}"
                if out == plan.logits and not _finite(values[out]):
                    return f"layer {of[out].linear_index} (the logits)"
                if out in of and not _finite(values[out]):
                    kind = "pre-activations" if of[out].letter == "z" else "outputs"
                    return f"layer {of[out].linear_index} ({kind})"
            if node.writes[0] == plan.loss:
                break
    return "the loss of the logits"


def _finite(a: Array) -> bool:
    return bool(np.isfinite(a.data if is_sparse(a) else a).all())
