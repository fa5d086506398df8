"""Each row's part of a batch's loss."""

from __future__ import annotations

import pytest

from backhand import InputError, Network, verify
from backhand.formulas import loss
from backhand.formulas.activations import ACTIVATIONS, choose_activation
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near


def test_share_is_by_weight_alone(rng):
    weight = rng.random((9, 1))
    assert_near(loss.share(weight, 4).sum(), 1 / 4, rtol=1e-14)
    assert_near(loss.share(8 * weight, 4), loss.share(weight, 4), rtol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["mean_squared_error", "huber:delta=0.5", "quantile:level=0.9"])
def test_a_loss_of_an_activations_outputs(name, activation, rng):
    network = Network((4, 6, 2), loss=f"{name} of {activation}", dtype="float64")
    assert Network.from_dict(network.to_dict()) == network
    params = network.init("glorot_normal", 0)
    x, t = rng.standard_normal((40, 4)), rng.standard_normal((40, 2))
    assert verify(network, params, x, t)  # against autograd, and compiled against arrays
    z = network.forward(params, x)
    y = network.predict(params, x)
    inner, outer = choose_loss(name), choose_activation(activation)
    want = Network((2, 2), loss=inner, dtype="float64").loss_at(y, t)
    assert_near(network.loss_at(z, t), want, rtol=1e-14)
    assert_near(y, outer.forward(NUMPY, z, **outer.keywords), atol=0)


def test_only_losses_of_real_numbers_take_an_activation():
    for entry in LOSSES.values():
        if entry.target != "real":
            with pytest.raises(InputError, match=rf"{entry.name}.*link of its own.*tanh"):
                choose_loss(f"{entry.name} of tanh")
    for text in ("huber of tan", "hubber of tanh"):
        with pytest.raises(InputError, match="unknown"):
            choose_loss(text)


def test_the_same_loss_of_the_same_activation_is_one_object():
    one, other = (choose_loss("huber:delta=2 of elu:alpha=0.5") for _ in range(2))
    assert one is other
    assert one.name == "huber:delta=2.0 of elu:alpha=0.5"
