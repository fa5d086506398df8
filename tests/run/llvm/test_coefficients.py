from __future__ import annotations

import mpmath
import numpy as np
import pytest

from backhand.run.llvm import coefficients

mp = mpmath.mp.clone()
mp.dps = 40
ROOT = float(np.sqrt(2))


def log_series(z):
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


CASES = {
    # what a polynomial stands for, where, the weight of its error in the result, and the bound
    "EXP_32": (lambda r: (mp.expm1(r) - r) / r**2, (-0.3466, 0.3466), "exp", 2.0**-26),
    "EXP_64": (lambda r: (mp.expm1(r) - r) / r**2, (-0.3466, 0.3466), "exp", 2.0**-60),
    "LOG_32": (lambda f: (mp.log1p(f) - f) / f**2, (1 / ROOT - 1, ROOT - 1), "log", 2.0**-27.5),
    "LOG_64": (log_series, (1e-9, 0.0294), "atanh", 2.0**-59),
    "ERF_32": (lambda a: -mp.log(mp.erfc(a)) / a - 1, (1e-9, 4.0), "erf", 2.0**-27.5),
    "ERF_64": (lambda a: -mp.log(mp.erfc(a)) / a - 1, (1e-9, 5.95), "erf", 2.0**-56),
}
WEIGHTS = {
    "exp": lambda r: r**2 / abs(mp.expm1(r)),
    "log": lambda f: f**2 / abs(mp.log1p(f)),
    "atanh": lambda z: z / 2,
    "erf": lambda a: a * mp.erfc(a) / mp.erf(a),
}


def polynomial(powers, x):
    result = mp.mpf(0)
    for coefficient in reversed(powers):
        result = result * x + coefficient
    return result


@pytest.mark.parametrize("name", CASES)
def test_polynomials_are_as_near_as_they_say(name):
    function, (low, high), weight, bound = CASES[name]
    powers = getattr(coefficients, name)
    for x in np.linspace(low, high, 402):
        x = mp.mpf(float(x))
        error = WEIGHTS[weight](x) * abs(function(x) - polynomial(powers, x))
        assert error <= bound, f"{name} at {x}: 2**{mp.log(error, 2)}"


@pytest.mark.parametrize("name", ["LN2_32", "EXP_32", "LOG_32", "ERF_32"])
def test_float32_constants_are_float32(name):
    values = np.array(getattr(coefficients, name))
    np.testing.assert_array_equal(values.astype(np.float32), values)
