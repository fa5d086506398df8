"""Networks in JavaScript against the machine executor: logits, gradients and steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.campaigns import share_of

from backhand import InputError, Network
from backhand.check.examples import EXAMPLES
from backhand.check.networks import random_case, random_network
from backhand.check.rounding import FUNCTIONS, NUMPY_ULP, Rounded, Rounding
from backhand.export.int8 import as_int8
from backhand.export.javascript.files import js_text
from backhand.export.program import program_of_network
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.plan.layers import Activate, Linear, PRelu
from backhand.plan.step import gradient_plan
from backhand.run.arrays import walk

from .modules import array, needs_node, run

pytestmark = needs_node

BODY = """\
const target = (t) => t.length === 1 ? t[0] : t;
return {
  z: data.x.map((x) => m.logits(x)),
  y: data.x.map((x) => m.predict(x)),
  backward: data.x.slice(0, 2).map((x, i) => m.lossAndGradients(x, target(data.t[i]))),
};"""

CLOSE = {"float32": 1e-6, "float64": 1e-12}
"""Of the largest logit. Float32 has the bits of FMA, but for sums that a double takes for halfway
between two floats: one in about 2**29. In float64 products are rounded before they are added,
which costs 2**-53 of each term; layers multiply that by less than 1e4 here."""


ULP = dict.fromkeys(FUNCTIONS, NUMPY_ULP)
"""What NumPy's functions keep; those of modules have the bits of `expr.functions`, within 2."""


def cases_of(networks, seed=0):
    rng = np.random.default_rng(seed)
    return [(network, random_case(rng, network)) for network in networks]


def ran(folder, cases, body=BODY):
    texts = [js_text(program_of_network(network, case[0])) for network, case in cases]
    return run(folder, texts, [{"x": x, "t": t} for _, (_, x, t, _) in cases], body)


def differences(found, cases):
    """Of each network the largest difference of its logits, as a share of the largest logit."""
    shares = []
    for one, (network, (params, x, _, _)) in zip(found, cases, strict=True):
        want = network.forward(params, x, engine="llvm")
        got = array(one["z"], want.shape)
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite])
        largest = np.abs(want[finite]).max(initial=1e-30)
        shares.append(np.abs(got - want)[finite].max(initial=0.0) / largest)
    return shares


def check(found, cases):
    """Logits, answers, the loss, every gradient and every buffer of a row."""
    shares = differences(found, cases)
    for one, share, (network, (params, x, t, _)) in zip(found, shares, cases, strict=True):
        assert share <= CLOSE[network.dtype], network.summary
        with np.errstate(all="ignore"):
            y = network.predict(params, x).reshape(len(x), -1)
        got = array(one["y"], y.shape)
        np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-6, err_msg=network.summary)
        check_gradients(one["backward"], network, params, x, t)


