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
    hidden = np.maximum(x @ params[0].w + params[0].b, 0)
    np.testing.assert_allclose(z, hidden @ params[1].w + params[1].b, rtol=1e-12)
    grads = found.run(gradient_plan(network), params, given)
    assert {"loss", "dw1", "db1", "dw2", "db2"} <= grads.keys()

    copies = [tuple(found.parameter_copy(a) for a in layer) for layer in params]
    predict = found.predictor(network, copies, in_place=True)
    if predict is not None:
        np.testing.assert_allclose(predict(x), z, rtol=1e-12)
        copies[-1][1][...] += 1.0  # they are read where they are
        np.testing.assert_allclose(predict(x), z + 1.0, rtol=1e-12)

    trainer = found.trainer(network, params, OPTIMISERS["sgd"])
    scalars = {"rate": np.full(1, 0.1)}
    order, l2 = np.arange(20), np.zeros(1)
    loss = trainer.epoch(x, t, None, order, 20, scalars, l2, 0)
    np.testing.assert_allclose(loss, grads["loss"], rtol=1e-12)
    for layer, (w, b) in enumerate(trainer.params, 1):
        np.testing.assert_allclose(w, params[layer - 1].w - 0.1 * grads[f"dw{layer}"], rtol=1e-10)
        np.testing.assert_allclose(b, params[layer - 1].b - 0.1 * grads[f"db{layer}"], rtol=1e-10)
