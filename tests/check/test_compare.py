from __future__ import annotations

import numpy as np
import pytest

from backhand.check.compare import Comparison, Report, compare


def line(error):
    return Comparison("autodiff", "dw1", "autograd", error, "rtol 1e-10", "[0]")


def test_a_report_is_true_only_if_there_is_a_line_and_all_pass():
    assert not Report([])
    assert Report([line(0.5)])
    assert not Report([line(0.5), line(2.0)])
    assert not Report([line(float("nan"))])


def test_compare_tells_element_values_and_inputs():
    z = np.array([1.0, 2.0, 3.0])
    got = compare(
        "oracle",
        "f",
        "o",
        z,
        z + np.array([0, 1e-3, 0]),
        inputs=lambda i: f"z={z[i]}",
    )
    assert not got.passed
    assert "[1]: got 2.0, want 2.001, z=2.0" in str(got)


def test_other_shapes_and_nan_fail():
    ones = np.ones(3)
    assert not compare("oracle", "f", "o", ones, np.ones((3, 1)), dtype="float32").passed
    assert not compare("oracle", "f", "o", ones * np.nan, ones, dtype="float32").passed


def test_float64_is_held_to_ten_digits():
    assert compare("o", "f", "o", 1 + 0.9e-10, 1.0).passed
    assert not compare("o", "f", "o", 1 + 1.2e-10, 1.0).passed


def test_what_is_allowed_holds_for_each_element_and_is_told_in_ulp():
    want, allowed = np.array([1.0, 1e-3]), np.array([1e-6, 2.0**-30])
    first, second = np.array([9e-7, 0.0]), np.array([0.0, 9e-7])
    ok = compare("oracle", "f", "o", want + first, want, allowed=allowed, dtype="float32")
    assert ok.passed
    assert ok.tolerance == "8.39 ULP of float32"
    off = compare("oracle", "f", "o", want + second, want, allowed=allowed, dtype="float32")
    assert not off.passed
    assert "[1]: got " in off.where
    zero = compare("oracle", "f", "o", 1e-9, 0.0, allowed=2e-9, dtype="float32")
    assert zero.tolerance == "2e-09"  # not some 1e36 ULP


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (0.0, "0 % of what is allowed"),
        (2e-9, "< 0.01 % of what is allowed"),
        (0.00057, "0.06 % of what is allowed"),
        (0.31, "31 % of what is allowed"),
        (0.9999, "99 % of what is allowed"),
        (1.04, "1.04 times what is allowed"),
        (float("inf"), "inf times what is allowed"),
    ],
)
def test_no_passing_line_can_be_read_as_a_failure(error, told):
    assert f"worst error {told} (" in str(line(error))


def named(what, error, oracle="autograd"):
    return Comparison("autodiff", what, oracle, error, "3 ULP", "[0]: got 1, want 2")


def test_a_report_prints_the_worst_arrays_and_what_was_compared():
    few = Report([named("dw1", 0.5), named("dw1", 0.25, "torch"), named("db1", 0.03)])
    assert str(few).splitlines() == [
        "Gradient check: derivatives against automatic differentiation (autograd, torch)",
        "  dw1  worst error     50 % of what is allowed",
        "  db1  worst error      3 % of what is allowed",
        "3 comparisons, all passed",
    ]
    many = Report([named(f"dw{n}", 0.01 * n) for n in range(1, 30)])
    lines = str(many).splitlines()
    assert len(lines) == 8
    assert lines[-2:] == ["  and 24 more arrays, with smaller errors", "29 comparisons, all passed"]
    assert many.details.count("\n") == 28


def test_a_report_prints_every_failure_in_full():
    lines = str(Report([named("dw1", 0.5), named("dw2", 7.0), named("db2", float("nan"))]))
    assert "FAIL  dw2 against autograd: worst error 7 times what is allowed (3 ULP)" in lines
    assert "FAIL  db2" in lines
    assert "[0]: got 1, want 2" in lines
    assert lines.endswith("3 comparisons, 2 FAILED")
    assert str(Report([])) == "Gradient check: nothing was compared"
