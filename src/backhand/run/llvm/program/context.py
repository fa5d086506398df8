"""What all that writes a program's code has in common: the builder, the table, and who is where."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....plan.buffers import Buffer
from ..ir.builder import element, for_range, index, ir
from ..kernels.cancellation import MISSING, pieces
from ..kernels.sparse_rows import Entries
from .buffers import Layout, Place
from .kernel_plan import KernelPlan
from .kernel_set import Kernels
from .partition import Partition, Range


class Context:
    """A program while it is being written.

    Parameters
    ----------
    kernel_plan : KernelPlan
    layout : Layout
    kernels : Kernels
    sources : dict of str to dtype
        Of the caller's arrays, by the names that the plan gathers from.
    build : ir.IRBuilder
        Where code goes.
    at : dict of str to ir.Value
        The program's table: addresses and numbers.
    thread : ir.Value
        The number of the thread.

    Attributes
    ----------
    now : dict of str to ir.Value
        Of the batch at work: its first row ``begin``, how many ``rows``, its ``number`` in this
        run, its ``step``, the addresses of its ``scalars`` and ``words``, and the sum of its
        ``weights``.
    """

    def __init__(
        self,
        kernel_plan: KernelPlan,
        layout: Layout,
        kernels: Kernels,
        sources: dict[str, np.dtype],
        build: ir.IRBuilder,
        at: dict[str, ir.Value],
        thread: ir.Value,
    ) -> None:
        self.kernel_plan, self.layout, self.kernels = kernel_plan, layout, kernels
        self.sources, self.build, self.at, self.thread = sources, build, at, thread
        self.dtype, self.real = kernels.dtype, kernels.real
        self.i64 = ir.IntType(64)
        self.now: dict[str, ir.Value] = {}
        self.partition = Partition(build, at, thread, kernels.panel)

    # where things are ---------------------------------------------------------------------------

    def address(self, where: Place, *steps: ir.Value, kind: ir.Type | None = None) -> ir.Value:
        """Where a place begins, some elements further."""
        build, to = self.build, self.at[where.name]
        for step in (index(where.first), *steps) if where.first else steps:
            to = element(build, to, step, kind or self.real)
        return to

    def row_stride(self, where: Place) -> ir.Value:
        """From one row to the next."""
        return self.at["x.ld"] if where.name == self.kernel_plan.plan.x.name else index(where.row)

    def operand(self, where: Place, member: ir.Value | None, even: int) -> Range:
        """The address and row stride of an operand of a kernel.

        Parameters
        ----------
        where : Place
        member : ir.Value or None
            Of which member; None if the rows of all are taken as rows alone.
        even : int
            M, if they are.
        """
        if even > 1:
            return self.address(where), index(where.member)
        if member is None or not where.member:
            return self.address(where), self.row_stride(where)
        step = self.build.mul(member, index(where.member))
        return self.address(where, step), self.row_stride(where)

    def over_members(
        self,
        members: int,
        places: Sequence[Place],
        rows: Range,
        body: Callable[[Callable[[Place], Range], Range, Range], None],
    ) -> None:
        """Call ``body`` for the rows of each member, or once for all if their rows lie evenly.

        It is given ``operand(place)``, which is the address and stride of an operand; the rows; and
        a and b such that row n has the number ``a + b * n`` among all members' rows.
        """
        build = self.build
        begin: ir.Value = index(0)
        if self.kernel_plan.accumulates:  # rows of one batch, whichever block they are in
            begin = build.mul(self.now["begin"], index(members))
        if all(where.is_even(members) for where in places):
            first, last = (build.mul(row, index(members)) for row in rows)
            scaled = rows if members == 1 else (first, last)
            body(lambda where: self.operand(where, None, members), scaled, (begin, index(1)))
            return

        def one(member: ir.Value) -> None:
            numbers = build.add(begin, member), index(members)
            body(lambda where: self.operand(where, member, 1), rows, numbers)

        for_range(build, "member", index(0), index(members), one)

    # what threads share -------------------------------------------------------------------------

    def missing(self) -> ir.Value:
        """The address of the word that says that thread 0 never started."""
        return element(self.build, self.at["stop"], index(MISSING), self.i64)

    def barrier(self) -> None:
        with self.build.if_then(self.build.icmp_signed(">", self.at["threads"], index(1))):
            arrivals, threads = self.at["barrier"], self.at["threads"]
            self.build.call(self.kernels.barrier(), [arrivals, threads, self.missing()])

    def pieces(
        self,
        which: int,
        between: Range,
        piece: ir.Value,
        body: Callable[[ir.Value, ir.Value], None],
    ) -> None:
        pieces(self.build, self.at["stop"], which, between, piece, body)

    # sparse rows --------------------------------------------------------------------------------

    def entries(self, left: Buffer | None) -> Entries | None:
        """The types of the stored entries that a product reads; None if it reads rows."""
        gather = next((g for g in self.kernel_plan.gathers if g.sparse), None)
        if gather is None or left != gather.out:
            return None
        return Entries(self.sources[gather.source], self.sources[f"{gather.source}.indices"])

    def csr(self) -> list[ir.Value]:
        """The caller's CSR matrix and where the batch begins in it."""
        name = next(gather.source for gather in self.kernel_plan.gathers if gather.sparse)
        names = (name, f"{name}.indices", f"{name}.indptr", "order")
        return [*(self.at[name] for name in names), self.now["begin"]]