def check_gradients(found, network, params, x, t):
    """Within the bound on rounding, which follows each operation of the step."""
    plan, xp = gradient_plan(network, wrt_input=True), Rounding(network.dtype, ULP)
    written = {b.name: b for node in plan.nodes for b in node.writes}
    known = {name: Rounded(xp, a) for name, a in params.items()}
    for one, row, target in zip(found, x[:, None], t[:, None], strict=False):
        real = target if network.loss.by_row else Rounded(xp, target.astype(network.dtype))
        given = {"x": Rounded(xp, row), "t": real, "weight": Rounded(xp, np.ones((1, 1)))}
        with np.errstate(all="ignore"):
            bound = walk(plan, {**given, **known}, xp)
            loss, grads = network.loss_and_grads(params, row, target, engine="numpy")

        def near(got, want, bound, what):
            got, error = array(got, np.shape(want)), np.broadcast_to(bound.error, np.shape(want))
            message = f"{network.summary} {network.loss.name}: {what}"
            sure = np.isfinite(want) & np.isfinite(error)
            assert np.all(np.abs(got - want)[sure] <= error[sure]), message
            np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)], message)

        assert set(one["gradients"]) == set(grads)
        assert set(written) <= set(one["buffers"])
        for name, buffer in written.items():
            if buffer.base is None:
                near(one["buffers"][name], bound[name].value, bound[name], name)
        at = {p.name: bound[gradient.name] for p, gradient in plan.gradients}
        near(one["loss"], np.asarray(loss), 2 * bound["loss"], "loss")
        for name, a in grads.items():  # both are within the bound
            near(one["gradients"][name], a, 2 * at[name], f"d{name}")
        assert one["dx"] == one["buffers"][plan.dx.name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_activation_and_loss(tmp_path, dtype):
    networks = [
        Network(layers, inputs=inputs, dtype=dtype, loss=loss)
        for layers, inputs in EXAMPLES.values()
        for loss in ("softmax_cross_entropy", "mean_squared_error")
    ]
    networks += [Network((5, 19, 3), activation=name, dtype=dtype) for name in ACTIVATIONS]
    for name, loss in LOSSES.items():
        outputs = max(3, 2 * loss.by_row)
        networks.append(Network((17, 33, outputs), activation="tanh", loss=name, dtype=dtype))
    cases = cases_of(networks)
    check(ran(tmp_path, cases), cases)


def test_random_networks(tmp_path):
    random_networks(tmp_path, range(12))


@pytest.mark.campaign
@pytest.mark.parametrize("batch", range(share_of(20)))
def test_five_hundred_random_networks(tmp_path, batch):
    random_networks(tmp_path, range(25 * batch, 25 * batch + 25))


def random_networks(folder, numbers):
    cases = []
    for number in numbers:
        rng = np.random.default_rng(number)
        network = random_network(rng, number // 2, ("float64", "float32")[number % 2])
        cases.append((network, random_case(rng, network)))
    check(ran(folder, cases), cases)


def test_a_formula_with_a_fault_is_found(tmp_path):
    network = Network((5, 7, 3), activation="tanh")
    tanh = ACTIVATIONS["tanh"]

    def forward(xp, z):
        return 1.00001 * xp.tanh(z)

    def vjp(xp, z, y, dy):
        return 1.01 * tanh.vjp(xp, z, y, dy)

    ((_, case),) = cases = cases_of([network])
    faulty = Network((5, 7, 3), activation=dataclasses.replace(tanh, forward=forward))
    assert max(differences(ran(tmp_path, [(faulty, case)]), cases)) > CLOSE["float32"]
    faulty = Network((5, 7, 3), activation=dataclasses.replace(tanh, vjp=vjp))
    found = ran(tmp_path, [(faulty, case)])
    assert max(differences(found, cases)) <= CLOSE["float32"]
    with pytest.raises(AssertionError, match="5-7-3"):
        check(found, cases)


def test_steps_change_what_is_predicted(tmp_path):
    layers = [Linear(6, learning_rate=0.5), Activate("silu"), Linear(6), PRelu(), Linear(2)]
    network = Network(layers, inputs=4, loss="softmax_cross_entropy")
    rate = {p.buffer.name: np.float32(0.125 * p.factors.learning_rate) for p in network.parameters}
    ((_, (params, x, t, _)),) = cases = cases_of([network])
    body = """\
const losses = [], own = { ...m.parameters, w1: m.parameters.w1.map((a) => 2 * a) };
const doubled = m.networks[0].logits(data.x[0], own);
for (let i = 0; i < 30; i++) {
  const { loss, gradients } = m.lossAndGradients(data.x[0], data.t[0][0]);
  m.sgdStep(gradients, 0.125);
  losses.push(loss);
}
return { losses, parameters: m.parameters, z: m.logits(data.x[0]), doubled };"""
    (found,) = ran(tmp_path, cases, body)
    want = network.forward({**params, "w1": 2 * params["w1"]}, x[:1], engine="llvm")
    np.testing.assert_allclose(found["doubled"], want[0], rtol=1e-5)
    for loss in found["losses"]:
        expected, gradients = network.loss_and_grads(params, x[:1], t[:1])
        np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-6)
        params = {name: a - rate[name] * gradients[name] for name, a in params.items()}
    assert found["losses"][-1] < 0.5 * found["losses"][0]
    for name, a in params.items():
        np.testing.assert_allclose(array(found["parameters"][name], a.shape), a, atol=1e-5)
    want = network.forward(params, x[:1], engine="llvm")[0]
    np.testing.assert_allclose(found["z"], want, atol=1e-4)


def test_weights_of_eight_bits_are_not_what_was_trained():
    network = Network((4, 3))
    program = as_int8(program_of_network(network, network.init("lecun_normal")))
    with pytest.raises(InputError, match="network1 is not a network as it was trained"):
        js_text(program)
