"""The kernels of a program: products and row formulas with the plan's formulas traced into them.

A kernel is made for what it computes, not for a layer: sizes, strides and addresses are arguments,
and two layers that compute the same share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ....expr.graph import Graph
from ....plan.buffers import Buffer
from ....plan.nodes import Product
from ....plan.scalars import L2
from .. import tuning
from ..ir.builder import element, element_type, index, ir
from ..ir.padding import padded_columns
from ..ir.simd import Lanes
from ..kernels import (
    barrier,
    batch_totals,
    column_sum,
    gemm,
    gemm_loops,
    grad_norm,
    row_map,
    sparse_rows,
    transpose,
)
from ..kernels.tile import choose_tile, panel_columns
from ..lowering.lower import emit_vector
from ..machine.compile_store import CompileReady
from ..machine.target import Target
from .formula_graphs import Names, RowFormula, is_row, row_formula, sum_graph
from .kernel_plan import Fused, KernelPlan, RowMap, Sum
from .specialise import target_for_sums

T = TypeVar("T")


class Kernels:
    """Makes kernels in a module, each once.

    Parameters
    ----------
    module : llvmlite.ir.Module
    target : Target
    kernel_plan : KernelPlan
    single_row : bool
        Whether batches have one row.
    compile_ready : callable
        Called with the module when a kernel is complete; see `CompileStore.objects`.
    """

    def __init__(
        self,
        module: ir.Module,
        target: Target,
        kernel_plan: KernelPlan,
        single_row: bool = False,
        compile_ready: CompileReady = lambda module: None,
    ) -> None:
        self.module, self.target, self.kernel_plan = module, target, kernel_plan
        self.dtype = np.dtype(kernel_plan.plan.description.dtype)
        self._compile_ready = compile_ready
        self.pointer, self.i64 = ir.PointerType(), ir.IntType(64)
        self.real, self.word = element_type(self.dtype), ir.IntType(32)
        self._tile = choose_tile(target, single_row=single_row)
        self.panel = panel_columns(target, self.dtype, self._tile)
        self._start: gemm_loops.Start = "rows" if kernel_plan.accumulates else "zero"
        products = [kernel.product for kernel in kernel_plan.kernels if isinstance(kernel, Fused)]
        sums = [each.node.out for each in kernel_plan.sums]
        units = (out.width for out in (*(p.out for p in products), *sums))
        self._columns = {padded_columns(width) for width in units}
        self._shapes = [*{p.right: _rows_and_columns(p.right) for p in products}.values()]
        updates = [each.update for each in kernel_plan.sums if each.update]
        self._weights = sum(math.prod(map(int, each.parameter.axes)) for each in updates)
        self._own: Names = ()
        if updates:
            optimiser = updates[0].optimiser
            self._own = tuple(optimiser.scalars(1, 1.0, **optimiser.keywords))
        self._made: dict[str, Any] = {}

    @property
    def group_scalars(self) -> int:
        """How many per-step scalars each group of parameters has."""
        return len(self._own)

    def unit(self, height: int) -> int:
        """Rows of a product that threads share out together."""
        return self.height if height > tuning.WHOLE_TILES_ROWS else 1

    @property
    def height(self) -> int:
        """Rows of the main tile."""
        return self._tile.rows[0]

    def rows_at_once(self, depth: int, columns: int) -> int:
        """Rows of a product that are a piece of work: whole tiles of it."""
        return self.height * max(1, tuning.PIECE_WORK // (2 * depth * columns * self.height))

    def units_at_once(self, columns: int) -> tuple[int, int]:
        """Rows of a tile, and for a sum of depth 1 the tiles that are a piece of work."""
        return self.height, tuning.PIECE_WORK // (2 * columns * self.height)

    # kernels over the batch's rows --------------------------------------------------------------

    def fused(
        self, group: Fused, entries: sparse_rows.Entries | None = None
    ) -> tuple[ir.Value, RowFormula]:
        """The kernel of a product and its formulas.

        Parameters
        ----------
        group : Fused
        entries : Entries, optional
            Of the stored entries that it reads; the arguments are then those of
            `sparse_rows.emit_rows`.

        Returns
        -------
        function
            With the arguments of `gemm.emit_product`; for each operand its address and stride;
            the columns; as of `row_map.emit_row_map`, what makes numbers of rows; then for each
            layer of noise its key, and the per-step scalars.
        formula : RowFormula
            Its operands are what it reads, then what it stores.
        """
        formula = row_formula(group, self.kernel_plan)
        columns, outputs = group.width, self._outputs(formula)
        kind = f"stored{padded_columns(columns)}" if entries else "fused"
        name = self._name(kind, formula.graph, (len(formula.reads), outputs))
        if name not in self._made:
            self._made[name] = self._product(name, formula, outputs, entries, columns)
            self._compile_ready(self.module)
        return self._made[name], formula

    def _outputs(self, formula: RowFormula) -> list[row_map.Output]:
        """How each result of a formula is stored: nothing gets beside a view, or from there."""
        beside = any(read.base for read in formula.reads)
        found: list[row_map.Output] = []
        for buffer in formula.stores:
            one = not is_row(buffer, formula.width, self.kernel_plan)
            found.append("number" if one else "columns" if beside or buffer.base else "row")
        return found

    def _numbers(self, formula: RowFormula) -> list[tuple[str, ir.Type]]:
        """Inputs that are the same for all rows: names and types."""
        found: list[tuple[str, ir.Type]] = [
            (f"key{i}", self.word) for i in range(len(formula.layers))
        ]
        for i, buffer in enumerate(formula.scalars):
            found.append((f"scalar{i}", self.real if buffer.kind == "real" else self.word))
        return found

    def _product(
        self,
        name: str,
        formula: RowFormula,
        outputs: Sequence[row_map.Output],
        entries: sparse_rows.Entries | None,
        wide: int,
    ) -> ir.Function:
        graph, reads = formula.graph, len(formula.reads)
        operands = 2 * (reads + len(outputs))
        numbers = self._numbers(formula)

        def epilogue(
            build: ir.IRBuilder,
            value: ir.Value,
            row: ir.Value,
            column: ir.Value,
            extra: Sequence[ir.Value],
        ) -> None:
            lanes = Lanes(build, self.dtype, self.target.lanes(self.dtype))
            pairs, rest = extra[:operands], extra[operands:]
            columns, row_first, row_step, *values = rest
            inputs = {"product": value}
            if "row" in graph.inputs:
                number = build.add(row_first, build.mul(row, row_step))
                inputs["row"] = build.trunc(number, self.word)
            inputs |= {key: given for (key, _), given in zip(numbers, values, strict=True)}
            for i, (base, stride) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
                kind = graph.inputs.get(f"read{i}")
                start = element(build, base, build.mul(row, stride), self.real)
                if kind == "scalar":
                    inputs[f"read{i}"] = build.load(start, typ=self.real)
                elif kind:
                    inputs[f"read{i}"] = lanes.load(element(build, start, column, self.real))
            results = emit_vector(graph, lanes, inputs, column)
            stores = zip(pairs[2 * reads :: 2], pairs[2 * reads + 1 :: 2], strict=True)
            for result, (base, stride), output in zip(results, stores, outputs, strict=True):
                place = element(build, base, build.add(build.mul(row, stride), column), self.real)
                if output == "columns":
                    inside = lanes.splat(build.trunc(columns, self.word))
                    mask = lanes.word_below(lanes.columns(column), inside)
                    lanes.masked_store(result, place, mask)
                else:
                    lanes.store(result, place)

        extra = [self.pointer, self.i64] * (operands // 2) + [self.i64] * 3
        extra += [kind for _, kind in numbers]
        if entries:
            where = self.module, name, self.target, self.dtype
            padded = padded_columns(wide)
            return sparse_rows.emit_rows(*where, entries, padded, epilogue=epilogue, extra=extra)
        return gemm.emit_product(
            self.module,
            name,
            self.target,
            self.dtype.name,
            left="rows",
            start="rows",
            epilogue=epilogue,
            columns=self._columns,
            tile=self._tile,
            extra=extra,
        )

    def _name(self, kind: str, graph: Graph, more: Any) -> str:
        """A name that is the same for the same computation."""
        text = f"{kind} {more} {graph.inputs} {graph}"
        return f"{kind}.{self._made.setdefault(text, len(self._made))}"

    def row_map(self, group: RowMap) -> tuple[ir.Value, RowFormula]:
        """The kernel of formulas over rows; see `row_map.emit_row_map` for its arguments."""
        formula, columns = row_formula(group, self.kernel_plan), group.width
        outputs = self._outputs(formula)
        name = self._name(f"rows{columns}", formula.graph, (len(formula.reads), outputs))
        if name not in self._made:
            reads = [f"read{i}" for i in range(len(formula.reads))]
            where = self.module, name, self.target, self.dtype
            numbers = self._numbers(formula)
            self._made[name] = row_map.emit_row_map(
                *where, formula.graph, columns, reads, outputs, numbers
            )
            self._compile_ready(self.module)
        return self._made[name], formula

    # sums over the batch, and updates -----------------------------------------------------------

    def sum(
        self,
        each: Sum,
        columns: int,
        entries: sparse_rows.Entries | None = None,
        phase: str = "",
    ) -> tuple[ir.Value, tuple[Buffer, ...]]:
        """The kernel of a gradient of a parameter, and of its update.

        Parameters
        ----------
        each : Sum
        columns : int
            Of the parameter.
        entries : Entries, optional
            Of the stored entries that it sums; the arguments are those of `sparse_rows.emit_sums`.
        phase : {"", "gradient", "update"}
            Whether it only stores the gradient, or only updates by a stored one, which is what it
            starts from.

        Returns
        -------
        function
            With the arguments of `gemm.emit_product` or `column_sum.emit_column_sum`, then the
            addresses of the scalars of the parameter's group and of all, the row stride of the
            operands, the distance of two panels in them, and their addresses.
        operands : tuple of Buffer
            Buffers that it reads and stores.
        """
        graph, operands = sum_graph(each, self._own, phase)
        is_product = self.is_product(each)
        kind = "weights" if is_product else "biases"
        target = self.target
        if entries:
            kind = f"stored{padded_columns(columns)}."
        elif is_product:
            target = self._target_for_sums(columns)
        start: gemm_loops.Start = "rows" if phase == "update" or each.in_memory else self._start
        # other columns lie beside those of a view, and are none of the parameter's
        inside = columns if each.source.base and not each.in_memory else None
        kind = f"{kind}{target.lanes(self.dtype)}{phase and '.'}{phase}"
        name = self._name(kind, graph, (len(operands), start, inside))
        if name not in self._made:
            what = name, graph, len(operands), is_product, entries, columns, phase
            self._made[name] = self._sum(*what, target, start, inside)
            self._compile_ready(self.module)
        return self._made[name], operands

    @staticmethod
    def is_product(each: Sum) -> bool:
        """Whether the kernel of a sum is a product's, and not a column sum's.

        So are updates by a gradient that is complete in its buffer.
        """
        return isinstance(each.node, Product) or each.in_memory

    def columns_summed(self, columns: int) -> int:
        """Columns of the weights that their sum over the batch covers: whole vectors."""
        target = self._target_for_sums(columns)
        return padded_columns(columns) if target == self.target else target.lanes(self.dtype)

    def _target_for_sums(self, columns: int) -> Target:
        return target_for_sums(self.target, self.dtype, self._shapes, columns)

    def _sum(
        self,
        name: str,
        graph: Graph,
        operands: int,
        is_product: bool,
        entries: sparse_rows.Entries | None,
        wide: int,
        phase: str,
        target: Target,
        start: gemm_loops.Start,
        inside: int | None,
    ) -> ir.Function:
        lanes_count = target.lanes(self.dtype)
        places_of = {key: (0, i) for i, key in enumerate(self._own)}
        reals, clip = self.kernel_plan.reals, self.kernel_plan.clip
        places_of |= {"l2": (1, reals.index(L2))} if L2 in reals else {}
        places_of |= {"clip": (1, reals.index(clip.out.name))} if clip else {}
        scalars = [key for key in places_of if key in graph.inputs]
        far = operands * self._weights * self.dtype.itemsize > tuning.PREFETCH_BYTES

        def prepare(build: ir.IRBuilder, extra: Sequence[ir.Value]) -> list[ir.Value]:
            """The per-step scalars in all lanes, once for all the epilogues."""
            lanes = Lanes(build, self.dtype, lanes_count)
            found = [(extra[which], index(at)) for which, at in (places_of[k] for k in scalars)]
            places = [element(build, base, at, self.real) for base, at in found]
            spread = [lanes.splat(build.load(place, typ=self.real)) for place in places]
            panel_stride = build.sub(extra[3], index(self.panel))
            return [extra[2], panel_stride, *extra[4:], *spread]

        def places(
            build: ir.IRBuilder, row: ir.Value, column: ir.Value, extra: Sequence[ir.Value]
        ) -> list[ir.Value]:
            stride, panel_stride, *bases = extra[: 2 + operands]
            panels = build.mul(build.udiv(column, index(self.panel)), panel_stride)
            at = build.add(build.mul(row, stride), build.add(column, panels))
            return [element(build, base, at, self.real) for base in bases]

        def epilogue(
            build: ir.IRBuilder,
            value: ir.Value,
            row: ir.Value,
            column: ir.Value,
            extra: Sequence[ir.Value],
        ) -> None:
            lanes = Lanes(build, self.dtype, lanes_count)
            at, given = places(build, row, column, extra), extra[2 + operands :]
            if inside:
                mask = lanes.word_below(lanes.columns(column), lanes.word(inside))
                value = lanes.where(mask, value, lanes.real(0.0))
            inputs = {"gradient": value, **dict(zip(scalars, given, strict=True))}
            for i in range(operands):
                if f"read{i}" in graph.inputs:
                    inputs[f"read{i}"] = lanes.load(at[i])
            results = emit_vector(graph, lanes, inputs, column)
            for result, place in zip(results, at, strict=not phase):
                lanes.store(result, place)

        pointer = self.pointer
        common: dict[str, Any] = {
            "epilogue": epilogue,
            "prepare": prepare,
            "extra": [pointer, pointer, self.i64, self.i64, *[pointer] * operands],
        }
        if entries:
            where = self.module, name, self.target, self.dtype
            return sparse_rows.emit_sums(*where, entries, padded_columns(wide), **common)
        common["start"] = start
        if is_product:
            own = target != self.target
            common["columns"] = {self.columns_summed(wide)} if own else self._columns
            return gemm.emit_product(
                self.module,
                name,
                target,
                self.dtype.name,
                left="columns",
                reads=places if far and not phase else None,
                **common,
            )
        return column_sum.emit_column_sum(
            self.module, name, self.target, self.dtype.name, columns=self._columns, **common
        )

    # functions that every program has -------------------------------------------------------------

    def barrier(self) -> ir.Function:
        return self._once("barrier", lambda: barrier.emit_barrier(self.module, self.wait()))

    def wait(self) -> ir.Function:
        x86 = self.target.triple.startswith("x86")
        pause = ("llvm.x86.sse2.pause", ()) if x86 else ("llvm.aarch64.hint", (1,))
        return self._once("wait", lambda: barrier.emit_wait(self.module, *pause))

    def weight_sum(self, source: np.dtype) -> ir.Function:
        return self._once("weight_sum", lambda: batch_totals.emit_weight_sum(self.module, source))

    def add_loss(self) -> ir.Function:
        return self._once("add_loss", lambda: batch_totals.emit_add_loss(self.module, self.dtype))

    def transpose(self) -> ir.Function:
        where = self.module, "transpose", self.target, self.dtype.name
        return self._once("transpose", lambda: transpose.emit_transpose(*where))

    def clip(self) -> grad_norm.ClipFactor:
        where = self.module, self.target, self.dtype
        return self._once("clip", lambda: grad_norm.ClipFactor(*where))

    def layer_key(self) -> ir.Function:
        """``layer_key(seed, step, layer) -> word``, by the formula."""
        return self._once("layer_key", lambda: batch_totals.emit_layer_key(self.module, self.dtype))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        made: T = self._made.get(name) or self._made.setdefault(name, make())
        return made


def _rows_and_columns(right: Buffer) -> tuple[int, int]:
    """Of the matrices of a product, one below the other."""
    *rows, columns = (int(length) for length in right.axes)
    return math.prod(rows), columns
