"""How the polynomials of `minimax.py` are made: ``python tests/expr/minimax.py NAME``.

It fits each again by Remez's exchange algorithm, in 45 digits, and prints the largest relative
error that any polynomial of the degree must have, that of the new one in its format, and that of
the stored one. `test_minimax.py` judges the stored ones by the functions below.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from backhand.expr import minimax as coefficients

mp = mpmath.mp.clone()
mp.dps = 45
ZERO = mp.mpf(10) ** -12  # instead of 0, where the functions below are 0 / 0


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a polynomial stands for.

    Attributes
    ----------
    function : callable
        What it approximates.
    weight : callable
        Relative error of the result for an error of the polynomial of 1.
    low, high : number
        The ends of the interval.
    bound : float
        The relative error that the result may have from this source.
    """

    function: Callable[[Any], Any]
    weight: Callable[[Any], Any]
    low: Any
    high: Any
    bound: float


def _exp(r: Any) -> Any:
    return (mp.expm1(r) - r) / r**2


def _exp_weight(r: Any) -> Any:
    return r**2 / abs(mp.expm1(r))


def _log(f: Any) -> Any:
    return (mp.log1p(f) - f) / f**2


def _log_weight(f: Any) -> Any:
    return f**2 / abs(mp.log1p(f))


def _atanh(z: Any) -> Any:
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def _atanh_weight(z: Any) -> Any:
    return z / 2


def _erf(a: Any) -> Any:
    return -mp.log(mp.erfc(a)) / a - 1


def _erf_weight(a: Any) -> Any:
    return a * mp.erfc(a) / mp.erf(a)


def _sine(t: Any) -> Any:
    s = mp.sqrt(t + SIXTEENTH)
    return (mp.sinpi(2 * s) / s - 4) / t


def _sine_weight(t: Any) -> Any:
    s = mp.sqrt(t + SIXTEENTH)
    return abs(t) * s / mp.sinpi(2 * s)


HALF_LN2, ROOT2, SIXTEENTH = mp.log(2) / 2, mp.sqrt(2), mp.mpf(1) / 16
PROBLEMS = {
    "EXP_32": Problem(_exp, _exp_weight, -HALF_LN2, HALF_LN2, 2.0**-26),
    "EXP_64": Problem(_exp, _exp_weight, -HALF_LN2, HALF_LN2, 2.0**-60),
    "LOG_32": Problem(_log, _log_weight, 1 / ROOT2 - 1, ROOT2 - 1, 2.0**-27.5),
    "LOG_64": Problem(_atanh, _atanh_weight, ZERO, ((ROOT2 - 1) / (ROOT2 + 1)) ** 2, 2.0**-59),
    "ERF_32": Problem(_erf, _erf_weight, ZERO, mp.mpf(4), 2.0**-27.5),
    "ERF_64": Problem(_erf, _erf_weight, ZERO, mp.mpf("5.95"), 2.0**-56),
    "SINE_32": Problem(_sine, _sine_weight, ZERO - SIXTEENTH, -ZERO, 2.0**-27.2),
    "SINE_64": Problem(_sine, _sine_weight, ZERO - SIXTEENTH, -ZERO, 2.0**-60.5),
}


def polynomial(powers: Any, x: Any) -> Any:
    """The polynomial with coefficients ``powers``, lowest first."""
    result = mp.mpf(0)
    for coefficient in reversed(powers):
        result = result * x + coefficient
    return result


