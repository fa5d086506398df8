"""``NAME.h`` and ``NAME.c`` of a program."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from ...files import as_path, write_together
from ..imperative import Routine, Writer
from ..imperative.expressions import indented
from ..int8 import as_int8
from ..program import Program
from ..programs import program_of
from . import decision
from .dialect import C
from .helpers import HELPERS, REAL, WITHIN
from .names import checked_prefix, comment
from .selftest import SelfTest
from .table import Table

Array = np.ndarray

_API = """predict predict_in logits networks answers prepare predict_row row days missing find
class_of has_label class_name test_x test_y test_logits test_rows test_near
H INPUTS LOGITS OUTPUTS SCRATCH SCRATCH_BYTES FLASH_BYTES CLASSES SELFTEST"""

API = frozenset(_API.split())
"""What a file has after its prefix, whatever the program."""


def write_c(
    model: Any, name: str | os.PathLike[str], rows: Array | None = None, *, int8: bool = False
) -> tuple[pathlib.Path, pathlib.Path]:
    """Write ``NAME.h`` and ``NAME.c``.

    Parameters
    ----------
    model : Model, TableModel, fitted estimator, (Network, parameters) or Program
    name : path
        Where, without a suffix; its last part is the prefix of all names in the files.
    rows : array (N, columns), optional
        Rows as the program takes them (see `samples.sample_rows`), to measure and to test with;
        random ones by default.
    int8 : bool
        Whether weights are stored as whole numbers of eight bits; see `export.int8`.

    Returns
    -------
    (Path, Path)
        The header and the source.

    Raises
    ------
    InputError
        If the last part of ``name`` is no identifier of C, or a file cannot be written.
    """
    path, program = pathlib.Path(as_path(name)), program_of(model)
    header, source = c_texts(as_int8(program) if int8 else program, path.name, rows)
    written = path.with_name(f"{path.name}.h"), path.with_name(f"{path.name}.c")
    texts = zip(written, (header, source), strict=True)
    write_together({str(to): text.encode("ascii") for to, text in texts})
    return written


def c_texts(program: Program, prefix: str, rows: Array | None = None) -> tuple[str, str]:
    """The contents of ``NAME.h`` and ``NAME.c``; see `write_c`."""
    return _File(program, checked_prefix(prefix), rows).texts()


class _File:
    """Writes the two files of a program."""

    def __init__(self, program: Program, prefix: str, rows: Array | None) -> None:
        self.program, self.prefix = program, prefix
        self.dialect = C(prefix)
        self.writer = Writer(self.dialect, API)
        self.networks = [self.writer.stage(stage) for stage in program.networks]
        self.answer = self.writer.stage(program.answer)
        self.logits = max(1, sum(routine.results[0] for routine in self.networks))
        self.scratch = max((routine.scratch for routine in self.networks), default=0)
        self.same = self.answer.dtype == program.dtype
        if self.same:
            self.scratch = max(self.scratch, self.answer.scratch)
        self.uses_scratch = self.same and self.answer.scratch > 0
        self.real, self.real_y = REAL[program.dtype], REAL[self.answer.dtype]
        one = decision.names_one(program.decision)
        self.gives, self.returned = ("int32_t", "return ") if one else ("void", "")
        self.says = "; gives the number of the class" * one
        self.table = self._table()
        self.test = SelfTest(program, prefix, self.dialect, rows)

    def _table(self) -> Table | None:
        if self.program.prepare is None:
            return None
        prepare = self.writer.stage(self.program.prepare)
        call = self._call(prepare, "values", "prepared")
        others = {*self.writer.taken, *HELPERS, *WITHIN}
        taken = {name + mark for name in others for mark in ("", "_f64")}
        return Table(self.program, self.prefix, prepare, call, taken)

    def texts(self) -> tuple[str, str]:
        """The header and the source."""
        p, functions = self.prefix, self.writer.definitions()
        test = self.test.text(self.table)
        decided = self.program.decision
        source = [
            f'#include <stdint.h>\n\n#include "{p}.h"',
            PRAGMAS,
            *self.dialect.helper_texts(),
            *("\n".join(self.dialect.array(*array)) for array in self.writer.arrays),
            *("\n".join(lines) for lines in functions),
            *self._functions(),
            *(self.table.definitions(self.real) if self.table else []),
            *([self._of_row()] if self.table else []),
            *decision.class_names(decided, p),
            test,
        ]
        return "\n".join(self._header()) + "\n", "\n\n".join(source) + "\n"

    def _header(self) -> list[str]:
        p, up, real, real_y = self.prefix, self.prefix.upper(), self.real, self.real_y
        size = np.dtype(self.program.dtype).itemsize
        flash = sum(a.nbytes for _, a in self.writer.arrays)
        lines = [
            f"/* {comment(self.program.name)}",
            " *",
            *(f" * {line}".rstrip() for line in self.test.notes()),
            " */",
            f"#ifndef {up}_H",
            f"#define {up}_H",
            "",
            "#include <stdint.h>",
            "",
            f"#define {up}_INPUTS {self.program.inputs}",
            f"#define {up}_LOGITS {self.logits}",
            f"#define {up}_OUTPUTS {self.answer.results[0]}",
            "/* scratch memory in numbers and in bytes */",
            f"#define {up}_SCRATCH {self.logits + self.scratch}",
            f"#define {up}_SCRATCH_BYTES {(self.logits + self.scratch) * size}",
            "/* bytes of constants; code, and texts of categories and classes, come on top */",
            f"#define {up}_FLASH_BYTES {flash}",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            f"/* from {up}_INPUTS prepared numbers x to {up}_OUTPUTS answers y{self.says} */",
            f"{self.gives} {p}_predict(const {real} *x, {real_y} *y);",
            f"/* the same, with {up}_SCRATCH numbers of the caller's for what is in between */",
            f"{self.gives} {p}_predict_in(const {real} *x, {real_y} *y, {real} *scratch);",
            "/* the networks' own results, before they become answers */",
            f"void {p}_logits(const {real} *x, {real} *logits);",
            "",
        ]
        if self.table:
            lines += [
                *self.table.declarations(),
                f"/* from a row to prepared numbers, and to answers{self.says} */",
                f"void {p}_prepare({self.table.row}, {real} *x);",
                f"{self.gives} {p}_predict_row({self.table.row}, {real_y} *y);",
                "",
            ]
        lines += decision.declarations(self.program.decision, p, real)
        return [*lines, "", "#ifdef __cplusplus", "}", "#endif", "", "#endif"]

    def _functions(self) -> list[str]:
        p, real, real_y = self.prefix, self.real, self.real_y
        firsts = np.cumsum([0, *(routine.results[0] for routine in self.networks)])
        places = [f"{{}} + {first}" if first else "{}" for first in firsts[:-1]]
        calls = [
            f"    {self._call(routine, 'x', place.format('logits'))}"
            for routine, place in zip(self.networks, places, strict=True)
        ]
        given, answer = "logits", ["(void)logits;"] * (not self.networks)
        if not self.same:
            answer += [f"{real_y} s[{self.answer.scratch}];"] * (self.answer.scratch > 0)
        if not self.same and self.networks:
            given = "given"
            answer.append(f"{real_y} given[{self.logits}];")
            cast = f"given[k] = ({real_y})logits[k];"
            answer += self.dialect.loop("k", str(self.logits), [cast])
        answer.append(self._call(self.answer, *(place.format(given) for place in places), "y"))
        decided = self.program.decision
        found = f"\n    return {decision.class_of(decided, p)};" * bool(self.returned)
        return [
            *decision.function(decided, p, real, real_y, self.answer.dtype),
            "\n".join(
                [
                    f"static void {p}_networks(const {real} *x, {real} *logits, {real} *s)",
                    "{",
                    *["    (void)x;", "    logits[0] = 0;"] * (not self.networks),
                    *["    (void)s;"] * (not any(routine.scratch for routine in self.networks)),
                    *calls,
                    "}",
                ]
            ),
            f"""\
