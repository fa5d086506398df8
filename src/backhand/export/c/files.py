"""A trained model as two files of C99, which need nothing but a compiler."""

from __future__ import annotations

import os
import pathlib
import re

import numpy as np

from ...errors import InputError
from ...files import replacing
from ..imperative import Routine, Writer
from ..program import Program
from .dialect import REAL, C

KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm class delete new private public this virtual main bool true
    false nullptr alignas alignof constexpr static_assert thread_local typeof""".split()  # noqa: SIM905
)
"""Words of C, and of C++ and newer C, which a prefix must not be."""


def checked_prefix(prefix: str) -> str:
    """The prefix of every name in a file.

    Raises
    ------
    InputError
        If it is no identifier of C, or a word that means something else.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", prefix) or prefix.lower() in KEYWORDS:
        raise InputError(
            f"{prefix!r:.60} cannot begin the names in a C file: take at most 41 letters, digits "
            "and _, a letter first, and no word of C"
        )
    return prefix


def write_c(program: Program, name: str | os.PathLike[str]) -> tuple[pathlib.Path, pathlib.Path]:
    """Write ``NAME.h`` and ``NAME.c``.

    Parameters
    ----------
    program : Program
    name : path
        Where, without a suffix; its last part is the prefix of all names in the files.

    Returns
    -------
    (Path, Path)
        The header and the source.

    Raises
    ------
    InputError
        If the last part of ``name`` is no identifier of C, or a file cannot be written.
    """
    path = pathlib.Path(name)
    header, source = c_texts(program, path.name)
    written = []
    for suffix, text in ((".h", header), (".c", source)):
        to = path.with_name(path.name + suffix)
        with replacing(to) as beside:
            beside.write(text.encode("ascii"))
        written.append(to)
    return written[0], written[1]


def c_texts(program: Program, prefix: str) -> tuple[str, str]:
    """The contents of ``NAME.h`` and ``NAME.c``. Raises InputError for a prefix that is none."""
    return _File(program, checked_prefix(prefix)).texts()


class _File:
    """Writes the two files of a program."""

    def __init__(self, program: Program, prefix: str) -> None:
        self.program, self.prefix = program, prefix
        self.dialect = C(prefix)
        self.writer = Writer(self.dialect)
        self.networks = [self.writer.stage(stage) for stage in program.networks]
        self.answer = self.writer.stage(program.answer)
        self.real = REAL[program.dtype]

    def texts(self) -> tuple[str, str]:
        """The header and the source."""
        p, functions = self.prefix, self.writer.definitions()
        logits = sum(routine.results[0] for routine in self.networks)
        scratch = max(routine.scratch for routine in (*self.networks, self.answer))
        sizes = {
            "INPUTS": self.program.inputs,
            "OUTPUTS": self.answer.results[0],
            "LOGITS": logits,
            "SCRATCH": logits + scratch,
        }
        sizes = {f"{p}_{key}": value for key, value in sizes.items()}
        size = np.dtype(self.program.dtype).itemsize
        sizes[f"{p}_SCRATCH_BYTES"] = (logits + scratch) * size
        sizes[f"{p}_FLASH_BYTES"] = sum(a.nbytes for _, a in self.writer.arrays)
        header = [
            f"#ifndef {p}_H",
            f"#define {p}_H",
            *(f"#define {key} {value}" for key, value in sizes.items()),
            f"void {p}_logits(const {self.real} *x, {self.real} *logits);",
            f"void {p}_predict(const {self.real} *x, {self.real} *y);",
            f"void {p}_predict_in(const {self.real} *x, {self.real} *y, {self.real} *scratch);",
            "#endif",
        ]
        parts = [
            f'#include <stdint.h>\n\n#include "{p}.h"',
            PRAGMAS,
            *self.dialect.helper_texts(),
            *("\n".join(self.dialect.array(*array)) for array in self.writer.arrays),
            *("\n".join(lines) for lines in functions),
            *self._api(logits, scratch),
        ]
        return "\n".join(header) + "\n", "\n\n".join(parts) + "\n"

    def _api(self, logits: int, scratch: int) -> list[str]:
        p, real = self.prefix, self.real
        calls, at, places = [], 0, []
        for routine in self.networks:
            places.append(f"logits + {at}" if at else "logits")
            calls.append(f"    {self._call(routine, 'x', places[-1])}")
            at += routine.results[0]
        body = "\n".join(calls)
        all_logits = f"""\
static void {p}_networks(const {real} *x, {real} *logits, {real} *s)
{{
    (void)s;
{body}
}}"""
        answer = self._call(self.answer, *places, "y")
        room = max(1, scratch)
        return [
            all_logits,
            f"""\
void {p}_logits(const {real} *x, {real} *logits)
{{
    {real} s[{room}];
    {p}_networks(x, logits, s);
}}""",
            f"""\
void {p}_predict_in(const {real} *x, {real} *y, {real} *scratch)
{{
    {real} *logits = scratch, *s = scratch + {logits};
    {p}_networks(x, logits, s);
    {answer}
}}""",
            f"""\
void {p}_predict(const {real} *x, {real} *y)
{{
    {real} scratch[{p}_SCRATCH];
    {p}_predict_in(x, y, scratch);
}}""",
        ]

    def _call(self, routine: Routine, *arguments: str) -> str:
        given = [*arguments, *["s"] * (routine.scratch > 0)]
        return f"{self.dialect.local(routine.name, routine.dtype)}({', '.join(given)});"


PRAGMAS = """\
#if defined(__FAST_MATH__)
#error "compile this file without -ffast-math: it would change results"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize ("fp-contract=off")
#endif"""
