"""From the nodes of a plan to the kernels of a program: what is fused, and which buffers it needs.

A step has two phases with a barrier after each. `Schedule.rowwise` is what a thread does for its
slice of the batch's rows; `Schedule.across` sums over the whole batch, each thread owning a part of
every parameter. Where weights would travel between processors more than the data does, threads
own columns of the first layer instead, in both phases: each then gathers the whole batch for
itself, and a barrier follows the first layer. Where rows are long and that layer is narrow, they
own inputs of it, and hand its sums from one to the next: see `split_k`.

Formulas on the elements of a product become its epilogue, and a buffer that is read only inside one
epilogue is never stored.
"""

from __future__ import annotations

import dataclasses

from ....errors import BackhandError
from ....plan.nodes import (
    Clip,
    ColumnSum,
    Gather,
    Map,
    Matmul,
    Node,
    Noise,
    NormaliseWeights,
    ScaleRows,
    Update,
)
from ....plan.step import Plan


@dataclasses.dataclass(frozen=True)
class Fused:
    """A product over the batch's rows and the formulas on its elements.

    ``stored`` are the buffers among its results that something else reads.
    """

    product: Matmul
    maps: tuple[Map, ...]
    stored: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RowLoss:
    """Formulas on rows of logits: the loss and its gradient, with each row's normalised weight."""

    normalise: NormaliseWeights
    maps: tuple[Map, ...]
    scales: tuple[ScaleRows, ...]
    stored: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class BatchSum:
    """A sum over the batch's rows, and the update that consumes it (or none: it is stored)."""

    node: Matmul | ColumnSum
    update: Update | None


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The kernels of one step, in order.

    ``copied_out`` are the outputs that are copied, batch after batch, to arrays of the caller. If
    it ``accumulates``, the batches are blocks of a single batch: sums go on from block to block,
    and the loss is a mean over all of them.
    """

    plan: Plan
    gathers: tuple[Gather, ...]
    rowwise: tuple[Fused | RowLoss, ...]
    batch_sums: tuple[BatchSum, ...]
    outputs: tuple[str, ...]
    copied_out: tuple[str, ...] = ()
    accumulates: bool = False

    @property
    def transposed(self) -> tuple[str, ...]:
        """Parameters of which a transposed copy is kept, because a product reads them so."""
        products = [group.product for group in self.rowwise if isinstance(group, Fused)]
        return tuple(p.right for p in products if p.right_transposed)

    @property
    def clips(self) -> bool:
        """Whether gradients are stored, since their length must be known before any update."""
        return any(reduced.update and reduced.update.optimiser.clips for reduced in self.batch_sums)

    @property
    def sparse(self) -> bool:
        """Whether ``x`` are the stored entries of the caller's rows."""
        return any(gather.sparse for gather in self.gathers)

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) of every buffer but parameters and their state; rows -1 is the batch."""
        widths = self.plan.description.widths
        found = {"x": (-1, widths[0]), "dx": (-1, widths[0])}
        for layer, width in enumerate(widths[1:], 1):
            for kind in ("z", "y", "h", "dz", "dy", "dh"):
                found[f"{kind}{layer}"] = (-1, width)
        return found


def schedule(
    plan: Plan,
    outputs: tuple[str, ...] = (),
    copied_out: tuple[str, ...] = (),
    accumulates: bool = False,
) -> Schedule:
    """Arrange a plan's nodes into kernels.

    Parameters
    ----------
    plan : Plan
    outputs : tuple of str
        Buffers that the caller wants to see, whatever else reads them.
    delivered : tuple of str
        Buffers that are copied to the caller's arrays; see `Schedule`.
    accumulates : bool
        Whether batches are blocks of one; there are no updates then.

    Raises
    ------
    BackhandError
        If the plan has a node that no kernel can be made for.
    """
    gathers = tuple(node for node in plan.nodes if isinstance(node, Gather))
    groups: list[list[Node]] = []
    sums: list[Matmul | ColumnSum] = []
    updates: dict[str, Update] = {}
    for node in plan.nodes:
        match node:
            case Gather() | Clip():
                pass
            case Update():
                updates[node.gradient] = node
            case ColumnSum():
                sums.append(node)
            case Matmul() if node.left_transposed:
                sums.append(node)
            case Matmul() | NormaliseWeights():
                groups.append([node])
            case _ if groups:
                groups[-1].append(node)
            case _:
                raise BackhandError(
                    f"compiled engine: no kernel for a plan that begins with {node}"
                )
    reads = _Readers(plan, (*outputs, *copied_out))
    rowwise = tuple(_fuse(group, reads) for group in groups)
    batch_sums = tuple(BatchSum(node, updates.get(node.out)) for node in sums)
    return Schedule(plan, gathers, rowwise, batch_sums, outputs, copied_out, accumulates)


class _Readers:
    """Who reads a buffer."""

    def __init__(self, plan: Plan, outputs: tuple[str, ...]) -> None:
        self._of: dict[str | None, list[Node | None]] = {name: [None] for name in outputs}
        for node in plan.nodes:
            for name in _inputs(node):
                self._of.setdefault(name, []).append(node)

    def stored(self, group: list[Node]) -> tuple[str, ...]:
        """Results of the group that something outside of it reads."""
        names = [node.out for node in group if not isinstance(node, (Noise, Update))]
        inside = {id(node) for node in group}
        return tuple(n for n in names if any(id(r) not in inside for r in self._of.get(n, [])))


def _inputs(node: Node) -> tuple[str | None, ...]:
    match node:
        case Matmul():
            return (node.left, node.right, node.bias)
        case ColumnSum():
            return (node.source,)
        case Map():
            return node.inputs
        case ScaleRows():
            return (node.source, node.share)
        case NormaliseWeights():
            return (node.weight,)
        case Update():
            return (node.parameter, node.gradient, *node.state)
    return ()


def _fuse(group: list[Node], reads: _Readers) -> Fused | RowLoss:
    first = group[0]
    maps = tuple(node for node in group if isinstance(node, Map))
    stored = reads.stored(group)
    if isinstance(first, NormaliseWeights):
        scales = tuple(node for node in group if isinstance(node, ScaleRows))
        return RowLoss(first, maps, scales, stored)
    assert isinstance(first, Matmul)
    return Fused(first, maps, stored)
