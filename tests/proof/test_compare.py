from __future__ import annotations

import numpy as np

from backhand.proof.compare import Comparison, Proof, compare


def line(error):
    return Comparison("autodiff", "dw1", "autograd", error, "rtol 1e-10", "[0]")


def test_proof_is_true_only_if_there_is_a_line_and_all_pass():
    assert not Proof([])
    assert Proof([line(0.5)])
    assert not Proof([line(0.5), line(2.0)])
    assert not Proof([line(float("nan"))])


def test_compare_tells_element_values_and_inputs():
    z = np.array([1.0, 2.0, 3.0])
    got = compare(
        "oracle",
        "f",
        "o",
        z,
        z + np.array([0, 1e-3, 0]),
        dtype="float64",
        inputs=lambda i: f"z={z[i]}",
    )
    assert not got.passed
    assert "[1]: got 2.0, want 2.001, z=2.0" in str(got)


def test_other_shapes_and_nan_fail():
    ones = np.ones(3)
    assert not compare("oracle", "f", "o", ones, np.ones((3, 1)), dtype="float32").passed
    assert not compare("oracle", "f", "o", ones * np.nan, ones, dtype="float32").passed


def test_float64_is_held_to_ten_digits():
    assert compare("o", "f", "o", 1 + 0.9e-10, 1.0, dtype="float64").passed
    assert not compare("o", "f", "o", 1 + 1.2e-10, 1.0, dtype="float64").passed
