"""Stages as ONNX's operators, for batches of N rows.

Values are called ``STAGE.BUFFER``, with the labels of the plan; within a formula the operation
follows. What is computed twice is written once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...expr.trace import trace
from ...plan.buffers import Buffer
from ...plan.nodes import Cumulate, Lookup, Map, MemberSum, Node, Product
from ..free_names import free_name
from ..program import Stage
from .namespace import COMPARISONS, OPERATORS, Onnx

Array = Any


class Writer:
    """The nodes and constants of a graph. Values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.names: set[str] = set()
        self._known: dict[Any, str] = {}

    def free(self, name: str) -> str:
        """A name that nothing has yet: this one, or with a number behind it."""
        return free_name(name, self.names, ".")

    def constant(self, a: Array, name: str) -> str:
        """An array that stands in the file once; ``name`` is for the first to need it."""
        a = np.asarray(a)
        key = (
            "constant",
            a.dtype.str,
            a.shape,
            a.tobytes() if a.dtype != object else tuple(a.flat),
        )
        if key not in self._known:
            self._known[key] = self.free(name)
            self.constants[self._known[key]] = a
        return self._known[key]

    def scalar(self, value: float, dtype: str) -> str:
        return self.constant(np.asarray(value, dtype), f"{dtype}.{value:.9g}")

    def whole(self, *values: int) -> str:
        """Whole numbers (n,), such as axes and columns."""
        text = "_".join(map(str, values[:4])) + "_etc" * (len(values) > 4)
        return self.constant(np.array(values, np.int64), f"int64.{text}")

    def emit(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """The value of an operator; one that is there already keeps its name."""
        from onnx import helper

        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self._known:
            out = self._known[key] = self.free(name)
            node = helper.make_node(operator, inputs, [out], name=out, **attributes)
            self.nodes.append(node)
        return self._known[key]

    # with the shapes that plans have -------------------------------------------------------------

    def reshape(self, value: str, *lengths: int, name: str) -> str:
        """Rows of these lengths, (N, ...)."""
        return self.emit("Reshape", value, self.whole(0, *lengths), name=name)  # 0 keeps N

    def columns(self, value: str, columns: Sequence[int], width: int, *, name: str) -> str:
        """Columns of a value (N, width)."""
        columns = list(columns)
        first, end = columns[0], columns[0] + len(columns)
        if columns == list(range(width)):
            return value
        if columns == list(range(first, end)):
            ends = (self.whole(at) for at in (first, end, 1))
            return self.emit("Slice", value, *ends, name=name)
        return self.emit("Gather", value, self.whole(*columns), name=name, axis=1)

    def cast(self, value: str, was: str, dtype: str, *, name: str) -> str:
        return (
            value if was == dtype else self.emit("Cast", value, name=name, to=element_type(dtype))
        )


def element_type(dtype: Any) -> int:
    """ONNX's number for an element type."""
    from onnx import TensorProto, helper

    if np.dtype(dtype).kind in "OU":
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class StageWriter:
    """Writes the nodes of one stage; views are taken from their base and put together to it."""

    def __init__(self, writer: Writer, stage: Stage, given: Sequence[str]) -> None:
        self.writer, self.stage = writer, stage
        self.at = {buffer.name: value for buffer, value in zip(stage.given, given, strict=True)}
        self.parts: dict[Buffer, dict[Buffer, str]] = {}
        for buffer, a in stage.constants.items():
            a = np.asarray(a, stage.dtype)
            self.at[buffer.name] = writer.constant(a, self.name(buffer))

    def name(self, buffer: Buffer) -> str:
        return f"{self.stage.name}.{buffer.name}"

    def emit(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        return self.writer.emit(operator, *inputs, name=name, **attributes)

    def __getitem__(self, buffer: Buffer) -> str:
        if buffer.name in self.at or buffer.base is None:
            return self.at[buffer.name]
        name, base = self.name(buffer), buffer.base
        if base.name in self.at:
            value, there = self.at[base.name], list(range(base.width))
        else:
            value, there = self._beside(base)
        places = [there.index(column) for column in buffer.base_columns]
        found = self.writer.columns(value, places, len(there), name=name)
        return found if len(buffer.axes) == 2 else self._shaped(found, buffer, name)

    def __setitem__(self, buffer: Buffer, value: str) -> None:
        self.at[buffer.name] = value
        if (base := buffer.base) is None:
            return
        parts = self.parts.setdefault(base, {})
        parts[buffer] = value
        if sum(len(part.base_columns) for part in parts) == base.width:
            value, there = self._beside(base)
            order = [there.index(column) for column in range(base.width)]
            name = self.name(base)
            self.at[base.name] = self.writer.columns(value, order, base.width, name=name)

    def _shaped(self, value: str, buffer: Buffer, name: str) -> str:
        return self.writer.reshape(value, *map(int, buffer.axes[1:]), name=name)

    def _beside(self, base: Buffer) -> tuple[str, list[int]]:
        """What is there of a base, side by side, and which columns these are."""
        flat, there = [], []
        for part, value in self.parts[base].items():
            columns = part.base_columns
            if len(part.axes) == 3:
                value = self.writer.reshape(value, len(columns), name=f"{self.name(part)}.flat")
            flat.append(value)
            there += columns
        if len(flat) == 1:
            return flat[0], there
        return self.emit("Concat", *flat, name=f"{self.name(base)}.parts", axis=1), there

    # nodes ---------------------------------------------------------------------------------------

    def write(self) -> str:
        for node in self.stage.nodes:
            self._node(node)
        return self[self.stage.result]

    def _node(self, node: Node) -> None:
        match node:
            case Product():
                self[node.out] = self._product(node)
            case Map():
                self._map(node)
            case Lookup():
                self[node.out] = self._lookup(node)
            case MemberSum():
                axis, name = self.writer.whole(1), self.name(node.out)
                self[node.out] = self.emit(
                    "ReduceSum", self[node.source], axis, name=name, keepdims=0
                )
            case Cumulate():
                axis, name = self.writer.constant(np.int64(-2), "int64.axis-2"), self.name(node.out)
                reverse = int(node.reverse)
                total = self.emit("CumSum", self[node.source], axis, name=name, reverse=reverse)
                plus = node.plus and self[node.plus]
                self[node.out] = self.emit("Add", total, plus, name=name) if plus else total
            case _:
                raise InputError(f"{self.stage.name}: ONNX files have no {type(node).__name__}")

    def _product(self, node: Product) -> str:
        name, left = self.name(node.out), self[node.left]
        right = self._transposed(node.right) if node.right_transposed else self[node.right]
        own = len(node.right.axes) == 3  # a matrix for each member: members go first
        if own:
            # A further axis keeps onnxruntime from fusing Transpose and MatMul: version 1.20 has
            # no such operator of float64, and divides by zero if there are no rows.
            left = self.emit("Transpose", left, name=f"{name}.members", perm=(1, 0, 2))
            left = self.emit("Unsqueeze", left, self.writer.whole(0), name=f"{name}.apart")
        found = self.emit("MatMul", left, right, name=f"{name}.product")
        if own:
            found = self.emit("Squeeze", found, self.writer.whole(0), name=f"{name}.together")
            found = self.emit("Transpose", found, name=f"{name}.rows", perm=(1, 0, 2))
        if node.scale != 1.0:
            scale = self.writer.scalar(node.scale, self.stage.dtype)
            found = self.emit("Mul", found, scale, name=f"{name}.scaled")
        return found if node.bias is None else self.emit("Add", found, self[node.bias], name=name)

    def _transposed(self, matrix: Buffer) -> str:
        """A parameter (D, K) or (M, D, K) with its last two axes swapped."""
        if matrix not in self.stage.constants:
            raise InputError(f"{self.stage.name}: ONNX files cannot transpose {matrix}")
        a = np.asarray(self.stage.constants[matrix], self.stage.dtype)
        return self.writer.constant(a.swapaxes(-1, -2), f"{self.name(matrix)}.transposed")

    def _lookup(self, node: Lookup) -> str:
        name, table = self.name(node.out), self[node.table]
        index = self.emit("Cast", self[node.index], name=f"{name}.index", to=element_type("int64"))
        if len(node.table.axes) == 2:
            one = self.emit("Squeeze", index, self.writer.whole(1), name=f"{name}.rows")
            return self.emit("Gather", table, one, name=name)
        members, values, width = map(int, node.table.axes)
        # the members' tables one below the other
        below = self.writer.whole(members * values, width)
        table = self.emit("Reshape", table, below, name=f"{self.name(node.table)}.below")
        first = self.writer.whole(*range(0, members * values, values))
        index = self.emit("Add", index, first, name=f"{name}.place")
        return self.emit("Gather", table, index, name=name)

    def _map(self, node: Map) -> None:
        if node.scalars:
            raise InputError(f"{self.stage.name}: ONNX files have no per-step scalars: {node}")
        labels = [None if b is None else (f"input{k}", "real") for k, b in enumerate(node.inputs)]
        namespace = functools.partial(Onnx, dtype=self.stage.dtype)
        graph = trace(node.formula, labels, dict(node.keywords), namespace)
        given = {f"input{k}": self[b] for k, b in enumerate(node.inputs) if b is not None}
        names = dict(zip(graph.outputs, map(self.name, node.outs), strict=True))
        width = max(buffer.width for buffer in node.inputs if buffer is not None)
        values: list[str] = []
        for number, one in enumerate(graph.nodes):
            arguments = [values[argument] for argument in one.arguments]
            name = names.get(number, f"{self.name(node.outs[0])}.{one.op}")
            if one.op == "input":
                values.append(given[one.detail])
            elif one.op == "constant" and one.kind == "real":
                values.append(self.writer.scalar(float(one.detail), self.stage.dtype))
            elif one.op == "constant":
                values.append("")  # the number of a column
            elif one.op == "is_column" and graph.nodes[one.arguments[0]].op == "constant":
                is_it = np.arange(width) == graph.nodes[one.arguments[0]].detail
                values.append(self.writer.constant(is_it, name))
            elif one.op == "compare":
                values.append(self.emit(COMPARISONS[one.detail], *arguments, name=name))
            elif one.op in ("row_sum", "row_max"):
                arguments.append(self.writer.whole(-1))
                values.append(self.emit(OPERATORS[one.op], *arguments, name=name, keepdims=1))
            elif one.op in OPERATORS:
                values.append(self.emit(OPERATORS[one.op], *arguments, name=name))
            else:
                raise InputError(f"formula {graph.name!r}: ONNX files have no {one.op}")
        for out, number in zip(node.outs, graph.outputs, strict=True):
            self[out] = values[number]
