"""From a schedule to one function that runs many batches on a team of threads.

    for each batch:
        my rows: gather, then every row-wise kernel              barrier
            (or all rows, my columns or inputs of the first layer    barrier)
        my part of every parameter: sums over the batch, update  barrier

Every thread calls the function with the same table of addresses and numbers, and with its own
number. Kernels take sizes and strides as arguments, so layers that compute the same formulas share
one; only the shapes in the calls differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ....plan.nodes import Gather, Matmul, Update
from .. import tuning
from ..ir.builder import count, define, element, element_type, index, ir, minimum, null, unoptimised
from ..ir.padding import padded_columns
from ..kernels.cancellation import FAR, MISSING, ROWS, SUMS, is_set, leave_if_nonfinite, pieces
from ..kernels.gather import emit_gather
from ..kernels.sparse_rows import Entries
from ..machine.compile_store import CompileReady
from ..machine.fp_mode import flush_subnormals
from ..machine.target import Target
from .buffers import buffer_strides, can_split_k, packed, program_slots, static_shapes
from .kernel_plan import BatchSum, Fused, RowLoss, Schedule
from .kernel_set import Kernels
from .partition import Partition, Range, whole
from .split_k import SplitK


def emit_program(
    schedule: Schedule,
    target: Target,
    sources: dict[str, np.dtype],
    scalars: tuple[str, ...] = (),
    compile_ready: CompileReady = lambda module: None,
) -> ir.Module:
    """Emit the module that defines ``run(table, thread)``, the program of a schedule.

    Parameters
    ----------
    schedule : Schedule
    target : Target
    sources : dict of str to dtype
        Of the caller's arrays, by the names that the plan gathers from.
    scalars : tuple of str
        Names of the optimiser's run-time scalars; ``"l2"`` is among them.
    compile_ready : callable
        Called with the module whenever functions of it are complete; see `CompileStore.objects`.
    """
    return ProgramEmitter(schedule, target, sources, scalars, compile_ready).emit()


class ProgramEmitter:
    """Writes the program of a schedule."""

    def __init__(
        self,
        schedule: Schedule,
        target: Target,
        sources: dict[str, np.dtype],
        scalars: tuple[str, ...],
        compile_ready: CompileReady = lambda module: None,
    ) -> None:
        self.schedule, self.target, self.sources = schedule, target, sources
        self.dtype = np.dtype(schedule.plan.description.dtype)
        self.module = ir.Module("backhand")
        what = schedule.plan, scalars, schedule.accumulates
        self.kernels = Kernels(self.module, target, self.dtype, *what, compile_ready=compile_ready)
        self.pointer, self.i64 = ir.PointerType(), ir.IntType(64)
        self.real = element_type(self.dtype)
        self.packed = packed(schedule, self.kernels.panel)
        self.strides = buffer_strides(schedule, self.kernels.panel)
        self.scalars = scalars
        self.slots = program_slots(schedule, sources, len(scalars), self.kernels.panel)

    def emit(self) -> ir.Module:
        function, build = define(self.module, "run", [self.pointer, self.i64], external=True)
        unoptimised(function)
        table, self.thread = function.args
        self.build, self.entry = build, build.block
        self.piece: dict[int, ir.Value] = {}
        as_before = flush_subnormals(build, self.target)
        self.at: dict[str, ir.Value] = {}
        for place, (name, expected) in enumerate(self.slots.items()):
            kind = self.i64 if expected is None else self.pointer
            slot = element(build, table, index(place), self.i64)
            self.at[name] = build.load(slot, typ=kind, name=name)
        with build.if_then(build.icmp_signed("==", self.thread, index(0))):
            build.store(index(1), element(build, self.at["barrier"], index(1), self.i64))
        self.now: dict[str, ir.Value] = {}
        self.partition = Partition(build, self.at, self.thread, self.kernels.panel)
        self.split_k = SplitK(self) if can_split_k(self.schedule, self.kernels.panel) else None
        mine = build.mul(self.at["x.per_thread"], self.thread)
        self.all_x, self.total = element(build, self.at["x"], mine, self.real), None
        if self.schedule.accumulates and self._has_loss():
            self.total = self._weight_sum(index(0), self.at["rows"])
        count(build, "batch", self.at["first"], self.at["last"], self._batch)
        as_before()
        build.ret_void()
        return self.module

    def _batch(self, number: ir.Value) -> ir.Value | None:
        build, at = self.build, self.at
        begin = build.mul(number, at["batch"])
        rows = minimum(build, at["batch"], build.sub(at["rows"], begin))
        relative = build.sub(number, at["first"])
        width = index(max(1, len(self.scalars)))
        scalars = element(build, at["scalars"], build.mul(relative, width), self.real)
        step = build.trunc(build.add(at["step"], relative), ir.IntType(32))
        at["x"] = element(build, self.all_x, build.mul(begin, at["x.advance"]), self.real)
        self.now = {"begin": begin, "rows": rows, "scalars": scalars, "step": step}
        self.now["number"] = relative
        # Where no barrier holds threads together, one may be a batch ahead; so each keeps to the
        # same rows of the buffers, even in a last batch that is smaller.
        first, last = self.partition.part(rows if self.schedule.batch_sums else at["batch"])
        mine = minimum(build, first, rows), minimum(build, last, rows)
        every = self.partition.chosen((index(0), rows), mine)
        x = None
        for node in self.schedule.gathers:
            if node.out == "x":
                x = None if node.sparse else node
            else:
                self._gather(node, *mine)
        for group in self.schedule.rowwise:
            if isinstance(group, Fused) and group.product.left == "x":
                self._first_layer(x, group, every)
            elif isinstance(group, Fused):
                self._fused(group, mine)
            else:
                self._row_loss(group, mine)
        for name in self.schedule.copied_out:
            self._copy_out(name, mine)
        if not self.schedule.batch_sums:
            return build.select(is_set(build, at["stop"], ROWS), index(FAR), index(1))
        self._barrier()
        # Who leaves rows undone says so before this barrier, so here all threads agree.
        left = build.or_(is_set(build, at["stop"], ROWS + 1), is_set(build, at["stop"], MISSING))
        with build.if_then(build.and_(self._counts(), build.not_(left))):
            for phase in ("gradient", "update") if self.schedule.clips else ("",):
                if phase == "update":
                    self._barrier()
                    self._clip()
                    if self.schedule.sparse:  # whose updates clear what others may still sum
                        self._barrier()
                for owner, batch_sum in enumerate(self.schedule.batch_sums):
                    self._batch_sum(batch_sum, owner, phase)
            self._loss()
        self._barrier()
        return build.select(left, index(FAR), index(1))

    def _first_layer(self, x: Gather | None, group: Fused, mine: Range) -> None:
        """Gather x, if it is not read where it is, and take the product with it."""
        build = self.build

        def usual() -> None:
            if x:
                some = index(self.kernels.rows_at_once(1, self.columns("x")))
                self._pieces(ROWS, mine, some, functools.partial(self._gather, x))
            self._fused(group, mine, own_columns=True)

        if self.split_k and x:
            with build.if_else(self.partition.splits_k) as (split, not_split):
                with split:
                    self.split_k.run(x, group)
                with not_split:
                    usual()
        else:
            usual()
        with build.if_then(self.partition.separate_x):
            self._barrier()

    # what threads share ----------------------------------------------------------------------

    def _barrier(self) -> None:
        with self.build.if_then(self.build.icmp_signed(">", self.at["threads"], index(1))):
            arrivals, threads = self.at["barrier"], self.at["threads"]
            self.build.call(self.kernels.barrier(), [arrivals, threads, self.missing()])

    def missing(self) -> ir.Value:
        """The address of the word that says that thread 0 never started."""
        return element(self.build, self.at["stop"], index(MISSING), self.i64)

    def _pieces(
        self,
        which: int,
        between: Range,
        piece: ir.Value,
        body: Callable[[ir.Value, ir.Value], None],
    ) -> None:
        pieces(self.build, self.at["stop"], which, between, piece, body)

    # kernels ------------------------------------------------------------------------------------

    def _gather(self, node: Gather, first: ir.Value, last: ir.Value) -> None:
        build, out = self.build, node.out
        columns = self.columns(out)
        wide = padded_columns(columns) if self.strides[out] > columns else columns
        with build.if_then(build.icmp_unsigned("!=", self.at[node.source], null())):
            self.move(node, columns, wide, whole(columns), first, last)

    def move(
        self,
        node: Gather,
        columns: int,
        wide: int,
        some: Range,
        first: ir.Value,
        last: ir.Value,
    ) -> None:
        """Gather some columns of rows, padded to ``wide``, by the function for ``columns``."""
        build, at, source, out = self.build, self.at, node.source, node.out
        to = self.dtype if self.kernels.is_real(out) else np.dtype("int32")
        begin, end = some
        start = element(build, at[source], begin, element_type(self.sources[source]))
        where = start, at[f"{source}.stride"], at["order"], self.now["begin"]
        between = build.sub(end, begin), first, last, at["rows"]
        mover = self._mover(self.sources[source], to, columns, wide)
        build.call(mover, [*where, at[out], self.stride(out), *between])

    def _mover(self, dtype: np.dtype, to: np.dtype, columns: int, padded: int) -> ir.Function:
        lanes = self.target.lanes(self.dtype)
        return emit_gather(self.module, lanes, dtype, to, columns, padded)

    def _copy_out(self, name: str, mine: Range) -> None:
        """My rows of a buffer to the caller's array: row i of the batch is row begin + i there."""
        build, at, begin = self.build, self.at, self.now["begin"]
        columns = self.columns(name)
        arguments = [
            *(at[name], index(self.strides[name] * self.dtype.itemsize)),
            *(null(), build.neg(begin)),
            *(at[f"out.{name}"], index(columns), index(columns)),
            *(build.add(begin, row) for row in (*mine, mine[1])),
        ]
        build.call(self._mover(self.dtype, self.dtype, columns, columns), arguments)

    def stride(self, buffer: str) -> ir.Value:
        return self.at["x.ld"] if buffer == "x" else index(self.strides[buffer])

    def _panel_stride(self, weights: str) -> int:
        """Elements from one panel of columns of a layer's weights to the next."""
        height = self.schedule.plan.description.inputs if weights in self.packed else 1
        return self.kernels.panel * height

    def _operands(self, names: tuple[str, ...]) -> list[ir.Value]:
        return [value for name in names for value in (self.at[name], self.stride(name))]

    def columns(self, buffer: str) -> int:
        if buffer in ("t", "weight"):
            description = self.schedule.plan.description
            one = buffer == "weight" or description.loss.by_row
            return 1 if one else description.outputs
        return self.schedule.shapes[buffer][1]

    def _fused(self, group: Fused, mine: Range, own_columns: bool = False) -> None:
        at, node = self.at, group.product
        _, columns = self.schedule.shapes[node.out]
        entries = self._entries(node)
        right = f"{node.right}.T" if node.right_transposed else node.right
        w, bias = (at[right], index(self.strides[right])), at[node.bias or "zeros"]
        wide = padded_columns(columns)
        column_range = self.partition.columns_of(wide) if own_columns else whole(wide)
        depth = self.schedule.shapes[node.left][1]
        product = self.product(group, columns, entries)

        def rows(first: ir.Value, last: ir.Value) -> None:
            product(w, (bias, index(0)), (first, last), column_range, index(depth))

        piece = index(self.kernels.rows_at_once(depth, columns))
        self._pieces(ROWS, mine, piece, rows)

    def product(
        self, group: Fused, columns: int, entries: Entries | None = None
    ) -> Callable[..., None]:
        """What calls the kernel of a product: right and start with their strides; rows; columns."""
        build, at, node = self.build, self.at, group.product
        kernel, operands, layers = self.kernels.fused(group, entries, columns)
        extra = self._operands(operands) + [self._layer_key(layer) for layer in layers]

        def call(
            right: Range,
            start: Range,
            rows: Range,
            column_range: Range,
            depth: ir.Value,
        ) -> None:
            if entries:
                build.call(kernel, [*self._csr(), *right, start[0], *rows, *extra])
                return
            left, panel = (at[node.left], self.stride(node.left)), self._panel_stride(node.right)
            operands = *left, *right, index(panel), *start
            build.call(kernel, [*operands, *rows, *column_range, depth, *extra])

        return call

    def _entries(self, node: Matmul) -> Entries | None:
        """The types of the stored entries that a product reads; None if it reads rows."""
        if node.left != "x" or not self.schedule.sparse:
            return None
        return Entries(self.sources["all_x"], self.sources["all_x.indices"])

    def _csr(self) -> list[ir.Value]:
        """The caller's CSR matrix and where the batch begins in it."""
        names = ("all_x", "all_x.indices", "all_x.indptr", "order")
        return [*(self.at[name] for name in names), self.now["begin"]]

    def _layer_key(self, layer: int) -> ir.Value:
        seed = self.build.trunc(self.at["seed"], ir.IntType(32))
        return self.build.call(self.kernels.layer_key(), [seed, self.now["step"], _i32(layer)])

    def _row_loss(self, group: RowLoss, mine: Range) -> None:
        now = self.now
        total = now["weights"] = self.total or self._weight_sum(now["begin"], now["rows"])
        kernel, operands = self.kernels.row_loss(group)
        self.build.call(kernel, [*mine, total, *self._operands(operands)])
        if any(batch_sum.update for batch_sum in self.schedule.batch_sums):
            with self.build.if_then(self._counts()):
                value, begin = self.at["value"], now["begin"]
                leave_if_nonfinite(self.build, self.at["stop"], self.dtype, value, mine, begin)

    def _counts(self) -> ir.Value:
        """Whether a batch has any weight: if not, it says nothing, and is passed over."""
        zero = ir.Constant(ir.DoubleType(), 0)
        return self.build.fcmp_ordered(">", self.now["weights"], zero)

    def _has_loss(self) -> bool:
        return any(isinstance(group, RowLoss) for group in self.schedule.rowwise)

    def _weight_sum(self, begin: ir.Value, rows: ir.Value) -> ir.Value:
        """The sum of rows' weights; each thread works it out for itself, in one order."""
        build, at = self.build, self.at
        source = next(g.source for g in self.schedule.gathers if g.out == "weight")
        kernel = self.kernels.weight_sum(self.sources[source])
        return build.call(kernel, [at[source], at[f"{source}.stride"], at["order"], begin, rows])

    def _clip(self) -> None:
        """The factor of all gradients, among the step's scalars: every thread writes the same."""
        shapes, names = static_shapes(self.schedule), [r.node.out for r in self.schedule.batch_sums]
        limit, place = (
            element(self.build, self.now["scalars"], index(self.scalars.index(name)), self.real)
            for name in ("clip_norm", "clip")
        )
        gradients = [(self.at[name], *shapes[name]) for name in names]
        self.kernels.clip().store(self.build, gradients, limit, place)

    def _batch_sum(self, batch_sum: BatchSum, owner: int, phase: str = "") -> None:
        build, at, node = self.build, self.at, batch_sum.node
        entries = self._entries(node) if isinstance(node, Matmul) else None
        columns = self.columns(node.right if isinstance(node, Matmul) else node.source)
        kernel, operands = self.kernels.batch_sum(batch_sum, columns, entries, phase)
        stride, panel = self.stride(operands[0]), index(self._panel_stride(operands[0]))
        extra = [self.now["scalars"], stride, panel, *(at[name] for name in operands)]
        goes_on = self.schedule.accumulates or phase == "update"
        start = at[node.out] if goes_on else at["zeros"]
        depth = index(0) if phase == "update" else self.now["rows"]
        if not isinstance(node, Matmul):
            source = at[node.source], index(self.strides[node.source])
            arguments = [*source, index(0), depth, index(0), index(padded_columns(columns))]
            arguments += [start] if goes_on else []
            self.partition.on_one_thread(owner, lambda: build.call(kernel, [*arguments, *extra]))
            return
        height = self.schedule.shapes[node.left][1]
        wide = self.kernels.columns_summed(columns)
        mine = self.partition.part(index(height), self.kernels.unit(height))
        if entries:
            summed = self._operands((node.right, node.out))

            def add(
                first: ir.Value,
                last: ir.Value,
                some: Range = mine,
                done: bool = False,
            ) -> None:
                flag = ir.Constant(ir.IntType(1), done)
                build.call(kernel, [*self._csr(), first, last, *summed, *some, flag, *extra])

            def finish(first: ir.Value, last: ir.Value) -> None:
                add(*whole(0), (first, last), True)

            self._pieces(SUMS, (index(0), depth), index(tuning.SPARSE_PIECE_ROWS), add)
            self._pieces(SUMS, mine, self._sums_at_once(columns), finish)
            return
        left, column_range = at[node.left], whole(wide)
        if node.left == "x":
            mine = self.partition.chosen(whole(height), mine)
            column_range = self.partition.columns_of(wide)
            if self.split_k:
                left, mine = self.split_k.sums(left, mine)

        def sums(first: ir.Value, last: ir.Value) -> None:
            right = at[node.right], self.stride(node.right), index(self.kernels.panel)
            start_ld = index(self.strides[node.out] if goes_on else 0)
            between = first, last, *column_range, depth
            left_ = left, self.stride(node.left)
            build.call(kernel, [*left_, *right, start, start_ld, *between, *extra])

        self._pieces(SUMS, mine, self._sums_at_once(columns), sums)
        if phase == "gradient":
            return
        if batch_sum.update and batch_sum.update.parameter in self.schedule.transposed:
            self._transpose(batch_sum.update, mine, columns)

    def _sums_at_once(self, columns: int) -> ir.Value:
        """Rows of a parameter whose sums over a batch are a piece of work: whole units."""
        if columns not in self.piece:
            unit, most = self.kernels.units_at_once(columns)
            with self.build.goto_block(self.entry):
                units = self.build.udiv(index(most), self.at["batch"])
                self.piece[columns] = self.build.mul(self.build.add(units, index(1)), index(unit))
        return self.piece[columns]

    def _transpose(self, update: Update, mine: Range, columns: int) -> None:
        names = update.parameter, f"{update.parameter}.T"
        operands = [value for n in names for value in (self.at[n], index(self.strides[n]))]
        self.build.call(self.kernels.transpose(), [*operands, *mine, *whole(columns)])

    def _loss(self) -> None:
        """Thread 0 adds the batch's loss to the results."""
        if "value" not in self.strides:
            return
        numbers = self.at["value"], self.now["rows"], self.now["weights"], self.at["results"]
        self.partition.on_one_thread(0, lambda: self.build.call(self.kernels.add_loss(), numbers))


def _i32(value: int) -> ir.Value:
    return ir.Constant(ir.IntType(32), value)
