"""From the nodes of a plan to the kernels of a program: what is fused, and in which phases it runs.

There are two kinds of phases. *By rows*, a thread does its slice of the batch's rows: products and
the formulas on them. *By parameters*, each thread owns a part of every parameter: sums over the
batch, and updates. A new phase, after a barrier, begins where a node reads what a phase of the
other kind has written. A chain of layers has one of each. Where weights would travel between
processors more than the data does, threads own columns of the first layer instead, in both phases:
each then gathers the whole batch for itself, and a barrier follows the first layer. Where rows are
long and that layer is narrow, they own inputs of it, and hand its sums from one to the next: see
`split_k`.

Formulas on the elements of a product become its epilogue. Other formulas, such as those that reduce
over a row, become row maps. A buffer that is read only inside one kernel is never stored.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from ....errors import BackhandError
from ....expr.trace import trace
from ....plan.buffers import Buffer, Role, broadcast
from ....plan.nodes import (
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
from ....plan.scalars import names_of
from ....plan.step import Plan

Region = tuple[Buffer, int, int, int, int]


def region(buffer: Buffer) -> Region:
    """Which columns of which memory a buffer is; two buffers of one region hold the same."""
    apart = buffer.apart if buffer.members > 1 else 0
    return buffer.home, buffer.first, buffer.width, buffer.members, apart


@dataclasses.dataclass(frozen=True)
class Fused:
    """A product over the batch's rows and the formulas on its elements.

    ``stored`` are the buffers among its results that something else reads.
    """

    product: Product
    nodes: tuple[Map, ...]
    stored: tuple[Buffer, ...]

    @property
    def members(self) -> int:
        """M: how many rows it has for each row of the batch."""
        return self.product.out.members

    @property
    def width(self) -> int:
        """Columns of a row."""
        return self.product.out.width


@dataclasses.dataclass(frozen=True)
class RowMap:
    """Formulas on rows, which may reduce over a row. The loss is one, with its gradient."""

    nodes: tuple[Map | NormaliseWeights | ScaleRows, ...]
    members: int
    width: int
    stored: tuple[Buffer, ...]

    @property
    def counts_weights(self) -> bool:
        """Whether it needs the batch's sum of weights."""
        return any(isinstance(node, NormaliseWeights) for node in self.nodes)


RowKernel = Fused | RowMap | Lookup | MemberSum
SumNode = Product | BatchSum | ScatterAdd | Cumulate


@dataclasses.dataclass(frozen=True)
class Sum:
    """What gives a gradient, or another array without rows; and the update that consumes it."""

    node: SumNode
    update: Update | None

    @property
    def in_memory(self) -> bool:
        """Whether the gradient must be complete in its buffer before the update reads it."""
        return isinstance(self.node, (ScatterAdd, Cumulate))

    @property
    def source(self) -> Buffer:
        """What is summed; of a product over the batch, the right operand."""
        return self.node.right if isinstance(self.node, Product) else self.node.source


