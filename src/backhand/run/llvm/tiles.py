"""The innermost loops of a matrix product, one register tile at a time.

What a tile function computes, for its number of rows and of vectors of columns::

    for r, c:  acc = start[r, c]
               for k in 0 .. depth-1:  acc = fma(left(r, k), right[k, c], acc)
               out[r, c] = acc

Every output is one chain of fused multiply-adds in the order of k, so its bits depend neither on
the tile nor on the number of lanes.  A tile knows nothing of biases, activations or updates: it
leaves its sums in a small scratch area, which the product in ``matmul.py`` then reads.  That is why
a program needs each tile only once, whatever its layers and their formulas.

The functions are written as text: they are the bulk of a program's instructions, and one object
for each instruction would take longer to build than the machine code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .build import IR, element_type, ir_module
from .target import Target

Left = Literal["rows", "columns"]

SCALAR = {"float32": ("float", "f32"), "float64": ("double", "f64")}
"""What LLVM calls an element type, and its suffix in the names of intrinsics."""

ROWS_PER_POINTER = 3
"""Rows read through one pointer: at 0, 1 and 2 strides, which is what an x86 address can say."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """The shapes that cover a product: for every width a preferred height, then a few smaller ones.

    Attributes
    ----------
    vectors : tuple of int
        Widths in vectors, descending to 1. The first is also the width of a panel.
    rows : tuple of int
        For every width the height in rows of its main tile.
    rest : tuple of int
        Heights, descending to 1, for the rows that are left over.
    unroll : tuple of int
        For every width the steps of k that its main tile takes at once.
    """

    vectors: tuple[int, ...]
    rows: tuple[int, ...]
    unroll: tuple[int, ...]
    rest: tuple[int, ...] = (4, 1)

    def __post_init__(self) -> None:
        for name, sizes in (("vectors", self.vectors), ("rest", self.rest)):
            if not sizes or sizes[-1] != 1 or list(sizes) != sorted(set(sizes), reverse=True):
                raise ValueError(f"Tile.{name} must descend to 1, got {sizes}")
        if len(self.rows) != len(self.vectors) or min(self.rows) < self.rest[0]:
            raise ValueError(
                f"Tile.rows must have a height of at least {self.rest[0]} for each of "
                f"{len(self.vectors)} widths, got {self.rows}"
            )
        if len(self.unroll) != len(self.vectors) or any(u not in (1, 2, 4, 8) for u in self.unroll):
            raise ValueError(
                f"Tile.unroll must be 1, 2, 4 or 8 for each of {len(self.vectors)} widths, "
                f"got {self.unroll}"
            )

    @property
    def registers(self) -> int:
        """Vector registers in use: the sums, a row of the right operand, an element of the left."""
        return max(r * v + v + 1 for r, v in zip(self.rows, self.vectors, strict=True))

    @property
    def scratch(self) -> int:
        """Vectors that the largest tile leaves behind."""
        return max(r * v for r, v in zip(self.rows, self.vectors, strict=True))


def choose_tile(target: Target, *, single_row: bool = False) -> Tile:
    """Choose shapes that keep the multipliers busy and spill no register.

    Parameters
    ----------
    target : Target
    single_row : bool
        For batches of one row, where only width gives the multipliers independent sums.

    Returns
    -------
    Tile
    """
    if single_row:
        return Tile(vectors=(8, 4, 2, 1), rows=(1, 1, 1, 1), unroll=(1, 1, 1, 1), rest=(1,))
    if target.registers >= 32:
        return Tile(vectors=(4, 2, 1), rows=(6, 8, 14), unroll=(4, 2, 2))
    return Tile(vectors=(2, 1), rows=(6, 10), unroll=(4, 2))


def tile_function(
    module: IR, target: Target, dtype: Any, left: Left, rows: int, vectors: int, unroll: int = 1
) -> IR:
    """Find in the module, or add to it, the function of one tile.

    It takes: left pointer and row stride, right pointer and row stride, depth, start pointer and
    row stride, scratch pointer; strides in bytes.

    Parameters
    ----------
    module : ir.Module
    target : Target
    dtype : float32 or float64
    left : {"rows", "columns"}
        Whether ``left(r, k)`` is ``x[r, k]`` or ``x[k, r]``.
    rows, vectors : int
        Its shape.
    unroll : int
        Steps of k in one iteration.

    Returns
    -------
    ir.Function
    """
    lanes = target.lanes(dtype)
    dtype = np.dtype(dtype).name
    name = f"tile.{left}.{SCALAR[dtype][1]}x{lanes}.{rows}x{vectors}.{unroll}"
    if name in module.globals:
        return module.globals[name]
    _declare_fma(module, dtype, lanes)
    function = _text_function()(module, tile_type(), name)
    function.text = _Text(name, dtype, lanes, left, rows, vectors, unroll).function()
    return function


def tile_table(functions: Sequence[IR]) -> IR:
    """Find in the module, or add to it, the addresses of tile functions as an array."""
    ir = ir_module()
    name = "tiles." + ".".join(f.name.removeprefix("tile.") for f in functions)
    addresses = ir.ArrayType(ir.PointerType(), len(functions))
    return constant(functions[0].module, name, ir.Constant(addresses, list(functions)))


def constant(module: IR, name: str, value: IR) -> IR:
    """Find in the module, or add to it, a constant in memory; returns its address."""
    if name in module.globals:
        return module.globals[name]
    made = ir_module().GlobalVariable(module, value.type, name)
    made.linkage, made.global_constant, made.initializer = "internal", True, value
    return made


def tile_type() -> IR:
    """The type of every tile function."""
    ir = ir_module()
    pointer, count = ir.PointerType(), ir.IntType(64)
    return ir.FunctionType(
        ir.VoidType(), [pointer, count, pointer, count, count, pointer, count, pointer]
    )


Finish = Callable[[IR, Sequence[IR], IR, IR, Sequence[IR]], None]
Announce = Callable[[IR, IR, IR, Sequence[IR]], None]


def interleaved_tile(
    module: IR,
    name: str,
    target: Target,
    dtype: Any,
    left: Left,
    shape: tuple[int, int, int],
    extra: Sequence[IR],
    finish: Finish,
    announce: Announce,
) -> IR:
    """Add to the module a tile function that, between its own steps, finishes the tile before it.

    Divisions and roots occupy a unit that the multipliers do not need: what an optimiser's update
    waits for passes unnoticed beside the next tile's sums. The steps of k fall into as many shares
    as the tile has rows, and after each share one row of the earlier tile is finished.

    It takes what a tile function takes, then its first row and its column, then where the earlier
    tile's sums are, how many of its rows to finish, the first of them, its column, and ``extra``.

    Parameters
    ----------
    module, target, dtype, left
        As for `tile_function`.
    name : str
        Name of the function.
    shape : (int, int, int)
        Rows, vectors and steps of k in one iteration.
    extra : sequence of ir.Type
    finish : callable
        ``finish(build, values, row, column, extra)`` writes the code that uses a row's sums.
    announce : callable
        ``announce(build, row, column, extra)`` writes the code that asks for what a row of this
        tile will need when it is finished.
    """
    ir = ir_module()
    rows, vectors, unroll = shape
    lanes = target.lanes(dtype)
    dtype = np.dtype(dtype).name
    _declare_fma(module, dtype, lanes)
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [*tile_type().args, i64, i64, pointer, i64, i64, i64, *extra]
    function = _text_function()(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    for argument, given in zip(function.args, _Interleaved.ARGUMENTS, strict=False):
        argument.name = given
    text = _Interleaved(name, dtype, lanes, left, rows, vectors, unroll)
    function.text = text.interleaved(function, finish, announce)
    return function


def _declare_fma(module: IR, dtype: str, lanes: int) -> None:
    ir = ir_module()
    name = f"llvm.fma.v{lanes}{SCALAR[dtype][1]}"
    if name not in module.globals:
        vector = ir.VectorType(element_type(dtype), lanes)
        ir.Function(module, ir.FunctionType(vector, [vector] * 3), name)


def _text_function() -> Any:
    """A function of the IR that comes as text; a class made late, since llvmlite loads late."""
    ir = ir_module()

    class TextFunction(ir.Function):  # type: ignore[misc, name-defined]
        text = ""

        def __str__(self) -> str:
            return self.text

    return TextFunction


class _Text:
    """Writes one tile function."""

    def __init__(
        self, name: str, dtype: str, lanes: int, left: Left, rows: int, vectors: int, unroll: int
    ) -> None:
        self.name, self.rows, self.vectors, self.unroll = name, rows, vectors, unroll
        self.scalar, suffix = SCALAR[dtype]
        self.item = np.dtype(dtype).itemsize
        self.vector = f"<{lanes} x {self.scalar}>"
        self.splat = f"<{lanes} x i32> zeroinitializer"
        self.vector_bytes = lanes * self.item
        self.fma = f'@"llvm.fma.v{lanes}{suffix}"'
        self.by_rows = left == "rows"
        self.grid = [(r, v) for r in range(rows) for v in range(vectors)]
        # rows have pointers that step along them; columns have one that steps down
        self.bases = range(0, rows, ROWS_PER_POINTER) if self.by_rows else range(1)
        self.lines: list[str] = []

    def put(self, line: str) -> None:
        self.lines.append(line)

    def function(self) -> str:
        self.put(
            f'define internal void @"{self.name}"(ptr noalias %left, i64 %left_ld,'
            " ptr noalias %right, i64 %right_ld, i64 %depth, ptr %start, i64 %start_ld,"
            " ptr noalias %out) {"
        )
        self.put("entry:")
        sums = self.starts()
        pointers = self.left_pointers() | {"right": "%right"}
        if self.unroll > 1:
            self.put(f" %whole = and i64 %depth, {-self.unroll}")
            sums, pointers = self.loop(
                "u", "entry", "rest", "0", "%whole", sums, pointers, self.unroll
            )
            sums, _ = self.loop("k", "rest", "done", "%whole", "%depth", sums, pointers, 1)
        else:
            sums, _ = self.loop("k", "entry", "done", "0", "%depth", sums, pointers, 1)
        self.store(sums)
        return "\n".join(self.lines)

    def store(self, sums: dict[tuple[int, int], str]) -> None:
        """The sums into the scratch area, and the end of the function."""
        for r, v in self.grid:
            place = f"%out.{r}.{v}"
            offset = (r * self.vectors + v) * self.vector_bytes
            self.put(f" {place} = getelementptr i8, ptr %out, i64 {offset}")
            self.put(f" store {self.vector} {sums[r, v]}, ptr {place}, align {self.item}")
        self.put(" ret void\n}")

    def starts(self) -> dict[tuple[int, int], str]:
        sums, row = {}, "%start"
        for r in range(self.rows):
            if r:
                self.put(f" %start.{r} = getelementptr i8, ptr {row}, i64 %start_ld")
                row = f"%start.{r}"
            for v in range(self.vectors):
                sums[r, v] = self.load(f"%first.{r}.{v}", self.vector, row, v * self.vector_bytes)
        return sums

    def left_pointers(self) -> dict[str, str]:
        pointers, base = {"0": "%left"}, "%left"
        if self.by_rows:
            self.put(" %twice = shl i64 %left_ld, 1")
            self.put(" %thrice = add i64 %twice, %left_ld")
            for r in self.bases[1:]:
                self.put(f" %left.{r} = getelementptr i8, ptr {base}, i64 %thrice")
                base = pointers[str(r)] = f"%left.{r}"
        return pointers

    def load(self, name: str, kind: str, base: str, offset: int) -> str:
        self.put(f" {name}.at = getelementptr i8, ptr {base}, i64 {offset}")
        self.put(f" {name} = load {kind}, ptr {name}.at, align {self.item}")
        return name

    def loop(
        self,
        tag: str,
        before: str,
        after: str,
        begin: str,
        end: str,
        sums: dict[tuple[int, int], str],
        pointers: dict[str, str],
        steps: int,
    ) -> tuple[dict[tuple[int, int], str], dict[str, str]]:
        """Steps ``begin .. end - 1`` of k; returns the sums and pointers as they are after it."""
        inside = f"{tag}.loop"
        self.put(f" %{tag}.any = icmp slt i64 {begin}, {end}")
        self.put(f" br i1 %{tag}.any, label %{inside}, label %{after}")
        self.put(f"{inside}:")
        self.put(f" %{tag} = phi i64 [{begin}, %{before}], [%{tag}.next, %{inside}]")
        now, at = {}, {}
        for r, v in self.grid:
            now[r, v] = f"%{tag}.sum.{r}.{v}"
            self.put(
                f" {now[r, v]} = phi {self.vector} [{sums[r, v]}, %{before}],"
                f" [%{tag}.{steps - 1}.{r}.{v}, %{inside}]"
            )
        for key, pointer in pointers.items():
            at[key] = f"%{tag}.ptr.{key}"
            self.put(
                f" {at[key]} = phi ptr [{pointer}, %{before}], [%{tag}.ptr.{key}.next, %{inside}]"
            )
        moved = dict(at)
        for step in range(steps):
            now = self.step(f"%{tag}.{step}", step, now, moved)
            last = step == steps - 1
            for key in ("right",) if self.by_rows else ("right", "0"):
                stride = "%right_ld" if key == "right" else "%left_ld"
                to = f"%{tag}.ptr.{key}.next" if last else f"%{tag}.ptr.{key}.{step}"
                self.put(f" {to} = getelementptr i8, ptr {moved[key]}, i64 {stride}")
                moved[key] = to
        if self.by_rows:
            for key in map(str, self.bases):
                to = f"%{tag}.ptr.{key}.next"
                self.put(f" {to} = getelementptr i8, ptr {at[key]}, i64 {steps * self.item}")
                moved[key] = to
        self.put(f" %{tag}.next = add i64 %{tag}, {steps}")
        self.put(f" %{tag}.more = icmp slt i64 %{tag}.next, {end}")
        self.put(f" br i1 %{tag}.more, label %{inside}, label %{after}")
        self.put(f"{after}:")

        def merge(name: str, kind: str, skipped: str, looped: str) -> str:
            self.put(f" {name} = phi {kind} [{skipped}, %{before}], [{looped}, %{inside}]")
            return name

        out = {
            (r, v): merge(f"%{tag}.out.{r}.{v}", self.vector, sums[r, v], now[r, v])
            for r, v in self.grid
        }
        ends = {
            key: merge(f"%{tag}.end.{key}", "ptr", pointers[key], moved[key]) for key in pointers
        }
        return out, ends

    def step(
        self, tag: str, step: int, sums: dict[tuple[int, int], str], at: dict[str, str]
    ) -> dict[tuple[int, int], str]:
        """One value of k: a row of the right operand into every sum."""
        rights = [
            self.load(f"{tag}.right.{v}", self.vector, at["right"], v * self.vector_bytes)
            for v in range(self.vectors)
        ]
        out = {}
        for r in range(self.rows):
            one = f"{tag}.left.{r}"
            if self.by_rows:
                base = at[str(r - r % ROWS_PER_POINTER)]
                if r % ROWS_PER_POINTER:
                    stride = ("%left_ld", "%twice")[r % ROWS_PER_POINTER - 1]
                    self.put(f" {one}.row = getelementptr i8, ptr {base}, i64 {stride}")
                    base = f"{one}.row"
                self.load(one, self.scalar, base, step * self.item)
            else:
                self.load(one, self.scalar, at["0"], r * self.item)
            self.put(f" {one}.low = insertelement {self.vector} poison, {self.scalar} {one}, i64 0")
            self.put(
                f" {one}.all = shufflevector {self.vector} {one}.low, {self.vector} poison,"
                f" {self.splat}"
            )
            for v in range(self.vectors):
                out[r, v] = f"{tag}.{r}.{v}"
                self.put(
                    f" {out[r, v]} = call {self.vector} {self.fma}({self.vector} {one}.all,"
                    f" {self.vector} {rights[v]}, {self.vector} {sums[r, v]})"
                )
        return out


class _Interleaved(_Text):
    """Writes a tile function that finishes the tile before it; see `interleaved_tile`."""

    ARGUMENTS = (
        *("left", "left_ld", "right", "right_ld", "depth", "start", "start_ld", "out"),
        *("row", "column", "pending", "pending_rows", "pending_row", "pending_column"),
    )

    def interleaved(self, function: IR, finish: Finish, announce: Announce) -> str:
        arguments = ", ".join(f"{a.type} {a.get_reference()}" for a in function.args)
        self.put(f'define internal void @"{self.name}"({arguments}) {{')
        self.put("entry:")
        starts = self.starts()
        begin = self.left_pointers() | {"right": "%right"}
        round_up = self.rows * self.unroll - 1
        self.put(f" %spread = add i64 %depth, {round_up}")
        self.put(f" %steps = udiv i64 %spread, {self.rows * self.unroll}")
        self.put(f" %share = mul i64 %steps, {self.unroll}")
        self.put(" br label %shares")
        self.put("shares:")
        self.put(" %number = phi i64 [0, %entry], [%number.next, %shared]")
        self.put(" %from = phi i64 [0, %entry], [%until, %shared]")
        sums, pointers = {}, {}
        for r, v in self.grid:
            sums[r, v] = f"%share.{r}.{v}"
            self.put(
                f" {sums[r, v]} = phi {self.vector} [{starts[r, v]}, %entry],"
                f" [%k.out.{r}.{v}, %shared]"
            )
        for key, pointer in begin.items():
            pointers[key] = f"%share.ptr.{key}"
            self.put(f" {pointers[key]} = phi ptr [{pointer}, %entry], [%k.end.{key}, %shared]")
        first, column = function.args[len(tile_type().args) :][:2]
        rest = function.args[len(self.ARGUMENTS) :]
        build = self.builder(function)
        announce(build, build.add(first, self.number()), column, rest)
        self.take(function)
        self.put(" %to = add i64 %from, %share")
        self.put(" %fits = icmp slt i64 %to, %depth")
        self.put(" %until = select i1 %fits, i64 %to, i64 %depth")
        before, middle = "shares", "%from"
        if self.unroll > 1:
            self.put(" %here = sub i64 %until, %from")
            self.put(f" %here.whole = and i64 %here, {-self.unroll}")
            self.put(" %whole = add i64 %from, %here.whole")
            sums, pointers = self.loop(
                "u", "shares", "rest", "%from", "%whole", sums, pointers, self.unroll
            )
            before, middle = "rest", "%whole"
        sums, _ = self.loop("k", before, "between", middle, "%until", sums, pointers, 1)
        self.put(" %due = icmp slt i64 %number, %pending_rows")
        self.put(" br i1 %due, label %finish, label %shared")
        self.finish(function, finish)
        self.put(" br label %shared")
        self.put("shared:")
        self.put(" %number.next = add i64 %number, 1")
        self.put(" %more.k = icmp slt i64 %until, %depth")
        self.put(" %more.rows = icmp slt i64 %number.next, %pending_rows")
        self.put(" %more = or i1 %more.k, %more.rows")
        self.put(" br i1 %more, label %shares, label %done")
        self.put("done:")
        self.store(sums)
        return "\n".join(self.lines)

    @staticmethod
    def number() -> IR:
        """The share that is at work, and the row that it finishes."""
        ir = ir_module()
        return ir.FormattedConstant(ir.IntType(64), "%number")

    @staticmethod
    def builder(function: IR, block: str = "") -> IR:
        """Where to write code that is then taken as text."""
        return ir_module().IRBuilder(function.append_basic_block(block))

    def take(self, function: IR, labels: bool = False) -> None:
        """The text of what was built."""
        for block in function.blocks:
            if labels:
                self.put(f"{block.name}:")
            for instruction in block.instructions:
                self.put(f" {instruction}")
        function.blocks.clear()

    def finish(self, function: IR, finish: Finish) -> None:
        """The code that uses one row of the earlier tile."""
        ir = ir_module()
        build = self.builder(function, "finish")
        *_, pending, _, first, column = function.args[: len(self.ARGUMENTS)]
        number = self.number()
        real = ir.FloatType() if self.scalar == "float" else ir.DoubleType()
        kind = ir.VectorType(real, self.vector_bytes // self.item)
        at = build.mul(number, ir.Constant(number.type, self.vectors))
        places = [
            build.gep(pending, [build.add(at, ir.Constant(at.type, v))], source_etype=kind)
            for v in range(self.vectors)
        ]
        values = [build.load(place, typ=kind, align=self.item) for place in places]
        rest = function.args[len(self.ARGUMENTS) :]
        finish(build, values, build.add(first, number), column, rest)
        self.take(function, labels=True)
