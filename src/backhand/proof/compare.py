"""What a comparison says: one line of a proof."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..testing import worst_element

TOLERANCE = {"float64": (1e-10, 1e-12), "float32": (1e-3, 1e-5)}
"""Relative and absolute tolerance by dtype; see `compare` for what they are relative to."""


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
        Of the worst element, as a multiple of what is allowed: above 1 is a failure.
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

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        note = f" ({self.note})" if self.note else ""
        return (
            f"{verdict}  {self.what} against {self.oracle}: worst error {self.error:.2g} of "
            f"{self.tolerance}, at {self.where}{note}"
        )


class Proof(tuple[Comparison, ...]):
    """Comparisons, one after another; prints as lines, and is true if all passed."""

    __slots__ = ()

    @property
    def passed(self) -> bool:
        """Whether there is a comparison and all passed."""
        return bool(len(self)) and all(line.passed for line in self)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__


def compare(
    kind: str,
    what: str,
    oracle: str,
    got: Any,
    want: Any,
    *,
    dtype: str,
    scale: float = 1.0,
    inputs: Any = None,
    note: str = "",
) -> Comparison:
    """Compare two arrays: ``|got - want| <= rtol * |want| + atol * scale``, by dtype.

    ``scale`` is the size of the numbers that were summed to get an element, so that a sum that
    happens to cancel is not asked for digits that its terms do not have. ``inputs(index)`` says
    what led to an element, for the message.
    """
    rtol, atol = TOLERANCE[dtype]
    tolerance = f"rtol {rtol:g}, atol {atol * scale:.2g}"
    try:
        worst = worst_element(got, want, rtol, atol * scale)
    except AssertionError as shapes:
        return Comparison(kind, what, oracle, float("inf"), tolerance, str(shapes), note)
    where = f"{worst}, {inputs(worst.index)}" if inputs else str(worst)
    return Comparison(kind, what, oracle, worst.ratio, tolerance, where, note)
