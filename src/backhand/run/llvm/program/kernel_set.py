"""The kernels of a program: products and row formulas with the plan's formulas traced into them.

A kernel is made for what it computes, not for a layer: sizes, strides and addresses are arguments,
and two layers that compute the same share one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ....expr.graph import Graph
from ....plan.nodes import Matmul, Noise
from ....plan.step import Plan
from .. import tuning
from ..ir.builder import element, element_type, index, ir
from ..ir.padding import padded_columns
from ..ir.simd import Lanes
from ..kernels import (
    barrier,
    batch_totals,
    column_sum,
    gemm,
    grad_norm,
    row_loss,
    sparse_rows,
    transpose,
)
from ..kernels.tile import choose_tile, panel_columns
from ..lowering.lower import emit_vector
from ..machine.compile_store import CompileReady
from ..machine.target import Target
from .formula_graphs import Names, batch_sum_graph, fused_graph, row_loss_graph
from .kernel_plan import BatchSum, Fused, RowLoss
from .specialise import target_for_sums

T = TypeVar("T")


class Kernels:
    """Makes kernels in a module, each once.

    Parameters
    ----------
    module : llvmlite.ir.Module
    target : Target
    dtype : dtype
    plan : Plan
    scalars : tuple of str
        Run-time scalars of the update, in the order in which they lie in memory.
    accumulates : bool
        Whether sums over the batch start from what they are stored in.
    single_row : bool
        Whether batches have one row.
    compile_ready : callable
        Called with the module when a kernel is complete; see `CompileStore.objects`.
    """

    def __init__(
        self,
        module: ir.Module,
        target: Target,
        dtype: np.dtype,
        plan: Plan,
        scalars: Names,
        accumulates: bool = False,
        single_row: bool = False,
        compile_ready: CompileReady = lambda module: None,
    ) -> None:
        self.module, self.target, self.dtype = module, target, dtype
        self._compile_ready = compile_ready
        self.pointer, self.i64 = ir.PointerType(), ir.IntType(64)
        self.real, self.word = element_type(dtype), ir.IntType(32)
        self._tile = choose_tile(target, single_row=single_row)
        self.panel = panel_columns(target, dtype, self._tile)
        self._scalars, self._start = scalars, "rows" if accumulates else "zero"
        self._words = {n.out: n.layer for n in plan.nodes if isinstance(n, Noise)}
        self._classes = plan.description.loss.by_row
        self._outputs = plan.description.outputs
        # every product has as many columns as some layer has units, but for a gradient at x
        inputs = any(isinstance(node, Matmul) and node.out == "dx" for node in plan.nodes)
        units = plan.description.widths[0 if inputs else 1 :]
        self._columns = {padded_columns(width) for width in units}
        self._shapes = plan.description.shapes
        self._made: dict[str, Any] = {}

    def is_real(self, buffer: str) -> bool:
        """Whether a gathered buffer holds numbers, and not class indices."""
        return not (buffer == "t" and self._classes)

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

    # products over the batch's rows, with formulas on their elements ----------------------------

    def fused(
        self, group: Fused, entries: sparse_rows.Entries | None = None, columns: int = 0
    ) -> tuple[ir.Value, Names, tuple[int, ...]]:
        """The kernel of a product and its formulas.

        Parameters
        ----------
        group : Fused
        entries : Entries, optional
            Of the stored entries that it reads; the arguments are then those of
            `sparse_rows.emit_rows`.
        columns : int
            Of the product.

        Returns
        -------
        function
            With the arguments of `gemm.emit_product`, then for each operand its address and
            stride, then for each layer of noise its key.
        operands : tuple of str
            Buffers that it reads, then buffers that it stores.
        layers : tuple of int
            Whose noise it draws.
        """
        graph, outer, layers = fused_graph(group, self._words)
        operands = outer + group.stored
        name = self._name("stored" if entries else "fused", graph, len(outer))
        if name not in self._made:
            self._made[name] = self._product(
                name, graph, len(outer), len(group.stored), len(layers), entries, columns
            )
            self._compile_ready(self.module)
        return self._made[name], operands, layers

    def _product(
        self,
        name: str,
        graph: Graph,
        reads: int,
        stores: int,
        keys: int,
        entries: sparse_rows.Entries | None,
        wide: int,
    ) -> ir.Function:
        def epilogue(
            build: ir.IRBuilder,
            value: ir.Value,
            row: ir.Value,
            column: ir.Value,
            extra: Sequence[ir.Value],
        ) -> None:
            lanes = Lanes(build, self.dtype, self.target.lanes(self.dtype))
            places = self._places(build, extra[: 2 * (reads + stores)], row, column)
            inputs = {"product": value, "row": build.trunc(row, self.word)}
            inputs |= {f"key{i}": extra[2 * (reads + stores) + i] for i in range(keys)}
            inputs |= {f"read{i}": lanes.load(places[i]) for i in range(reads)}
            given = {key: inputs[key] for key in graph.inputs}
            results = emit_vector(graph, lanes, given, column)
            for result, place in zip(results, places[reads:], strict=True):
                lanes.store(result, place)

        extra = [self.pointer, self.i64] * (reads + stores) + [self.word] * keys
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
            short=len(graph.nodes) <= tuning.SHORT_FORMULA and not graph.calls,
            tile=self._tile,
            extra=extra,
        )

    def _places(
        self, build: ir.IRBuilder, extra: Sequence[ir.Value], row: ir.Value, column: ir.Value
    ) -> list[ir.Value]:
        """Addresses of element (row, column) of buffers given as (address, stride) pairs."""
        return [
            element(build, base, build.add(build.mul(row, stride), column), self.real)
            for base, stride in zip(extra[::2], extra[1::2], strict=True)
        ]

    def _name(self, kind: str, graph: Graph, reads: int) -> str:
        """A name that is the same for the same computation."""
        text = f"{kind} {reads} {graph}"
        return f"{kind}.{self._made.setdefault(text, len(self._made))}"

    # the loss -----------------------------------------------------------------------------------

    def row_loss(self, group: RowLoss) -> tuple[ir.Value, Names]:
        """The kernel of the loss and its gradient.

        It takes row_begin, row_end, the batch's sum of weights (a double), then for each operand
        its address and stride.
        """
        graph, outer = row_loss_graph(group, "real" if self.is_real("t") else "index")
        where, stores = (self.module, "row_loss", self.target, self.dtype), len(group.stored)
        kernel = row_loss.emit_row_loss(*where, graph, outer, stores, self._outputs)
        self._compile_ready(self.module)
        return kernel, outer + group.stored

    # sums over the batch, and updates -----------------------------------------------------------

    def batch_sum(
        self,
        batch_sum: BatchSum,
        columns: int,
        entries: sparse_rows.Entries | None = None,
        phase: str = "",
    ) -> tuple[ir.Value, Names]:
        """The kernel of a gradient of a parameter, and of its update.

        Parameters
        ----------
        batch_sum : BatchSum
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
            address of the run-time scalars, the row stride of the operands, the distance of two
            panels in them, and their addresses.
        operands : tuple of str
            Buffers that it reads and stores.
        """
        graph, operands = batch_sum_graph(batch_sum, self._scalars, phase)
        by_columns = isinstance(batch_sum.node, Matmul)
        kind = "stored" if entries else "weights" if by_columns else "biases"
        target = self._target_for_sums(columns) if kind == "weights" else self.target
        kind = f"{kind}{target.lanes(self.dtype)}{phase and '.'}{phase}"
        name = self._name(kind, graph, len(operands))
        if name not in self._made:
            self._made[name] = self._sum(
                name, graph, len(operands), by_columns, entries, columns, phase, target
            )
            self._compile_ready(self.module)
        return self._made[name], operands

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
        by_columns: bool,
        entries: sparse_rows.Entries | None,
        wide: int,
        phase: str,
        target: Target,
    ) -> ir.Function:
        lanes_count = target.lanes(self.dtype)
        scalars = [key for key in self._scalars if key in graph.inputs]
        weights = sum(d * k for d, k in self._shapes)
        far = operands * weights * self.dtype.itemsize > tuning.PREFETCH_BYTES

        def prepare(build: ir.IRBuilder, extra: Sequence[ir.Value]) -> list[ir.Value]:
            """The run-time scalars in all lanes, once for all the epilogues."""
            lanes = Lanes(build, self.dtype, lanes_count)
            places = [
                element(build, extra[0], index(self._scalars.index(key)), self.real)
                for key in scalars
            ]
            spread = [lanes.splat(build.load(place, typ=self.real)) for place in places]
            panel_stride = build.sub(extra[2], index(self.panel))
            return [extra[1], panel_stride, *extra[3:], *spread]

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
            inputs = {"gradient": value, **dict(zip(scalars, given, strict=True))}
            for i in range(operands):
                if f"read{i}" in graph.inputs:
                    inputs[f"read{i}"] = lanes.load(at[i])
            results = emit_vector(graph, lanes, inputs, column)
            for result, place in zip(results, at, strict=not phase):
                lanes.store(result, place)

        common: dict[str, Any] = {
            "epilogue": epilogue,
            "prepare": prepare,
            "extra": [self.pointer, self.i64, self.i64, *[self.pointer] * operands],
        }
        if entries:
            where = self.module, name, self.target, self.dtype
            return sparse_rows.emit_sums(*where, entries, padded_columns(wide), **common)
        common["start"] = "rows" if phase == "update" else self._start
        if by_columns:
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
