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


class Operators(Rounding):
    """The namespace that bounds what an ONNX model may differ by.

    Its operators round one by one, as NumPy's do: in float64, in which NumPy's values are, simple
    arithmetic on equal numbers gives equal numbers.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype, {**ULP, "erf": OWN["erf"] if dtype == "float32" else ERF_64})

    def rounded(self, value: Array, error: Array, ulp: float = 0.5, own: float = 0.5) -> Rounded:
        found = super().rounded(value, error, ulp, own)
        if not ulp == own == 0.5:  # a function: version 1.20 gives exp(-inf) = 5.6e-309
            found.error = found.error + self._smallest
        elif self.dtype == np.float64:
            found.error = np.where(np.equal(error, 0), 0.0, found.error)
        return found

    def entered(self, a: Rounded) -> Rounded:
        """What another stage has given; of a wider kind it is rounded, by NumPy to the same."""
        if a.xp.dtype.itemsize <= self.dtype.itemsize:
            return self.number(a.value, a.error)
        rounded = self.rounded(a.value, a.error)
        exact = a.error == 0
        value = np.where(exact, a.value.astype(self.dtype), a.value)
        return self.number(value, np.where(exact, 0.0, rounded.error))


def _run(stage: Stage, given: list[Rounded]) -> Rounded:
    """A stage on numbers with bounds."""
    xp = Operators(stage.dtype)
    at: dict[str, Any] = {b.name: Rounded(xp, a) for b, a in stage.constants.items()}
    with np.errstate(all="ignore"):
        at |= {b.name: xp.entered(a) for b, a in zip(stage.given, given, strict=True)}
        values = Values(at, xp)
        for node in stage.nodes:
            perform(node, values)
    found: Rounded = values[stage.result]
    return found


def bounded(program: Program, rows: Array) -> tuple[list[Rounded], Rounded]:
    """Logits of each network and y (N, K), and how far another right evaluation may be from them.

    Parameters
    ----------
    program : Program
    rows : array (N, columns) or (N, D)
        As `sample_rows` gives them.
    """
    dtype = input_type(program)
    found = Rounded(Operators(dtype), rows.astype(dtype))
    if program.prepare is not None:
        found = _run(program.prepare, [found[:, list(program.sources)]])[:, list(program.order)]
    logits = [_run(stage, [found]) for stage in program.networks]
    y = _run(program.answer, logits)
    shape = len(rows), y.shape[-1]  # an answer that is always the same has one row
    return logits, Rounded(y.xp, *(np.broadcast_to(a, shape) for a in (y.value, y.error)))


def feeds(program: Program, rows: Array) -> dict[str, Array]:
    """Rows of `sample_rows` as the model's inputs."""
    names = input_names(program)
    if not program.columns:
        return {names[0]: rows.astype(input_type(program))}
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
    logits, y = bounded(program, rows)
    worst = worst_element(got[PROBABILITIES if LABEL in got else NUMBERS], y.value, 0.0, y.error)
    if worst.ratio > 1:
        raise _differs(f"{worst} (row, output)")
    if LABEL in got:
        possible = _possible(program.decision, logits, y)
        if program.decision.kind == "labels":
            fits = np.take_along_axis(possible, got[LABEL][..., None], axis=-1)[..., 0]
        else:
            classes = class_array(program.decision.classes)
            fits = (possible & (got[LABEL][:, None] == classes)).any(axis=1)
        if not fits.all():
            row = int(np.argwhere(~fits)[0][0])
            raise _differs(f"row {row}: got {got[LABEL][row]!r}, where y is {y.value[row]}")
    return worst.ratio


def _differs(where: str) -> DiffersError:
    import onnxruntime

    return DiffersError(
        f"onnxruntime {onnxruntime.__version__} differs from the model by more than rounding at "
        f"{where}: nothing was written; try another version of onnxruntime"
    )


def _possible(decision: Decision, logits: list[Rounded], y: Rounded) -> Array:
    """Which classes a row may have (N, C); of several labels whether it may lack and have each.

    Where a number is NaN, it may have all.
    """
    kind = decision.kind
    score = y if kind in ("largest", "threshold") else logits[0]
    score = score[:, 1:] if kind == "threshold" else score
    low, high = score.value - score.error, score.value + score.error
    if kind.startswith("largest"):
        return ~(high < np.fmax.reduce(low, axis=1, keepdims=True, initial=-np.inf))
    limit = decision.threshold if kind == "threshold" else 0.0
    both = np.stack([~(low > limit), ~(high < limit)], axis=-1)
    return both if kind == "labels" else both[:, 0]


def compare_samples(program: Program, model: bytes, rows: int = ROWS) -> float:
    """`compare` on random rows, with missing cells and categories that no training row has."""
    return compare(program, model, sample_rows(program, rows))
