from __future__ import annotations

import numpy as np
import pytest

from backhand.expr import minimax as coefficients

from .minimax import PROBLEMS, Fit, mp, polynomial


@pytest.mark.parametrize("name", PROBLEMS)
def test_polynomials_are_as_near_as_they_say(name):
    problem, powers = PROBLEMS[name], getattr(coefficients, name)
    for x in np.linspace(float(problem.low), float(problem.high), 402):
        x = mp.mpf(float(x))
        error = problem.weight(x) * abs(problem.function(x) - polynomial(powers, x))
        assert error <= problem.bound, f"{name} at {x}: 2**{mp.log(error, 2)}"


@pytest.mark.parametrize("name", ["EXP_32", "LOG_32", "SINE_32"])
def test_stored_polynomials_are_the_best_that_their_format_has(name):
    """The script that makes them finds others that are no better, to a hundredth of a bit."""
    fit = Fit(PROBLEMS[name], len(getattr(coefficients, name)))
    made = fit.rounded(np.float32)
    least, stored = (fit.largest(powers) for powers in (made, getattr(coefficients, name)))
    assert abs(mp.log(stored / least, 2)) < 0.01
    assert fit.largest(fit.best([])) < stored


@pytest.mark.parametrize("name", ["LN2_32", "EXP_32", "LOG_32", "ERF_32", "SINE_32"])
def test_float32_constants_are_float32(name):
    values = np.array(getattr(coefficients, name))
    np.testing.assert_array_equal(values.astype(np.float32), values)