class Fit:
    """Remez's exchange algorithm for one problem.

    Of the errors on many points, one peak is taken for each stretch of one sign, and the polynomial
    whose errors there are equal and alternate comes next, until nothing changes.
    """

    def __init__(self, problem: Problem, count: int):
        self.problem, self.count = problem, count
        many = 40 * count
        middle, half = (problem.high + problem.low) / 2, (problem.high - problem.low) / 2
        self.x = [middle - half * mp.cos(mp.pi * n / (many - 1)) for n in range(many)]
        self.x = [x or ZERO for x in self.x]
        self.values = [problem.function(x) for x in self.x]
        self.weights = [problem.weight(x) for x in self.x]

    def largest(self, powers: list[Any]) -> Any:
        """The largest relative error of the result at the points."""
        points = zip(self.x, self.values, self.weights, strict=True)
        return max(w * abs(polynomial(powers, x) - y) for x, y, w in points)

    def best(self, fixed: list[Any]) -> list[Any]:
        """All coefficients, of which the lowest are ``fixed`` and the others the best.

        Where some are fixed, the rest stands for ``(function - fixed) / x**first``, which errors
        weigh in with ``weight * |x|**first``. Very near 0 there is nothing left to choose.
        """
        first, free = len(fixed), self.count - len(fixed)
        near = (self.problem.high - self.problem.low) / 300 if fixed else 0
        points = [
            (x, (y - polynomial(fixed, x)) / x**first, w * abs(x) ** first)
            for x, y, w in zip(self.x, self.values, self.weights, strict=True)
            if abs(x) > near
        ]
        chosen = [points[round(n * (len(points) - 1) / free)] for n in range(free + 1)]
        known, rest, least = [], [], mp.inf
        for _ in range(25):
            rows = [
                [*(x**k for k in range(free)), (-1) ** n / w] for n, (x, _, w) in enumerate(chosen)
            ]
            *rest, _ = mp.lu_solve(mp.matrix(rows), mp.matrix([y for _, y, _ in chosen]))
            errors = [w * (polynomial(rest, x) - y) for x, y, w in points]
            if max(map(abs, errors)) < least:
                least, known = max(map(abs, errors)), rest
            peaks = [[0]]
            for n in range(1, len(errors)):
                if (errors[n] < 0) == (errors[n - 1] < 0):
                    peaks[-1].append(n)
                else:
                    peaks.append([n])
            tops = [max(stretch, key=lambda n: abs(errors[n])) for stretch in peaks]
            self._drop(tops, [abs(errors[n]) for n in tops], free + 1)
            if len(tops) <= free or chosen == [points[n] for n in tops]:
                break
            chosen = [points[n] for n in tops]
        return [*fixed, *known]

    @staticmethod
    def _drop(tops: list[int], sizes: list[Any], many: int) -> None:
        """Leave so many of the peaks, whose signs go on alternating, without the smallest."""
        while len(tops) > many:
            least = min(range(len(tops)), key=sizes.__getitem__)
            if 0 < least < len(tops) - 1 and len(tops) > many + 1:
                other = min((least - 1, least + 1), key=sizes.__getitem__)
                drop = [max(least, other), min(least, other)]
            else:
                drop = [0 if sizes[0] < sizes[-1] else len(tops) - 1]
            for place in drop:
                del tops[place], sizes[place]

    def rounded(self, dtype: type) -> list[float]:
        """Exact in a format: rounded one by one, lowest power first, the rest fitted again."""
        fixed: list[Any] = []
        while len(fixed) < self.count:
            fixed.append(mp.mpf(float(dtype(float(self.best(fixed)[len(fixed)])))))
        return [float(c) for c in fixed]


def main() -> None:
    for name in sys.argv[1:] or PROBLEMS:
        problem, stored = PROBLEMS[name], getattr(coefficients, name)
        fit = Fit(problem, len(stored))
        made = fit.rounded(np.float32 if name.endswith("32") else np.float64)
        sizes = [fit.largest(powers) for powers in (fit.best([]), made, stored)]
        texts = [f"2**{float(mp.log(size, 2)):.2f}" for size in sizes]
        same = sum(a == b for a, b in zip(made, stored, strict=True))
        print(
            f"{name}: best {texts[0]}, rounded {texts[1]}, stored {texts[2]}; "
            f"{same} of {len(stored)} coefficients are the stored ones",
            flush=True,
        )
        if made != list(stored):
            print("   ", *(c.hex() for c in made))


if __name__ == "__main__":
    main()
