"""The table of executors."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from backhand import InputError, Network
from backhand.engines import ENGINES, checked_engine, default_engine, executor
from backhand.run.array_executor import EXECUTOR, ArrayExecutor


def test_an_executor_is_a_module_and_a_line(monkeypatch):
    asked = []

    class Recorded(ArrayExecutor):
        def run(self, plan, *args):
            asked.append(str(plan))
            return super().run(plan, *args)

    monkeypatch.setitem(sys.modules, "recorded", SimpleNamespace(EXECUTOR=Recorded()))
    monkeypatch.setitem(ENGINES, "recorded", "recorded")
    network = Network((3, 2))
    params = network.init("kaiming_normal")
    monkeypatch.setenv("BACKHAND_ENGINE", "recorded")
    assert default_engine() == "recorded"
    network.forward(params, np.ones((4, 3)))
    network.predictor(params)(np.ones((4, 3)))
    assert len(asked) == 2


def test_tensors_and_sparse_rows_are_for_the_array_executor():
    assert executor("llvm", sp.csr_array(np.eye(2))) is EXECUTOR
    assert executor("llvm", np.eye(2)) is executor("llvm")


def test_a_name_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="abacus"):
        checked_engine("abacus")
    with pytest.raises(InputError, match="abacus"):
        executor("abacus")