@dataclasses.dataclass(frozen=True)
class Phase:
    """What threads do between two barriers: kernels over rows, or sums and updates."""

    rows: tuple[RowKernel, ...]
    sums: tuple[Sum, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class KernelPlan:
    """The kernels of one step, in order. A kernel plan is equal to itself only.

    Attributes
    ----------
    plan : Plan
    gathers : tuple of Gather
    parameter_only : tuple of Sum
        What is made of parameters alone, before any rows.
    phases : tuple of Phase
    copied_out : tuple of Buffer
        Those that are copied, batch after batch, to arrays of the caller.
    accumulates : bool
        Whether batches are blocks of a single batch: sums go on from block to block, and the loss
        is a mean over all of them.
    reals, words : tuple of str
        The labels of per-step scalars, in the order in which they lie in memory.
    """

    plan: Plan
    gathers: tuple[Gather, ...]
    parameter_only: tuple[Sum, ...]
    phases: tuple[Phase, ...]
    copied_out: tuple[Buffer, ...]
    accumulates: bool
    reals: tuple[str, ...]
    words: tuple[str, ...]

    @functools.cached_property
    def kernels(self) -> tuple[RowKernel, ...]:
        """All that is done by rows."""
        return tuple(kernel for phase in self.phases for kernel in phase.rows)

    @functools.cached_property
    def sums(self) -> tuple[Sum, ...]:
        """All that is done by parameters."""
        return (*self.parameter_only, *(each for phase in self.phases for each in phase.sums))

    @functools.cached_property
    def transposed(self) -> tuple[Buffer, ...]:
        """Parameters of which a transposed copy is kept, because a product reads them so."""
        products = [kernel.product for kernel in self.kernels if isinstance(kernel, Fused)]
        return tuple(dict.fromkeys(p.right for p in products if p.right_transposed))

    @functools.cached_property
    def clip(self) -> Clip | None:
        """Whether gradients are stored, since their length must be known before any update."""
        return next((node for node in self.plan.nodes if isinstance(node, Clip)), None)

    @functools.cached_property
    def learns(self) -> bool:
        """Whether parameters are updated."""
        return any(each.update for each in self.sums)

    @functools.cached_property
    def has_barriers(self) -> bool:
        """Whether threads meet at barriers in every batch, since they sum over it."""
        return any(phase.sums for phase in self.phases)

    @functools.cached_property
    def sparse(self) -> bool:
        """Whether ``x`` are the stored entries of the caller's rows."""
        return any(gather.sparse for gather in self.gathers)

    @functools.cached_property
    def reads_x_in_products_only(self) -> bool:
        """Whether nothing but products and their sums reads x, and these read all of its columns.

        What they read lies exactly within its rows, so x may be the caller's array.
        """
        x = self.plan.x
        return all(
            isinstance(node, Product) and node.left == x
            for node in self.plan.nodes
            if any(buffer.home == x for buffer in node.reads)
        )

    @functools.cached_property
    def first(self) -> Fused | None:
        """The one product that reads x, if threads may own columns or inputs of it.

        It comes before all else, and what it reads besides x has no rows.
        """
        kernels = self.kernels
        if not self.reads_x_in_products_only or not kernels or not isinstance(kernels[0], Fused):
            return None
        found, x = kernels[0], self.plan.x
        products = [kernel.product for kernel in kernels if isinstance(kernel, Fused)]
        alone = [product.left for product in products].count(x) == 1
        if found.product.left != x or not alone or len(found.product.right.axes) != 2:
            return None
        inner = {out.home for node in (found.product, *found.nodes) for out in node.writes}
        noise = {node.out for node in self.plan.nodes if isinstance(node, Noise)}
        reads = {read.home for node in found.nodes for read in node.reads} - inner - noise
        return None if any(read.by_batch for read in reads) else found

    @functools.cached_property
    def first_update(self) -> Update | None:
        """The update of the first layer's weights; see `first`."""
        weights = self.first.product.right if self.first else None
        updates = (each.update for each in self.sums if each.update)
        return next((update for update in updates if update.parameter == weights), None)

    def is_narrow(self, buffer: Buffer) -> bool:
        """Whether a buffer with a number for each row has no padding between them."""
        return buffer.home in self._narrow

    @functools.cached_property
    def _narrow(self) -> set[Buffer]:
        plan = self.plan
        found = {node.out for node in plan.nodes if isinstance(node, NormaliseWeights)}
        homes = (gather.out for gather in self.gathers)
        found |= {out for out in homes if out.role is Role.WEIGHT or out.kind == "index"}
        return found | ({plan.loss} if plan.loss else set())


def plan_kernels(
    plan: Plan,
    outputs: Sequence[Buffer] = (),
    copied_out: Sequence[Buffer] = (),
    accumulates: bool = False,
) -> KernelPlan:
    """Arrange a plan's nodes into kernels.

    Parameters
    ----------
    plan : Plan
    outputs : sequence of Buffer
        Those that the caller wants to see, whatever else reads them.
    copied_out : sequence of Buffer
        Those that are copied to the caller's arrays; see `KernelPlan`.
    accumulates : bool
        Whether batches are blocks of one; there are no updates then.

    Raises
    ------
    BackhandError
        If the plan has a node that no kernel can be made for.
    """
    gathers = tuple(node for node in plan.nodes if isinstance(node, Gather))
    updates = {node.gradient: node for node in plan.nodes if isinstance(node, Update)}
    clip = next((node for node in plan.nodes if isinstance(node, Clip)), None)
    levels = _levels(plan)
    groups = _Groups(plan, levels)
    sums: dict[int, list[Sum]] = {}
    for node in plan.nodes:
        if isinstance(node, SumNode) and not _by_rows(node):
            each = Sum(node, updates.get(node.out))
            sums.setdefault(levels[id(node)], []).append(each)
        elif not isinstance(node, (Gather, Noise, Clip, Update)):
            if not all(out.by_batch or not out.axes for out in node.writes):
                raise BackhandError(
                    f"compiled engine: no kernel for {node}, which is no computation on rows"
                )
            groups.add(node)
    kept = {buffer.home for buffer in (*outputs, *copied_out)}
    rows = groups.kernels(kept | ({plan.loss} if plan.loss else set()))
    parameter_only = tuple(sums.pop(0, ()))
    phases = tuple(
        Phase(tuple(rows.get(level, ())), tuple(sums.get(level, ())))
        for level in sorted({*rows, *sums})
    )
    reals, words = _scalars(plan, [*updates.values()])
    reals += (CLIP_NORM, clip.out.name) if clip else ()
    out = tuple(copied_out)
    return KernelPlan(plan, gathers, parameter_only, phases, out, accumulates, reals, words)


CLIP_NORM = "clip_norm"
"""The label of the per-step scalar that limits the length of gradients."""


def _scalars(plan: Plan, updates: Sequence[Update]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of per-step scalars, real ones and words."""
    if updates:
        return names_of(plan, updates[0].optimiser)
    names = [(s.buffer.kind, s.buffer.name) for s in plan.scalars]
    return tuple(n for k, n in names if k == "real"), tuple(n for k, n in names if k == "word")


# phases -------------------------------------------------------------------------------------------


def _by_rows(node: Node) -> bool:
    """Whether what a node writes has a row for each row of the batch, or is the loss of rows."""
    return isinstance(node, ScaleRows) or node.writes[0].by_batch


def _levels(plan: Plan) -> dict[int, int]:
    """The phase of each node: those by rows are odd, those by parameters even."""
    written: dict[Buffer, Node] = {}
    levels: dict[int, int] = {}
    waited: set[Buffer] = set()
    for node in plan.nodes:
        if isinstance(node, (Gather, Clip, Update)):
            continue
        rows = _by_rows(node)
        level = 1 if rows else 0
        for read in (buffer.home for buffer in node.reads):
            waited.add(read)
            if read in written:
                before = written[read]
                other = _by_rows(before) != rows
                apart = not rows and not other and not _owned_alike(before, node)
                level = max(level, levels[id(before)] + (1 if other else 2 if apart else 0))
        levels[id(node)] = level
        written |= {out.home: node for out in node.writes}
    last = max([level for level in levels.values() if level % 2 == 0], default=0)
    for node in plan.nodes:  # sums are done together at the end, if nothing waits for them
        sum_ = isinstance(node, SumNode) and not _by_rows(node)
        if sum_ and levels[id(node)] and node.writes[0] not in waited:
            levels[id(node)] = max(last, levels[id(node)])
    return levels


def _owned_alike(before: Node, node: Node) -> bool:
    """Whether each thread owns the same part of what two nodes by parameters write."""
    members = isinstance(before, (ScatterAdd, Cumulate)) and isinstance(node, Cumulate)
    return members and len(before.writes[0].axes) == len(node.writes[0].axes) == 3


# groups of nodes that are one kernel --------------------------------------------------------------


class _Groups:
    """Collects nodes by rows into groups, each of which becomes a kernel."""

    def __init__(self, plan: Plan, levels: dict[int, int]) -> None:
        self._levels = levels
        self._groups: list[list[Any]] = []
        self._readers: dict[Buffer, list[int]] = {}
        for node in plan.nodes:
            for read in node.reads:
                self._readers.setdefault(read.home, []).append(id(node))

    def add(self, node: Node) -> None:
        """Let a node join the last group, or begin another."""
        joins = isinstance(node, (Map, ScaleRows)) and self._groups and self._fits(node)
        if joins:
            self._groups[-1].append(node)
        elif isinstance(node, (Product, Map, NormaliseWeights, Lookup, MemberSum)):
            self._groups.append([node])
        else:
            raise BackhandError(f"compiled engine: there is no kernel for {node}")

    def _fits(self, node: Map | ScaleRows) -> bool:
        group = self._groups[-1]
        first = group[0]
        if isinstance(first, (Lookup, MemberSum)):
            return False
        if self._levels[id(first)] != self._levels[id(node)]:
            return False
        inner = {region(out) for member in group for out in member.writes}
        homes = {key[0] for key in inner}
        read = [buffer for buffer in node.reads if buffer.home in homes]
        if any(region(buffer) not in inner for buffer in read):  # it must be in memory before
            return False
        if isinstance(node, ScaleRows):
            return True
        axes = _map_axes(node)
        if isinstance(first, Product):
            real = all(buffer.kind != "index" for buffer in node.reads)
            return real and axes == first.out.axes and not reduces(node)
        widths = [_map_axes(member) for member in group if isinstance(member, Map)]
        if widths and widths[0] != axes:
            return False
        return not (reduces(node) and read)  # else what it reads would be computed several times

    def kernels(self, kept: set[Buffer]) -> dict[int, list[RowKernel]]:
        """The kernels of each phase; ``kept`` are stored whoever reads them."""
        found: dict[int, list[RowKernel]] = {}
        for group in self._groups:
            kernel = self._kernel(group, kept)
            found.setdefault(self._levels[id(group[0])], []).append(kernel)
        return found

    def _kernel(self, group: list[Any], kept: set[Buffer]) -> RowKernel:
        first = group[0]
        if isinstance(first, (Lookup, MemberSum)):
            return first
        inside = {id(node) for node in group}
        stored = tuple(
            out
            for node in group
            for out in node.writes
            if out.home in kept
            or any(reader not in inside for reader in self._readers.get(out.home, ()))
        )
        if isinstance(first, Product):
            return Fused(first, tuple(group[1:]), stored)
        maps = [node for node in group if isinstance(node, Map)]
        axes = _map_axes(maps[0])
        members = int(axes[1]) if len(axes) == 3 else 1
        return RowMap(tuple(group), members, int(axes[-1]), stored)


def _map_axes(node: Map) -> tuple[int | str, ...]:
    """The axes that the inputs of a map have in common."""
    return broadcast([buffer for buffer in node.inputs if buffer is not None], str(node))


def reduces(node: Map) -> bool:
    """Whether a formula reduces over its row."""
    given = tuple(None if buffer is None else buffer.kind for buffer in node.inputs)
    scalars = tuple((name, buffer.kind) for name, buffer in node.scalars)
    return _reduces(node.formula, given, node.keywords, scalars)


@functools.lru_cache(maxsize=1024)
def _reduces(
    formula: Callable[..., object],
    given: tuple[str | None, ...],
    keywords: tuple[tuple[str, float], ...],
    scalars: tuple[tuple[str, str], ...],
) -> bool:
    kinds = {"real": "real", "word": "words", "index": "index"}
    inputs = [None if kind is None else (f"i{i}", kinds[kind]) for i, kind in enumerate(given)]
    named = {name: "scalar" if kind == "real" else "word" for name, kind in scalars}
    return trace(formula, inputs, {**dict(keywords), **named}).stages > 0
