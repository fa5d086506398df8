"""Layers of a user's own: taken if their backward pass is right, refused with one line if not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import Network, layers
from backhand.check import register_layer, verify
from backhand.check.networks import random_case
from backhand.errors import InputError
from backhand.formulas.activations import logistic
from backhand.formulas.initialisers import constant, ones
from backhand.layers import Layer, Linear, Symbol
from backhand.plan.layers import LAYERS


@pytest.fixture(autouse=True)
def layers_as_before():
    before = dict(LAYERS)
    yield
    LAYERS.clear()
    LAYERS.update(before)


def raises(*args, **keywords):
    raise RuntimeError("one\ntwo")


def swish(xp, z, a):
    return z * logistic(xp, a * z)


def swish_vjp(xp, z, a, dy):
    s = logistic(xp, a * z)
    slope = s * (1.0 - s)
    return dy * (s + a * z * slope), dy * z * z * slope


@dataclasses.dataclass(frozen=True)
class Swish(Layer):
    """``y = z * logistic(a z)`` with a learned a for each unit."""

    kind = "swish"

    begin: float = 1.0

    def forward(self, wire, z):
        a = wire.parameter("a", (z.width,), constant(self.begin))
        return wire.map(swish, (z, a), f"y{wire.linear_index}"), (z, a)

    def backward(self, wire, saved, dy):
        z, a = saved
        dz, rows = wire.maps(swish_vjp, (z, a, dy), (f"d{z.name}", f"{a.name}_rows"))
        wire.gradient(a, rows)
        return dz


def test_a_layer_of_ones_own_is_one_in_networks_and_files():
    assert register_layer(Swish()) is Swish
    network = Network([Linear(4), Swish(2.0), Linear(2)], inputs=3, dtype="float64")
    assert verify(network, *random_case(np.random.default_rng(0), network))
    assert Network.from_dict(network.to_dict()) == network
    assert np.array_equal(network.init("glorot_normal")["a1"], np.full(4, 2.0))
    with pytest.raises(InputError, match="layer 'swish' is already there: choose another kind"):
        register_layer(Swish())


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (Linear(4, ntk=True), 5),
        (layers.Activate("gelu", strength=True), 5),
        (layers.Dropout(0.4), 5),
        (layers.RmsNorm(), 7),
        (layers.Residual([Linear(6), layers.Activate("tanh"), Linear(5)]), 5),
        (layers.Concat([Linear(2), layers.Columns(1, 2)]), 4),
        (layers.Periodic(frequencies=3), 2),
        (layers.PiecewiseLinear(((-1.0, 0.0, 1.0), (0.0, 2.0)), 3), 2),
        (layers.BatchEnsemble(3, 4, "signs"), 5),
        (layers.Embedding(4, 3), 1),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_ours_are_taken_as_layers_of_another_kind(layer, inputs):
    own = dataclasses.dataclass(frozen=True)(type("Own", (type(layer),), {"kind": "own"}))
    made = own(**{f.name: getattr(layer, f.name) for f in dataclasses.fields(layer)})
    assert register_layer(made, inputs=inputs) is own


def with_backward(backward):
    members = {"kind": "own", "backward": backward}
    return dataclasses.dataclass(frozen=True)(type("Own", (Swish,), members))


def flipped(self, wire, saved, dy):
    z, a = saved
    wrong = lambda xp, *rest: tuple(-g for g in swish_vjp(xp, *rest))  # noqa: E731
    dz, rows = wire.maps(wrong, (z, a, dy), (f"d{z.name}", f"{a.name}_rows"))
    wire.gradient(a, rows)
    return dz


def forgets_a_factor(self, wire, saved, dy):
    z, a = saved
    wrong = lambda xp, z, a, dy: (swish_vjp(xp, z, a, dy)[0], dy * z * logistic(xp, a * z))  # noqa: E731
    dz, rows = wire.maps(wrong, (z, a, dy), (f"d{z.name}", f"{a.name}_rows"))
    wire.gradient(a, rows)
    return dz


def forgets_a_parameter(self, wire, saved, dy):
    z, a = saved
    return wire.map(lambda xp, *rest: swish_vjp(xp, *rest)[0], (z, a, dy), f"d{z.name}")


def forgets_its_input(self, wire, saved, dy):
    z, a = saved
    wire.gradient(a, wire.map(lambda xp, *rest: swish_vjp(xp, *rest)[1], (z, a, dy), "rows"))


def of_another_shape(self, wire, saved, dy):
    forgets_its_input(self, wire, saved, dy)
    return wire.buffer("wrong", (*dy.axes[:-1], 1))


def gives_two(self, wire, saved, dy):
    for _ in range(2):
        forgets_its_input(self, wire, saved, dy)


@pytest.mark.parametrize(
    ("backward", "said"),
    [
        (flipped, r"the backward pass does not match the forward pass: FAIL  d\w+.*got .*want"),
        (forgets_a_factor, r"does not match the forward pass: FAIL  da.*got .*want"),
        (forgets_a_parameter, r"a0 \(5,\) has no gradient: a layer's backward pass must give one"),
        (forgets_its_input, r"own: backward gives no gradient at \w+ \(N, 5\), which is needed"),
        (of_another_shape, r"own: backward gives wrong \(N, 1\) as the gradient at \w+ \(N, 5\)"),
        (gives_two, "a0 has two gradients: a parameter has one layer"),
        (raises, "cannot be evaluated: RuntimeError: one$"),
    ],
)
def test_a_wrong_backward_pass_is_refused_in_one_line(backward, said):
    with pytest.raises(InputError, match=rf"layer 'own'.*{said}") as caught:
        register_layer(with_backward(backward)())
    assert "\n" not in str(caught.value)
    assert "own" not in LAYERS


def test_a_gradient_that_is_wrong_only_in_training_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Own(Swish):
        kind = "own"

        def backward(self, wire, saved, dy):
            return (flipped if wire.training else Swish.backward)(self, wire, saved, dy)

    with pytest.raises(InputError, match="does not match the forward pass"):
        register_layer(Own())


def test_what_is_no_layer_is_refused():
    class Undecorated(Swish):
        kind = "own"

    @dataclasses.dataclass(frozen=True)
    class Listed(Swish):
        kind = "own"
        sizes: object = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(frozen=True)
    class Unwritten(Swish):
        kind = "own"
        of: object = dataclasses.field(default_factory=object)

    @dataclasses.dataclass(frozen=True)
    class Odd(Swish):
        kind = "1st"

    @dataclasses.dataclass(frozen=True)
    class Nameless(Layer):
        forward, backward = Swish.forward, Swish.backward

    for wrong, said in (
        (Swish, "Layer expected, one of those that a class makes, got <class"),
        ("swish", "Layer expected"),
        (Undecorated(), "must be decorated with @dataclasses.dataclass"),
        (Listed(), "cannot be evaluated: TypeError: unhashable"),
        (Unwritten(), "cannot be evaluated: TypeError: .*not JSON serializable"),
        (Odd(), "layer '1st': a name has letters, digits and underscores"),
        (Nameless(), "layer None: a name has letters"),
    ):
        with pytest.raises(InputError, match=said):
            register_layer(wrong)
    assert "own" not in LAYERS


def test_half_of_a_gradient_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Squared(Layer):
        """``z = (x @ w) @ w`` for a square matrix, whose gradient has two parts."""

        kind = "squared"

        def forward(self, wire, x):
            wire.linear_index += 1
            w = wire.parameter("w", (x.width, x.width), ones)
            h = wire.product(Symbol(x) @ Symbol(w), f"h{wire.linear_index}")
            return wire.product(Symbol(h) @ Symbol(w), f"z{wire.linear_index}"), (x, h, w)

        def backward(self, wire, saved, dz):
            x, h, w = saved
            dh = wire.product(Symbol(dz) @ Symbol(w).T, f"d{h.name}")
            wire.gradient(w, Symbol(h).T @ Symbol(dz))  # without x.T @ dh
            return wire.product(Symbol(dh) @ Symbol(w).T, f"d{x.name}")

    with pytest.raises(InputError, match=r"does not match the forward pass: FAIL  dw"):
        register_layer(Squared())
