"""Every layer's backward wiring against automatic differentiation of its forward wiring."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.check import autodiff
from backhand.check.examples import EXAMPLES
from backhand.plan.description import Description
from backhand.plan.layers import LAYERS, layer_from_dict
from backhand.plan.step import gradient_plan, loss_plan
from backhand.run.arrays import walk


def case(name, loss="softmax_cross_entropy"):
    layers, inputs = EXAMPLES[name]
    network = Description(layers, inputs=inputs, loss=loss, dtype="float64")
    rng = np.random.default_rng(sum(map(ord, name)))
    params = {
        p.buffer.name: rng.normal(0.0, 0.7, shape) if p.learned else np.asarray(p.draw(rng, shape))
        for p, shape in zip(network.parameters, network.shapes.values(), strict=True)
    }
    rows = 7
    x = rng.standard_normal((rows, inputs))
    for column, values in network.categories.items():
        x[:, column] = rng.integers(0, values, rows)
    t = rng.integers(0, 3, (rows, 1)) if network.loss.by_row else rng.standard_normal((rows, 3))
    given = {"x": x, "t": t, "weight": rng.uniform(0.1, 2.0, (rows, 1)), "seed": 3, "step": 5}
    return network, params, given


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_are_those_of_automatic_differentiation(name, loss):
    network, params, given = case(name, loss)
    plan = gradient_plan(network, dropout=True, wrt_input=True)
    at = walk(plan, {**given, **params})
    names = [p.buffer.name for p in network.parameters if p.learned]
    names += [] if network.categories else ["x"]
    gradients = {buffer.name: gradient.name for buffer, gradient in plan.gradients}
    assert set(gradients) | {"x"} >= set(names)
    loss_only = loss_plan(network, dropout=True)

    def value(xp, *arrays):
        rest = {
            k: autodiff.as_tensor(v, arrays[0])
            for k, v in {**given, **params}.items()
            if k not in ("seed", "step")
        }
        rest |= {"seed": 3, "step": 5, **dict(zip(names, arrays, strict=True))}
        return walk(loss_only, rest, xp)["loss"]

    for oracle in autodiff.available().values():
        wanted = oracle(value, [{**given, **params}[n] for n in names])
        for n, want in zip(names, wanted, strict=True):
            got = at[plan.dx.name if n == "x" else gradients[n]]
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=n)


@pytest.mark.parametrize("name", EXAMPLES)
def test_layers_go_into_files_and_come_back(name):
    layers, inputs = EXAMPLES[name]
    network = Description(layers, inputs=inputs)
    assert Description.from_dict(network.to_dict()) == network
    assert all(layer_from_dict(layer.to_dict()) == layer for layer in network.layers)


def test_every_kind_of_layer_is_compared():
    def kinds(layer):
        inner = [*getattr(layer, "layers", ()), *getattr(layer, "branches", ())]
        return {layer.kind}.union(*map(kinds, inner))

    assert set(LAYERS) == set().union(*(kinds(y) for net, _ in EXAMPLES.values() for y in net))
