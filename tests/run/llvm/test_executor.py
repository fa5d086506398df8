"""The compiled executor, as the table of executors finds it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from backhand import BackhandError, Network
from backhand.run.llvm.executor import EXECUTOR


def test_it_reads_arrays_and_leaves_sparse_rows_to_others():
    assert EXECUTOR.native
    assert EXECUTOR.reads(np.eye(2))
    assert not EXECUTOR.reads(sp.csr_array(np.eye(2)))


def test_tensors_are_left_to_others():
    torch = pytest.importorskip("torch")
    assert not EXECUTOR.reads(torch.eye(2))


def test_a_processor_without_support_is_an_error(monkeypatch):
    def refuse():
        raise BackhandError("no fused multiply-add")

    monkeypatch.setattr("backhand.run.llvm.machine.target._host", refuse)
    with pytest.raises(BackhandError, match="no fused multiply-add"):
        EXECUTOR.check_available()


def test_a_predictor_has_parameters_of_its_own():
    network = Network((3, 2))
    params, x = network.init("kaiming_normal"), np.ones((5, 3), np.float32)
    predict = EXECUTOR.predictor(network, params)
    before = predict(x)
    params["w1"][...] = 0
    np.testing.assert_array_equal(predict(x), before)
