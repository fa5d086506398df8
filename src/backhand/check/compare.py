"""What a comparison says: one line of a check, and many lines in a few words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..testing import worst_element
from .rounding import spacing

RTOL, ATOL = 1e-10, 1e-12
"""For two evaluations in float64 by different formulas, neither of which is the true value, such as
ours and an automatic differentiator's. `compare` says what ATOL is relative to."""

KINDS = {
    "oracle": "formulas against independent mathematics",
    "autodiff": "derivatives against automatic differentiation",
    "kernel": "machine code against NumPy",
}
"""The three comparisons, in the order in which they are shown."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The outcome of comparing one thing with one oracle.

    Attributes
    ----------
    kind : {"oracle", "autodiff", "kernel"}
        Which of the three comparisons: a formula against independent mathematics, a hand-written
        derivative against automatic differentiation, an emitted kernel against NumPy.
    what : str
    oracle : str
    error : float
        Of the worst element, as a share of what is allowed: above 1 is a failure.
    tolerance : str
        What is allowed.
    where : str
        The worst element and its two values.
    note : str
        What was left out, and why.
    """

    kind: str
    what: str
    oracle: str
    error: float
    tolerance: str
    where: str
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the worst element is within what is allowed. NaN is not."""
        return self.error <= 1

    @property
    def share(self) -> str:
        """The worst error as a share of what is allowed: percent, or a multiple above it."""
        if not self.passed:
            return f"{self.error:.3g} times"
        percent = 100 * self.error
        if percent >= 1 or percent == 0:
            return f"{math.floor(percent)} %"
        return f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %"

    @property
    def told(self) -> str:
        """The worst error in words."""
        return f"{self.share} {'of ' if self.passed else ''}what is allowed"

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        note = f" ({self.note})" if self.note else ""
        return (
            f"{verdict}  {self.what} against {self.oracle}: worst error {self.told} "
            f"({self.tolerance}), at {self.where}{note}"
        )


class Report(tuple[Comparison, ...]):
    """Comparisons, one after another. It is true if all passed, and prints as a summary.

    The summary is a line for each of the arrays with the largest errors; failures are there in
    full. `details` has all lines.
    """

    __slots__ = ()

    SHOWN = 5

    @property
    def passed(self) -> bool:
        """Whether there is a comparison and all passed."""
        return bool(len(self)) and all(line.passed for line in self)

    def __bool__(self) -> bool:
        return self.passed

    @property
    def details(self) -> str:
        """Every comparison in a line, with its worst element."""
        return "\n".join(map(str, self))

    def __str__(self) -> str:
        if len(self) == 0:
            return "Gradient check: nothing was compared"
        oracles = ", ".join(dict.fromkeys(line.oracle for line in self))
        lines = [f"Gradient check: {KINDS[self[0].kind]} ({oracles})"]
        by_array: dict[str, Comparison] = {}
        for line in sorted(self, key=_badness, reverse=True):
            by_array.setdefault(line.what, line)
        shown = [line for line in by_array.values() if line.passed][: self.SHOWN]
        width = max((len(line.what) for line in shown), default=0)
        lines += [
            f"  {line.what:<{width}}  worst error {line.share:>8} of what is allowed"
            for line in shown
        ]
        failed = [line for line in self if not line.passed]
        rest = len(by_array) - len({line.what for line in failed}) - len(shown)
        if rest > 0:
            lines.append(f"  and {rest} more arrays, with smaller errors")
        lines += map(str, failed)
        notes = dict.fromkeys(line.note for line in self if line.note)
        lines.append("; ".join([verdict(len(self), len(failed)), *notes]))
        return "\n".join(lines)

    __repr__ = __str__


def verdict(total: int, failed: int) -> str:
    """How many comparisons there were, and whether all passed."""
    return f"{total:,} comparisons, " + (f"{failed:,} FAILED" if failed else "all passed")


def worst_of(lines: Iterable[Comparison]) -> Comparison:
    """The comparison that came nearest to failing, or failed most."""
    return max(lines, key=_badness)


def _badness(line: Comparison) -> float:
    return float(np.nan_to_num(line.error, nan=np.inf, posinf=np.inf))


def compare(
    kind: str,
    what: str,
    oracle: str,
    got: Any,
    want: Any,
    *,
    allowed: Any = None,
    dtype: str = "float64",
    scale: float = 1.0,
    inputs: Callable[[tuple[int, ...]], str] | None = None,
    note: str = "",
) -> Comparison:
    """Compare two arrays element by element.

    Parameters
    ----------
    kind, what, oracle, note : str
        See `Comparison`.
    got, want : array
    allowed : array, optional
        How far each element may be off. By default `RTOL` of it and `ATOL` of ``scale``.
    dtype : {"float32", "float64"}
        In whose units the tolerance is told.
    scale : float
        The size of the numbers that were summed to get an element, so that a sum that happens to
        cancel is not asked for digits that its terms do not have.
    inputs : callable, optional
        ``inputs(index)`` says what led to an element, for the message.
    """
    want = np.asarray(want)
    bound = RTOL * np.abs(want) + ATOL * scale if allowed is None else allowed
    bound = np.broadcast_to(bound, want.shape)
    try:
        worst = worst_element(got, want, 0.0, bound)
    except AssertionError as shapes:
        return Comparison(kind, what, oracle, float("inf"), "equal shapes", str(shapes), note)
    if allowed is None:
        tolerance = f"relative {RTOL:g}, absolute {ATOL * scale:.2g}"
    else:
        tolerance = _told(bound[worst.index] if want.size else 0.0, worst.want, dtype)
    where = f"{worst}, {inputs(worst.index)}" if inputs else str(worst)
    return Comparison(kind, what, oracle, worst.ratio, tolerance, where, note)


MANY = 1e6  # ULP, from which on they say less than the number itself


def _told(allowed: float, value: float, dtype: str) -> str:
    unit = float(spacing(value, dtype))
    return f"{allowed / unit:.3g} ULP of {dtype}" if allowed < MANY * unit else f"{allowed:.2g}"
