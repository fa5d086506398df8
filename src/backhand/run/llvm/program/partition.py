"""Partition of a step's work among threads: which rows, columns or inputs each of them owns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..ir.builder import index, ir, minimum

Range = tuple["ir.Value", "ir.Value"]
"""The first and one past the last."""


def whole(size: int) -> Range:
    """All of ``range(size)``."""
    return index(0), index(size)


class Partition:
    """Writes ranges that depend on the thread.

    Parameters
    ----------
    build : ir.IRBuilder
    at : mapping of str to ir.Value
        The program's table.
    thread : ir.Value
        The thread's number.
    panel : int
        Columns that always have the same owner.

    Attributes
    ----------
    separate_x, splits_k, by_columns : ir.Value
        Whether each thread has an x of its own; and whether that is because it owns inputs of the
        first layer (see `split_k`), or columns of it. See `kernel_plan`.
    """

    def __init__(
        self, build: ir.IRBuilder, at: Mapping[str, ir.Value], thread: ir.Value, panel: int
    ) -> None:
        self.build, self.threads, self.thread, self.panel = build, at["threads"], thread, panel
        self.separate_x = build.icmp_signed("!=", at["x.per_thread"], index(0))
        self.splits_k = build.icmp_signed("!=", at["x.split_k"], index(0))
        self.by_columns = build.and_(self.separate_x, build.not_(self.splits_k))

    def part(self, size: ir.Value, unit: int = 1) -> Range:
        """This thread's part of ``range(size)``, in units; the first threads may have one more."""
        build = self.build
        units = build.sdiv(build.add(size, index(unit - 1)), index(unit))
        others = build.sub(self.threads, index(1))

        def bound(thread: ir.Value) -> ir.Value:
            share = build.sdiv(build.add(build.mul(units, thread), others), self.threads)
            return minimum(build, build.mul(share, index(unit)), size)

        return bound(self.thread), bound(build.add(self.thread, index(1)))

    def chosen(self, by_columns: Range, shared: Range) -> Range:
        """One range if this thread owns columns of the first layer, another if not."""
        first, last = (
            self.build.select(self.by_columns, mine, ours)
            for mine, ours in zip(by_columns, shared, strict=True)
        )
        return first, last

    def columns_of(self, wide: int) -> Range:
        """The columns of the first layer that this thread works on: whole panels, or all."""
        return self.chosen(self.part(index(wide), self.panel), whole(wide))

    def on_one_thread(self, owner: int, body: Callable[[], object]) -> None:
        """``body`` on a single thread."""
        build = self.build
        chosen = build.urem(index(owner), self.threads)
        with build.if_then(build.icmp_signed("==", chosen, self.thread)):
            body()
