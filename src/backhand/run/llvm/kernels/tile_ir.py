"""Tile functions written as text; `tile` says what they compute."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..ir.builder import ir

Left = Literal["rows", "columns"]

SCALAR = {"float32": ("float", "f32"), "float64": ("double", "f64")}
"""What LLVM calls an element type, and its suffix in the names of intrinsics."""


def tile_type() -> ir.FunctionType:
    """The type of every tile function."""
    pointer, count = ir.PointerType(), ir.IntType(64)
    return ir.FunctionType(
        ir.VoidType(), [pointer, count, pointer, count, count, pointer, count, pointer]
    )


class TileWriter:
    """Writes one tile function."""

    def __init__(
        self, name: str, dtype: str, lanes: int, left: Left, shape: tuple[int, int, int]
    ) -> None:
        self.name, self.lanes = name, lanes
        self.rows, self.vectors, self.unroll = shape
        self.scalar, self.suffix = SCALAR[dtype]
        self.item = np.dtype(dtype).itemsize
        self.vector = f"<{lanes} x {self.scalar}>"
        self.vector_bytes = lanes * self.item
        self.by_rows = left == "rows"
        self.grid = [(r, v) for r in range(self.rows) for v in range(self.vectors)]
        # rows have pointers that step along them; columns have one that steps down
        self.bases = range(self.rows if self.by_rows else 1)
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
        self.put(" ret void\n}")
        return "\n".join(self.lines)

    def store(self, sums: dict[tuple[int, int], str]) -> None:
        """The sums into the scratch area."""
        for r, v in self.grid:
            place = f"%out.{r}.{v}"
            offset = (r * self.vectors + v) * self.vector_bytes
            self.put(f" {place} = getelementptr i8, ptr %out, i64 {offset}")
            self.put(f" store {self.vector} {sums[r, v]}, ptr {place}, align {self.item}")

    def splat(self, one: str) -> str:
        """A number in all lanes."""
        kind, all_ = self.vector, f"{one}.all"
        self.put(f" {all_}.low = insertelement {kind} poison, {self.scalar} {one}, i64 0")
        self.put(
            f" {all_} = shufflevector {kind} {all_}.low, {kind} poison,"
            f" <{self.lanes} x i32> zeroinitializer"
        )
        return all_

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
        pointers = {"0": "%left"}
        for r in self.bases[1:]:
            self.put(f" %left.{r} = getelementptr i8, ptr {pointers[str(r - 1)]}, i64 %left_ld")
            pointers[str(r)] = f"%left.{r}"
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
                self.load(one, self.scalar, at[str(r)], step * self.item)
            else:
                self.load(one, self.scalar, at["0"], r * self.item)
            kind, spread = self.vector, self.splat(one)
            for v in range(self.vectors):
                out[r, v] = f"{tag}.{r}.{v}"
                self.put(
                    f' {out[r, v]} = call {kind} @"llvm.fma.v{self.lanes}{self.suffix}"('
                    f"{kind} {spread}, {kind} {rights[v]}, {kind} {sums[r, v]})"
                )
        return out
