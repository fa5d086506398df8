"""An ONNX model beside its program: both run on rows, and may differ by rounding only.

The program is run with numbers that carry a bound on how far another right evaluation may be from
them (`check.rounding`): through preparation, networks and answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...check.rounding import Rounded, Rounding
from ...errors import BackhandError, first_line
from ...run.arrays import Values, perform
from ...testing import worst_element
from ..program import Decision, Program, Stage
from ..samples import sample_rows
from .writing import LABEL, NUMBERS, PROBABILITIES, class_array, input_names, input_type

Array = Any

ROWS = 200
"""Rows that a model is tried with when it is written."""

OWN = {"exp": 4.0, "log": 8.0, "tanh": 16.0, "erf": 4.0, "sin": 6.0, "sqrt": 8.0}
"""What onnxruntime is taken to keep, in units in the last place; it states nothing. On x86-64,
versions 1.20 and 1.32 were off by half of this at most, and a test measures the one installed."""

_PRODUCT, _KAHAN, _POLYNOMIAL = 1.0, 4.0, 8.0
"""Roundings of two factors; of Kahan's quotient; of the polynomial of erf in float64."""

_EXPM1 = 2 * (OWN["tanh"] + OWN["exp"] + _PRODUCT)

ULP = {
    **OWN,
    "expm1": _EXPM1,
    "log1p": 2 * (OWN["log"] + _KAHAN),
    "cos_turns": 2 * (OWN["sin"] + _PRODUCT),
    "sin_turns": 2 * (OWN["sin"] + _PRODUCT),
}
"""Bounds of all functions as `namespace` composes them. Relative errors add up in products, and one
of epsilon is two units in the last place at most."""

ERF_64 = _EXPM1 + 2 * _POLYNOMIAL


class DiffersError(BackhandError):
    """An ONNX model gives something else than the model that it was written from."""


def rounding(dtype: str) -> Rounding:
    """The namespace that bounds what an ONNX model may differ by."""
    return Rounding(dtype, {**ULP, "erf": OWN["erf"] if dtype == "float32" else ERF_64})


def _run(stage: Stage, given: list[Rounded], widened: bool) -> Rounded:
    """A stage on numbers with bounds; those of a wider kind are rounded first."""
    xp = rounding(stage.dtype)
    at: dict[str, Any] = {b.name: Rounded(xp, a) for b, a in stage.constants.items()}
    for buffer, a in zip(stage.given, given, strict=True):
        entered = xp.rounded(a.value, a.error) if widened else Rounded(xp, a.value, a.error)
        at[buffer.name] = entered
    values = Values(at, xp)
    with np.errstate(all="ignore"):
        for node in stage.nodes:
            perform(node, values)
    found: Rounded = values[stage.result]
    return found


def bounded_answers(program: Program, rows: Array) -> tuple[Array, Array]:
    """y (N, K) in float64, and how far from it another right evaluation may be.

    Parameters
    ----------
    program : Program
    rows : array (N, columns) or (N, D)
        As `sample_rows` gives them.
    """
    dtype = program.dtype
    if program.columns:
        assert program.prepare is not None
        cells = Rounded(rounding(program.prepare.dtype), rows[:, list(program.sources)])
        found = _run(program.prepare, [cells], False)[:, list(program.order)]
        narrower = program.prepare.dtype != dtype
    else:
        found, narrower = Rounded(rounding(dtype), rows.astype(dtype)), False
    logits = [_run(stage, [found], narrower) for stage in program.networks]
    y = _run(program.answer, logits, dtype == "float64" and program.answer.dtype == "float32")
    return y.value, y.error


def feeds(program: Program, rows: Array) -> dict[str, Array]:
    """Rows of `sample_rows` as the model's inputs."""
    names = input_names(program)
    if not program.columns:
        return {names[0]: rows.astype(input_type(program, 0))}
    given = {}
    for name, column, values in zip(names, program.columns, rows.T, strict=True):
        a = values[:, None]
        if column.kind == "category":
            other = "unseen"
            while other in column.values:
                other += "_"
            texts = [*column.values, "", other]  # the last two by MISSING and OTHER from the end
            a = np.array(texts, object)[a.astype(np.int64)]
        given[name] = a
    return given


def compare(program: Program, model: bytes, rows: Array) -> float:
    """Run an ONNX model beside its program.

    Parameters
    ----------
    program : Program
    model : bytes
        The content of a file.
    rows : array
        As `sample_rows` gives them.

    Returns
    -------
    float
        The largest difference as a share of what is allowed.

    Raises
    ------
    DiffersError
        If it is above 1, or a class is another one beyond doubt.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        got = dict(zip(names, session.run(names, feeds(program, rows)), strict=True))
    except Exception as error:  # its classes have no common base
        raise DiffersError(
            f"onnxruntime cannot run what was written: {first_line(error)}"
        ) from None
    want, bound = bounded_answers(program, rows)
    worst = worst_element(got[PROBABILITIES if LABEL in got else NUMBERS], want, 0.0, bound)
    if worst.ratio > 1:
        raise DiffersError(f"the ONNX model differs from its own at {worst} (row, output)")
    if LABEL in got:
        _compare_labels(got[LABEL], program.decision, want, bound)
    return worst.ratio


def _compare_labels(got: Array, decision: Decision, y: Array, bound: Array) -> None:
    """Raise DiffersError if a label is another one beyond doubt."""
    low, high = y - bound, y + bound
    if decision.kind == "labels":
        possible = np.where(got == 1, high > decision.threshold, low <= decision.threshold)
    else:
        classes = class_array(decision.classes)
        which = (got[:, None] == classes).argmax(axis=1)
        known = got == classes[which]
        if decision.kind == "largest":
            at = np.arange(len(y))
            possible = known & (high[at, which] >= low.max(axis=1, initial=-np.inf))
        else:
            second = np.where(
                which == 1, high[:, 1] >= decision.threshold, low[:, 1] < decision.threshold
            )
            possible = known & second
    possible |= np.isnan(y) if decision.kind == "labels" else np.isnan(y).any(axis=1)
    if not possible.all():
        row = int(np.argwhere(~possible)[0][0])
        raise DiffersError(f"the ONNX model gives {got[row]!r} in row {row}, where y is {y[row]}")


def compare_samples(program: Program, model: bytes, rows: int = ROWS) -> float:
    """`compare` on random rows, with missing cells and categories that no training row has."""
    return compare(program, model, sample_rows(program, rows))
