"""Sample rows with the bits that a file must give for them, and how far others may be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..imperative.exact import WORDS, run_exactly
from ..imperative.expressions import indented
from ..program import Program
from ..samples import sample_rows
from .dialect import C, real_text, wrapped
from .helpers import BITS, REAL
from .table import Table

Array = np.ndarray

MEASURED = 64
"""Rows at most by which differences without FMA are measured."""

KEPT = 8
"""Rows at most that the self-test has."""


MAIN = """\
static int @test_near(const double a, const double b, const double bound)
{
    const double d = a < b ? b - a : a - b;
    return a == b || d <= bound || (a != a && b != b);
}

int main(void)
{
    for (int i = 0; i < $many; i++) {
        $real logits[$logits];
        $real_y y[$answers];
        @logits(@test_x[i], logits);
        for (int k = 0; k < $logits; k++) {
            union { $bits bits; $real real; } got, want;
            got.real = logits[k];
            want.bits = @test_logits[i][k];
#if defined(@FMA_HAS) && @FMA_HAS
            if (got.bits != want.bits && (got.real == got.real || want.real == want.real)) {
                return i + 1;
            }
#endif
            if (!@test_near((double)got.real, (double)want.real, $bound)) {
                return i + 1;
            }
        }
        $predict;
        for (int k = 0; k < $answers; k++) {
            if (!@test_near((double)y[k], (double)@test_y[i][k], $bound_y)) {
                return i + 1;
            }
        }
    }
    return 0;
}"""


class SelfTest:
    """The ``main`` that compares, and what the header says of differences.

    Parameters
    ----------
    program : Program
    prefix : str
    dialect : C
    rows : array (N, columns) or None
        See `files.write_c`.
    """

    def __init__(self, program: Program, prefix: str, dialect: C, rows: Array | None) -> None:
        self.program, self.prefix, self.dialect = program, prefix, dialect
        self.dtype_y = program.answer.dtype
        given = sample_rows(program, KEPT) if rows is None else np.asarray(rows, np.float64)
        self.rows = given[:MEASURED]
        single, double = (True, False), (True, False)
        found = {fused: self._run(*fused) for fused in itertools.product(single, double)}
        x, logits, self.answers = found[True, True]
        self.x, self.logits = x[:KEPT], logits[:KEPT]
        other = {fused: self._logits(x, fused[program.dtype == "float64"]) for fused in found}
        self.logits_bound = max(_furthest(a, logits) for a in other.values())
        self.answers_bound = max(_furthest(y, self.answers) for _, _, y in found.values())

    def _run(self, single: bool, double: bool) -> tuple[Array, Array, Array]:
        """Prepared numbers, logits and answers, with FMA of float32 and of float64, or without."""
        program, fused = self.program, {"float32": single, "float64": double}
        if program.prepare is None:
            x = np.asarray(self.rows, program.dtype)
        else:
            values = self.rows[:, list(program.sources)]
            prepared = run_exactly(program.prepare, (values,), double)
            with np.errstate(over="ignore"):
                x = np.asarray(prepared[:, list(program.order)], program.dtype)
        given = [run_exactly(stage, (x,), fused[stage.dtype]) for stage in program.networks]
        y = run_exactly(program.answer, given, fused[program.answer.dtype])
        y = np.broadcast_to(y.reshape(len(y), -1), (len(x), program.answer.result.width))
        return x, _beside(given, x), y

    def _logits(self, x: Array, fused: bool) -> Array:
        given = [run_exactly(stage, (x,), fused) for stage in self.program.networks]
        return _beside(given, x)

    def notes(self) -> list[str]:
        """For the head of the header."""
        kind = "float" if self.program.dtype == "float32" else "double"
        rows, up = len(self.rows), self.prefix.upper()
        return [
            f"On a processor with FMA of {kind}, the results of the networks have the bits that",
            f"they have in Python. Without, the largest difference is {self.logits_bound:.3g}, and",
            f"that of answers is {self.answers_bound:.3g}, as measured on {rows} rows.",
            "",
            f"Compile {self.prefix}.c with -D{up}_SELFTEST for a program that tries {len(self.x)}",
            "rows, and returns 0 if they are right, or else the number of the first that is not.",
        ]

    def text(self, table: Table | None) -> str:
        """The ``main``."""
        p, up, dtype, dtype_y = self.prefix, self.prefix.upper(), self.program.dtype, self.dtype_y
        many, mark = len(self.x), "u" if dtype == "float32" else "ull"
        words = [[f"{b:#x}{mark}" for b in row] for row in self.logits.view(WORDS[dtype]).tolist()]
        parts = [
            f"#ifdef {up}_SELFTEST",
            _array(f"{REAL[dtype]} {p}_test_x[{many}]", _texts(self.x, dtype)),
            _array(f"{BITS[dtype]} {p}_test_logits[{many}]", words),
            _array(f"{REAL[dtype_y]} {p}_test_y[{many}]", _texts(self.answers[:KEPT], dtype_y)),
        ]
        predict = f"{p}_predict({p}_test_x[i], y)"
        if table and not self.program.columns:
            predict = f"{p}_predict_row({p}_test_rows[i], y)"
            parts.append(
                _array(f"double {p}_test_rows[{many}]", _texts(self.rows[:KEPT], "float64"))
            )
        elif table:
            predict = f"{p}_predict_row(&{p}_test_rows[i], y)"
            texts = ",\n".join(f"    {{ {', '.join(self._row(row))} }}" for row in self.rows[:KEPT])
            parts.append(f"static const {p}_row {p}_test_rows[{many}] = {{\n{texts}\n}};")
        values = {
            "@FMA_HAS": self.dialect.local("FMA_HAS", dtype),
            "@": f"{p}_",
            "$predict": predict,
            "$many": str(many),
            "$logits": str(self.logits.shape[1]),
            "$answers": str(self.answers.shape[1]),
            "$bits": BITS[dtype],
            "$real_y": REAL[dtype_y],
            "$real": REAL[dtype],
            "$bound_y": real_text(self.answers_bound, "float64"),
            "$bound": real_text(self.logits_bound, "float64"),
        }
        main = MAIN
        for name, value in values.items():
            main = main.replace(name, value)
        return "\n\n".join([*parts, main, "#endif"])

    def _row(self, row: Array) -> list[str]:
        return [
            str(int(value)) if column.kind == "category" else real_text(float(value), "float64")
            for column, value in zip(self.program.columns, row, strict=True)
        ]


def _beside(logits: Sequence[Array], x: Array) -> Array:
    """Logits of all networks (N, K); 0 if there is no network."""
    found = [z.reshape(len(z), -1) for z in logits]
    return np.concatenate(found, axis=1) if found else np.zeros((len(x), 1), x.dtype)


def _furthest(a: Array, b: Array) -> float:
    """The largest difference; where both are no numbers, or the same infinity, there is none."""
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.abs(a.astype(np.float64) - b)
    return float(np.max(np.where(same, 0.0, difference), initial=0.0))


def _texts(a: Array, dtype: str) -> list[list[str]]:
    return [[real_text(float(value), dtype) for value in row] for row in a]


def _array(head: str, rows: Sequence[Sequence[str]]) -> str:
    """A table of constants, wrapped."""
    texts = ["    {\n" + "\n".join(indented(indented(wrapped(row)))) + "\n    }" for row in rows]
    return f"static const {head}[{len(rows[0])}] = {{\n" + ",\n".join(texts) + "\n};"
