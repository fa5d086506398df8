"""Tile functions written as text; `tiles.py` says what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from .build import IR, ir_module

Left = Literal["rows", "columns"]

SCALAR = {"float32": ("float", "f32"), "float64": ("double", "f64")}
"""What LLVM calls an element type, and its suffix in the names of intrinsics."""

ROWS_PER_POINTER = 3
"""Rows read through one pointer: at 0, 1 and 2 strides, which is what an x86 address can say."""


class Pending(Protocol):
    """The tile before the one at work, whose rows are still to be finished; see `matmul`."""

    def read(self, build: IR, room: IR) -> dict[str, IR]:
        """Its rows, first row, column, and where in the room its sums are and others may go."""

    def follow(self, build: IR, room: IR, state: dict[str, IR], row: IR, column: IR) -> None:
        """Make the tile at work, at this row and column, the pending one."""

    def announce(self, build: IR, row: IR, column: IR, room: IR) -> None:
        """Ask for what a row of the tile at work will need when it is finished."""

    def finish(self, build: IR, sums: Sequence[IR], row: IR, column: IR, room: IR) -> None:
        """Use a row's sums, which are at these addresses."""


def tile_type() -> IR:
    """The type of every tile function."""
    ir = ir_module()
    pointer, count = ir.PointerType(), ir.IntType(64)
    return ir.FunctionType(
        ir.VoidType(), [pointer, count, pointer, count, count, pointer, count, pointer]
    )


class TileText:
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


class InterleavedTile(TileText):
    """Writes a tile function that finishes the tile before it; see `interleaved_tile`."""

    ARGUMENTS = (
        *("left", "left_ld", "right", "right_ld", "depth", "start", "start_ld", "scratch"),
        *("row", "column", "room"),
    )

    def interleaved(self, function: IR, pending: Pending) -> str:
        for argument, given in zip(function.args, self.ARGUMENTS, strict=True):
            argument.name = given
        row, column, room = function.args[-3:]
        arguments = ", ".join(f"{a.type} {a.get_reference()}" for a in function.args)
        self.put(f'define internal void @"{self.name}"({arguments}) {{')
        self.put("entry:")
        build = self.builder(function)
        state = pending.read(build, room)
        byte = ir_module().IntType(8)
        sums_there = build.gep(room, [state["there"]], source_etype=byte)
        build.gep(room, [state["free"]], source_etype=byte, name="out")
        pending.follow(build, room, state, row, column)
        self.take(function)
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
        build = self.builder(function)
        pending.announce(build, build.add(row, self.number()), column, room)
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
        rows = state["rows"].get_reference()
        self.put(f" %due = icmp slt i64 %number, {rows}")
        self.put(" br i1 %due, label %finish, label %shared")
        self.finish(function, pending, state, sums_there)
        self.put(" br label %shared")
        self.put("shared:")
        self.put(" %number.next = add i64 %number, 1")
        self.put(" %more.k = icmp slt i64 %until, %depth")
        self.put(f" %more.rows = icmp slt i64 %number.next, {rows}")
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

    def finish(self, function: IR, pending: Pending, state: dict[str, IR], sums: IR) -> None:
        """The code that uses one row of the earlier tile."""
        ir = ir_module()
        build = self.builder(function, "finish")
        number = self.number()
        real = ir.FloatType() if self.scalar == "float" else ir.DoubleType()
        kind = ir.VectorType(real, self.vector_bytes // self.item)
        at = build.mul(number, ir.Constant(number.type, self.vectors))
        places = [
            build.gep(sums, [build.add(at, ir.Constant(at.type, v))], source_etype=kind)
            for v in range(self.vectors)
        ]
        row = build.add(state["row"], number)
        pending.finish(build, places, row, state["column"], function.args[-1])
        self.take(function, labels=True)
