"""What a formula should give, from its definition at 100 digits, and how far off it may be.

A right evaluation in float32 or float64 has two kinds of error and no other:

- each operation rounds, by some units in the last place (ULP) of the true value: `ULPS`;
- what goes in has been rounded. An input ``x`` that is off by a share of itself moves the value by
  that share of ``|x df/dx|``: `ROUNDINGS` ULP of each input.

There is no absolute tolerance beside them but the smallest normal number, below which digits are
lost to underflow. So a formula whose terms cancel where the function is not sensitive fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .rounding import spacing

Array = Any
Function = Callable[..., Any]

DIGITS = 100
"""Enough for differences of numbers near 1 that are as small as float32 can hold."""
STEP = 1e-25
"""Of a difference that gives a slope, absolute."""
NUDGE = 1e-10
"""Of a difference that gives a sensitivity, relative: it leaves ten digits, two would do."""

ULPS = 32
"""Rounding of the operations, in ULP: eight functions of up to 4 ULP, one after another."""
ROUNDINGS = 2
"""Rounding of each input, in ULP: its own, and that of intermediate results it goes through."""


def mathematics(definition: str, **values: Any) -> Function:
    """A formula's definition as a function for mpmath, at 100 digits."""
    import mpmath  # slow to import

    names = {name: getattr(mpmath.mp, name) for name in dir(mpmath.mp) if name[0] != "_"}
    names |= {"max": max, "abs": abs, "__builtins__": {}}
    code = compile(definition, "definition", "eval")

    def function(**at: Any) -> Any:
        with mpmath.workdps(DIGITS):
            exact = {k: _exact(mpmath, v) for k, v in {**values, **at}.items()}
            return eval(code, {**names, **exact})

    return function


def _exact(mpmath: Any, value: Any) -> Any:
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_exact(mpmath, v) for v in value]
    return value if isinstance(value, (int, mpmath.mpf)) else mpmath.mpf(float(value))


def slope(function: Function, column: int | None = None) -> Function:
    """The derivative of a definition by ``z``, or by one logit of a row ``z``."""
    import mpmath

    def derivative(*, z: Any, **at: Any) -> Any:
        with mpmath.workdps(DIGITS):
            h, z = mpmath.mpf(STEP), _exact(mpmath, z)
            if column is None:
                above, below = z + h, z - h
            else:
                above, below = ([*z[:column], z[column] + d, *z[column + 1 :]] for d in (h, -h))
            return (function(z=above, **at) - function(z=below, **at)) / (2 * h)

    return derivative


def sensitivity(function: Function, inputs: Mapping[str, Any], **fixed: Any) -> tuple[float, float]:
    """A definition's value, and the sum of ``|x df/dx|`` over all ``inputs``, lists included."""
    import mpmath

    with mpmath.workdps(DIGITS):
        value, total = function(**inputs, **fixed), mpmath.mpf(0)
        for name, x in inputs.items():
            many = isinstance(x, (list, tuple, np.ndarray))
            for i, one in enumerate(x if many else [x]):
                if one == 0:
                    continue
                moved: Any = _exact(mpmath, one) * (1 + mpmath.mpf(NUDGE))
                moved = [*x[:i], moved, *x[i + 1 :]] if many else moved
                total += abs(function(**{**inputs, name: moved}, **fixed) - value) / NUDGE
        return float(value), float(total)


def allowed(want: Array, sensitivities: Array, dtype: Any) -> Array:
    """How far a right evaluation in ``dtype`` may be from the true values ``want``."""
    rounding = ROUNDINGS * float(np.finfo(dtype).eps) * np.asarray(sensitivities)
    return ULPS * spacing(want, dtype) + rounding + float(np.finfo(dtype).smallest_normal)
