"""How the layers' own tests compare them: with a recipe, written down a second time."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from backhand import Network
from backhand.check.networks import random_parameters
from backhand.testing import assert_near


@pytest.fixture
def follows():
    """A function that compares a network with a recipe: values, and gradients by torch of it.

    ``recipe(m, p, x)`` gives the logits with a module m (NumPy, or torch where it is installed) of
    parameters p by name.
    """

    def compare(layers, x, recipe, rtol=1e-10, atol=1e-11):
        network = Network(layers, inputs=x.shape[1], loss="mean_squared_error", dtype="float64")
        rng = np.random.default_rng(5)
        params = random_parameters(rng, network)
        z = network.forward(params, x, engine="numpy")
        assert_near(z, recipe(np, params, x), rtol=rtol, atol=atol)
        if importlib.util.find_spec("torch") is None:
            return network, params
        import torch

        t = rng.standard_normal((len(x), network.outputs))
        leaves = {name: torch.tensor(a, requires_grad=True) for name, a in params.items()}
        at = torch.tensor(x, requires_grad=True)
        found = recipe(torch, leaves, at)
        target = (
            torch.tensor(t) if found.ndim == 2 else torch.tensor(t)[:, None].expand(found.shape)
        )
        want = torch.nn.functional.mse_loss(found, target)
        want.backward()
        loss, grads, dx = network.loss_and_grads(params, x, t, wrt_input=True, engine="numpy")
        assert_near(loss, want.item(), rtol=rtol)
        for name, g in grads.items():
            assert_near(g, leaves[name].grad.numpy(), rtol=rtol, atol=atol)
        columns = [c for c in range(x.shape[1]) if c not in network.categories]
        if at.grad is not None:
            assert_near(dx[:, columns], at.grad.numpy()[:, columns], rtol=rtol, atol=atol)
        return network, params

    return compare
