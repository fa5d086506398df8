"""The page's numbers, in Node: values, slopes, statistics and steps are those of Python."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from backhand.formulas.activations import Activation, relu
from backhand.plan.step import gradient_plan
from backhand.report.walk.parameters import with_activation
from backhand.report.walk.walk import walk_of
from backhand.run.arrays import Values, perform
from backhand.run.namespaces import NUMPY

from .conftest import KINDS, digits, numbers

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")

CLOSE = 1e-9
"""Relative; of the size of an array. A thousand roundings are 1e-13."""


def near(found, wanted):
    wanted = np.asarray(wanted, float)
    found = numbers(found).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=CLOSE, atol=CLOSE * (np.abs(wanted).max() + 1))


def everything(network, params, x, t):
    """Every buffer of one row, in Python."""
    plan = gradient_plan(network, wrt_input=True)
    given = {**params, "x": x[None], "t": np.reshape(t, (1, -1)), "weight": np.ones((1, 1))}
    values = Values(given, NUMPY)
    for node in plan.nodes:
        perform(node, values)
    return plan, values


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_row(walked, in_node, kind):
    *_, subject, walk = walked(kind)
    found = in_node(
        walk,
        """
        const found = [];
        for (const entry of data.networks) for (const activation of Object.keys(entry.plans)) {
          const net = await open(entry, activation);
          for (const i of [0, 7]) {
            net.run(net.xs[i], entry.t[i]);
            const names = Object.keys(net.plan.buffers);
            const b = Object.fromEntries(names.map((name) => [name, net.values(name)]));
            found.push(JSON.parse(JSON.stringify([net.loss, net.xs[i], b], plain)));
          }
        }
        return found;""",
    )
    seen = iter(found)
    for entry, part in zip(walk.data["networks"], subject.parts, strict=False):
        x = subject.prepared(part.program(part.network, part.params))
        for activation in entry["plans"]:
            network = part.network
            if activation != entry["own"]:
                network = with_activation(network, activation)
            for i in (0, 7):
                loss, row, buffers = next(seen)
                near(row, x[i])
                plan, values = everything(network, part.params, x[i], part.t[i])
                near(loss, values[plan.loss].item())
                for name, buffer in plan.buffers.items():
                    if buffer.kind == "real":
                        near(buffers[name], np.ravel(values[buffer]))


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_agree(walked, in_node, kind):
    *_, walk = walked(kind)
    found = in_node(
        walk,
        """
        const found = [];
        for (const entry of data.networks) for (const activation of [entry.own, "relu", "tanh"]) {
          if (!(activation in entry.plans)) continue;
          const net = await open(entry, activation), all = [];
          net.run(net.xs[3], entry.t[3]);
          const before = JSON.stringify(net.b, plain);
          net.plan.layers.forEach((layer) => layer.buffers.forEach((name, i) => {
            for (let k = 0; layer.gradients[i] && k < layer.width; k++) {
              if (name === "x" && net.plan.categories.includes(k)) continue;
              all.push(net.checked(layer.gradients[i], name, k));
            }
          }));
          for (const p of net.gradients) for (let k = 0; k < net.params[p.name].length; k += 11) {
            all.push(net.checked(p.gradient, p.name, k));
          }
          const told = all.map((one) => [one.agrees, one.derivative, one.tolerance]);
          found.push([JSON.stringify(net.b, plain) === before, told]);
        }
        return found;""",
    )
    for unchanged, checks in found:
        assert unchanged
        agrees = [one[0] for one in checks]
        assert False not in agrees
        assert agrees.count(True) > 0.95 * len(agrees)
        told = [abs(float(d)) > 100 * float(t) for a, d, t in checks if a]
        assert sum(told) > 0.3 * len(told)  # a fault of one per cent would be seen there


def wrong_vjp(xp, z, y, dy):
    return xp.where(y > 0, 1.01 * dy, 0.0)


def test_a_wrong_derivative_does_not_agree(in_node):
    model, rows, y = digits(Activation("wrong", relu, wrong_vjp, ("y",), kinks=(0.0,)))
    walk = walk_of(model.explored(rows, y))
    found = in_node(
        walk,
        """
        const entry = data.networks[0], net = await open(entry, "wrong");
        net.run(net.xs[0], entry.t[0]);
        const of = (name) => Array.from({ length: 16 }, (_, k) =>
          [net.checked(`d${name}`, name, k).agrees, net.value("y1", k)]);
        return [of("z1"), of("y1"), of("b1")];""",
    )
    dz, dy, db = found
    assert all(agrees for agrees, _ in dy)
    for checks in (dz, db):
        assert {agrees for agrees, y in checks if y > 0} == {False}
        assert {agrees for agrees, y in checks if y == 0} == {True}


def test_corners_have_no_slope(in_node):
    model, rows, y = digits()
    params = {name: 0.0 * a for name, a in model.params.items()}
    walk = walk_of(
        type(model)(model.network, params, model.task, model.preparation, model.classes).explored(
            rows, y
        )
    )
    found = in_node(
        walk,
        """
        const entry = data.networks[0], net = await open(entry, "relu");
        net.run(net.xs[0], entry.t[0]);
        return [net.checked("dz1", "z1", 0).agrees, net.checked("dz2", "z2", 0).agrees];""",
    )
    assert found == [None, True]


@pytest.mark.parametrize("kind", KINDS)
def test_statistics(walked, in_node, kind):
    *_, subject, walk = walked(kind)
    found = in_node(
        walk,
        "const net = await open(data.networks[0], data.networks[0].own);"
        "return net.statistics(net.xs, data.networks[0].t);",
    )
    part = subject.parts[0]
    x = subject.prepared(part.program(part.network, part.params))
    rows = [everything(part.network, part.params, *row) for row in zip(x, part.t, strict=True)]
    for name, one in found:
        a = np.array([np.ravel(values[plan.buffers[name]]) for plan, values in rows])
        near([one["mean"], one["std"], one["zeros"]], [a.mean(), a.std(), (a == 0).mean()])
        assert one["dead"] == (a == a[0]).all(0).sum()
        assert one["units"] == a.shape[1]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_gradient_descent(walked, in_node, kind):
    *_, subject, walk = walked(kind)
    found = in_node(
        walk,
        """
        const entry = data.networks[0], net = await open(entry, entry.own), losses = [];
        const some = [net.xs.slice(0, 20), entry.t.slice(0, 20)];
        for (let i = 0; i < 3; i++) losses.push(net.step(...some, 0.01));
        const score = net.score(net.xs, entry.t, data.labels && net.labels);
        return [losses, net.copyOfParameters(), score];""",
    )
    part = subject.parts[0]
    network, params = part.network, {name: a.copy() for name, a in part.params.items()}
    factors = {p.buffer.name: p.factors.learning_rate for p in network.parameters}
    x = subject.prepared(part.program(network, params))
    t = part.t.reshape(-1) if network.loss.by_row else part.t
    for loss in found[0]:
        wanted, grads = network.loss_and_grads(params, x[:20], t[:20], engine="numpy")
        near(loss, wanted)
        for name, gradient in grads.items():
            params[name] -= 0.01 * factors[name] * gradient
    for name, a in params.items():
        near(found[1][name], np.ravel(a))
    near(found[2]["loss"], network.batch_loss(params, x, t, engine="numpy"))
    program = part.program(network, params)
    if subject.labels is None:
        assert found[2]["right"] is None
    else:
        right = np.mean(program.decided(x) == np.ravel(t))
        near(found[2]["right"], right)