void {p}_logits(const {real} *x, {real} *logits)
{{
    {real} s[{max(1, self.scratch)}];
    {p}_networks(x, logits, s);
}}""",
            f"""\
static void {p}_answers(const {real} *logits, {real_y} *y{f", {real} *s" * self.uses_scratch})
{{
{chr(10).join(indented(answer))}
}}""",
            f"""\
{self.gives} {p}_predict_in(const {real} *x, {real_y} *y, {real} *scratch)
{{
    {real} *logits = scratch, *s = scratch + {self.logits};
    {p}_networks(x, logits, s);
    {p}_answers(logits, y{", s" * self.uses_scratch});{found}
}}""",
            f"""\
{self.gives} {p}_predict(const {real} *x, {real_y} *y)
{{
    {real} scratch[{max(1, self.logits + self.scratch)}];
    {self.returned}{p}_predict_in(x, y, scratch);
}}""",
        ]

    def _of_row(self) -> str:
        assert self.table is not None
        p, up = self.prefix, self.prefix.upper()
        return f"""\
{self.gives} {p}_predict_row({self.table.row}, {self.real_y} *y)
{{
    {self.real} x[{up}_INPUTS];
    {p}_prepare(row, x);
    {self.returned}{p}_predict(x, y);
}}"""

    def _call(self, routine: Routine, *arguments: str) -> str:
        given = [*arguments, *["s"] * (routine.scratch > 0)]
        return f"{self.dialect.local(routine.name, routine.dtype)}({', '.join(given)});"


PRAGMAS = """\
#if defined(__FAST_MATH__)
#error "compile this file without -ffast-math: it would change results"
#endif
#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "compile this file for arithmetic in float and double, such as with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#if defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) \\
    && (defined(__x86_64__) || defined(__aarch64__))
#pragma GCC optimize ("O3", "fp-contract=off", "no-tree-loop-distribute-patterns")
#else
#pragma GCC optimize ("fp-contract=off", "no-tree-loop-distribute-patterns")
#endif
#endif"""
