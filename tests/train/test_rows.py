"""Rows that training refuses, each in one line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from backhand import Network, Rows
from backhand.errors import InputError
from backhand.train.rows import CheckedRows, checked

X, T = np.zeros((5, 3)), np.zeros((5, 1))
HOLED = X.copy()
HOLED[3, 1] = -np.inf


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (Rows(X[:0], T[:0]), r"no training rows: x has shape \(0, 3\)"),
        (Rows(X[:, :2], T), r"x has shape \(5, 2\): the network takes \(N, 3\)"),
        (Rows(HOLED, T), r"training x\[3, 1\] is -inf: every feature must be finite"),
        (Rows(sparse.csc_array(HOLED), T), r"training x\[3, 1\] is -inf: every feature"),
        (Rows(sparse.csr_array(X[:0]), T[:0]), r"no training rows: x has shape \(0, 3\)"),
        (Rows(sparse.csr_array(X[:, :2]), T), r"x has shape \(5, 2\)"),
        (Rows(sparse.csr_array(X + 0j), T), "x has dtype complex128: real numbers"),
        (Rows(np.full((5, 3), "a"), T), "training x has dtype <U1: real numbers are needed"),
        (Rows(X.astype(complex), T), "training x has dtype complex128: real numbers are needed"),
        (Rows(X, np.full((5, 1), "a")), "training target has dtype <U1: real numbers are needed"),
        (Rows(X, T[:4]), r"target has shape \(4, 1\)"),
        (Rows(X, T + np.nan), r"target in row 0 is \[nan\]"),
        (Rows(X, T, np.ones(4)), r"sample_weight has shape \(4, 1\), 5 rows need \(5,\)"),
        (Rows(X, T, np.array([1, 1, np.nan, 1, 1])), "sample_weight of row 2 is nan"),
    ],
)
def test_rows_that_make_no_sense_are_named(rows, said):
    with pytest.raises(InputError, match=said):
        checked(Network((3, 8, 1)), rows, "training")


def test_rows_are_looked_at_once():
    network = Network((3, 8, 1))
    once = checked(network, Rows(X, T[:, 0], np.ones(5)), "training")
    assert isinstance(once, CheckedRows)
    assert (once.t.shape, once.weight.shape) == ((5, 1), (5, 1))
    assert checked(network, once, "training") is once


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, np.ndarray.tolist])
def test_rows_have_a_length_and_can_be_taken_apart(form):
    rows = Rows(form(X), T, np.arange(5.0)[:, None])
    assert len(rows) == 5
    assert len(Rows(form(X), [0, 1, 2, 3, 4])) == 5
    x, t, weight = rows
    assert (x is rows.x, t is rows.t, weight is rows.weight) == (True, True, True)


def test_some_rows_are_copies():
    once = checked(Network((3, 8, 1)), Rows(X, T[:, 0], np.arange(5.0)), "training")
    some = once.take(np.array([4, 1]))
    assert type(some) is CheckedRows
    assert some.weight.tolist() == [[4.0], [1.0]]
    some.x[:] = 7.0
    assert not once.x.any()
    assert Rows(X, T).take(np.array([0])).weight is None
