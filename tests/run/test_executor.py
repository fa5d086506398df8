"""What every executor of the table does."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.engines import ENGINES, executor
from backhand.formulas.optimisers import OPTIMISERS
from backhand.plan.step import forward_plan, gradient_plan


@pytest.mark.parametrize("name", ENGINES)
def test_every_executor_runs_trains_and_predicts(name, rng):
    network, found = Network((3, 4, 2), dtype="float64"), executor(name)
    params = network.init("kaiming_normal", 1)
    x, t = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    given = {"x": x, "t": t, "weight": np.ones((20, 1))}
    found.check_available()
    assert found.reads(x)
    z = found.run(forward_plan(network), params, {"x": x}, ("z2",))["z2"]
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    np.testing.assert_allclose(z, hidden @ params["w2"] + params["b2"], rtol=1e-12)
    grads = found.run(gradient_plan(network), params, given)
    assert {"loss", "dw1", "db1", "dw2", "db2"} <= grads.keys()

    copies = {name: found.parameter_copy(a) for name, a in params.items()}
    predict = found.predictor(network, copies, in_place=True)
    if predict is not None:
        np.testing.assert_allclose(predict(x), z, rtol=1e-12)
        copies["b2"][...] += 1.0  # they are read where they are
        np.testing.assert_allclose(predict(x), z + 1.0, rtol=1e-12)

    trainer = found.trainer(network, params, OPTIMISERS["sgd"])
    scalars = {"rate": np.full(1, 0.1), "l2": 0.0}
    loss = trainer.epoch(x, t, None, np.arange(20), 20, scalars, 0)
    np.testing.assert_allclose(loss, grads["loss"], rtol=1e-12)
    for name, a in trainer.params.items():
        np.testing.assert_allclose(a, params[name] - 0.1 * grads[f"d{name}"], rtol=1e-10)
