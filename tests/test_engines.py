"""The table of executors."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from backhand import InputError, Network, TrainConfig, fit
from backhand.engines import ENGINES, checked_engine, default_engine, executor
from backhand.run.arrays import EXECUTOR, ArrayExecutor
from backhand.train.rows import Rows


@pytest.mark.parametrize("name", ENGINES)
def test_every_executor_runs_trains_and_predicts(name):
    network = Network((3, 4, 2), dtype="float64")
    params = network.init("kaiming_normal", 1)
    x, t = np.random.default_rng(0).standard_normal((2, 20, 3))[:, :, :3]
    t = t[:, :2]
    want = network.forward(params, x, engine="numpy")
    found = executor(name)
    found.check_available()
    np.testing.assert_allclose(network.forward(params, x, engine=name), want, rtol=1e-12)
    copies = [tuple(found.parameter_copy(a) for a in layer) for layer in params]
    predict = found.predictor(network, copies, in_place=True)
    if predict is not None:
        copies[0][0][...] = params[0][0]  # they are read where they are
        np.testing.assert_allclose(predict(x), want, rtol=1e-12)
        copies[-1][1][...] += 1.0
        np.testing.assert_allclose(predict(x), want + 1.0, rtol=1e-12)
    trained = fit(network, params, Rows(x, t), TrainConfig(epochs=2, engine=name))
    assert trained.history[1].loss < trained.history[0].loss


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
