"""Checks of whole networks: every gradient that a network gives, against autodiff of its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas.activations import ACTIVATIONS
from ..formulas.losses import LOSSES
from ..network import Network, Params
from ..plan.ranges import as_numbers
from ..plan.step import Plan, forward_plan, gradient_plan, loss_plan
from ..run.arrays import Values, walk
from ..run.namespaces import NUMPY
from . import autodiff
from .compare import ATOL, RTOL, Comparison, Report, compare, worst_of
from .examples import EXAMPLES, SIZES, random_layers
from .formulas import near_kink, targets
from .rounding import FUNCTIONS, NUMPY_ULP, Rounded, Rounding

Array = Any

NEAR = {"float64": 1e-7, "float32": 1e-3}
"""How near a kink a pre-activation may come, by dtype, before its row is left out: rounding may
put it on the other side."""

NOISE = {"seed": 0, "step": 0}
"""Of which step dropout is, where that acts."""


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is seen in the lines
def verify(
    network: Network,
    params: Mapping[str, Array],
    x: Array,
    t: Array,
    sample_weight: Array | None = None,
    *,
    plan: Plan | None = None,
    training: bool = False,
) -> Report:
    """Check a network's gradients on your own parameters and data.

    Every weight, every bias and the input are compared: the hand-written derivatives in the
    network's dtype, against automatic differentiation of the loss in float64.

    Parameters
    ----------
    network : Network
    params : mapping of str to array
    x : array (N, inputs)
    t : array
        Targets as `Network.loss_and_grads` takes them.
    sample_weight : array (N,), optional
    plan : Plan, optional
        Another plan than the network's own, such as one with a planted fault.
    training : bool
        Whether layers that act only in training do, such as dropout.

    Returns
    -------
    Report
        A line for each array and oracle; true if all passed. Rows in which a pre-activation lies
        at a declared kink are left out, and the lines say how many.

    Raises
    ------
    InputError
        If shapes do not fit, or every row lies at a kink.
    """
    oracles = autodiff.available()
    exact = Network(network.layers, inputs=network.inputs, loss=network.loss, dtype="float64")
    buffers = exact._enter(as_numbers(x, "x"), t, sample_weight)
    buffers |= exact.checked_parameters(params)
    left_out = 0
    while (near := rows_at_kinks(exact, buffers, NEAR[network.dtype], training)).any():
        left_out += int(near.sum())  # noise differs for the rows that are left, so look again
        if near.all():
            raise InputError("every row has a pre-activation at a kink: give other data or biases")
        buffers |= {name: buffers[name][~near] for name in ("x", "t", "weight")}
    note = f"{left_out} rows at a kink left out" if left_out else ""
    plan = plan or gradient_plan(network, dropout=training, wrt_input=True)
    gradients = {parameter.name: gradient.name for parameter, gradient in plan.gradients}
    if plan.dx is not None:
        gradients["x"] = plan.dx.name
    own = {
        name: a if name == "t" and network.loss.by_row else a.astype(network.dtype)
        for name, a in buffers.items()
    }
    bounds = rounding_bounds(network, own, training)
    # both work with the numbers that the network's dtype holds
    buffers = {name: a if a.dtype.kind == "i" else a.astype(float) for name, a in own.items()}
    at, loss_only = walk(plan, {**own, **NOISE}), loss_plan(exact, dropout=training)
    names = [name for name in (*network.shapes, "x") if name in gradients]

    def loss(xp: Any, *arrays: Any) -> Any:
        given = {k: autodiff.as_tensor(a, arrays[0]) for k, a in buffers.items()}
        given |= {**NOISE, **dict(zip(names, arrays, strict=True))}
        return walk(loss_only, given, xp)["loss"]

    lines = []
    for oracle, differentiate in oracles.items():
        found = differentiate(loss, [buffers[n] for n in names])
        for name, want in zip(names, found, strict=True):
            scale = max(1.0, float(np.abs(want).max(initial=0.0)))
            lines.append(
                compare(
                    "autodiff",
                    f"d{name}",
                    oracle,
                    at[gradients[name]],
                    want,
                    allowed=RTOL * np.abs(want) + ATOL * scale + bounds[name],
                    dtype=network.dtype,
                    note=note,
                )
            )
    return Report(lines)


def rounding_bounds(
    network: Network, buffers: dict[str, Array], training: bool = False
) -> dict[str, Array]:
    """How far NumPy's gradients in the network's dtype may be from exact ones, element by element.

    The bound follows each rounding through the whole network; see `rounding`.
    """
    xp = Rounding(network.dtype, dict.fromkeys(FUNCTIONS, NUMPY_ULP))
    given: dict[str, Any] = {
        name: a if a.dtype.kind == "i" else Rounded(xp, a) for name, a in buffers.items()
    }
    plan = gradient_plan(network, dropout=training, wrt_input=True)
    with np.errstate(all="ignore"):
        at = walk(plan, {**given, **NOISE}, xp)
    bounds = {parameter.name: at[gradient.name].error for parameter, gradient in plan.gradients}
    return bounds if plan.dx is None else {**bounds, "x": at[plan.dx.name].error}


def rows_at_kinks(
    network: Network, buffers: dict[str, Array], within: float, training: bool = False
) -> Array:
    """Which rows have a pre-activation at a declared kink, (N,) booleans."""
    plan = forward_plan(network, dropout=training)
    at = Values(walk(plan, {**buffers, **NOISE}), NUMPY)
    z, t = at[plan.logits], buffers["t"]
    near = near_kink(network.loss, z, t if z.ndim == 2 else t[:, None], within)
    near = near.reshape(len(near), -1).any(axis=1)
    for buffer, kinks in plan.kinks:
        for kink in kinks:
            z = at[buffer]
            near |= (np.abs(z - kink) <= within).reshape(len(z), -1).any(axis=1)
    return near


def random_network(rng: np.random.Generator, number: int, dtype: str = "float64") -> Network:
    """A chain for even numbers, else random layers; ``number`` walks losses and activations."""
    losses = list(LOSSES.values())
    loss = losses[number % len(losses)]
    outputs = max(int(rng.choice(SIZES)), 2 if loss.by_row else 1)
    if number % 2:
        inputs = int(rng.choice(SIZES))
        layers = random_layers(rng, inputs, outputs, blocks=int(rng.integers(1, 6)))
        return Network(layers, inputs=inputs, loss=loss, dtype=dtype)
    activations = list(ACTIVATIONS.values())
    widths = [*rng.integers(1, 41, int(rng.integers(2, 5))).tolist(), outputs]
    chosen = [activations[(number // 2 + i) % len(activations)] for i in range(len(widths) - 2)]
    return Network(widths, activation=chosen, loss=loss, dtype=dtype)


def random_parameters(rng: np.random.Generator, network: Network) -> Params:
    """Parameters that are neither 0 nor 1 throughout, as biases and factors begin."""
    params = network.init("glorot_normal", int(rng.integers(2**31)))
    for parameter in network.parameters:
        if parameter.learned and parameter.draw is not None:
            name = parameter.buffer.name
            drawn = 0.5 * rng.standard_normal(network.shapes[name])
            params[name] = drawn.astype(network.dtype)
    return params


def random_inputs(rng: np.random.Generator, network: Network, rows: int) -> Array:
    """x (rows, inputs), with categories where the network looks them up."""
    x = rng.standard_normal((rows, network.inputs)).astype(network.dtype)
    for column, values in network.categories.items():
        x[:, column] = rng.integers(0, values, rows)
    return x


def random_case(rng: np.random.Generator, network: Network) -> tuple[Any, Array, Array, Array]:
    """Parameters, inputs, targets and sample weights."""
    rows = int(rng.integers(4, 24))
    params, x = random_parameters(rng, network), random_inputs(rng, network, rows)
    t = targets(network.loss, rng, rows, network.outputs)
    return params, x, t, rng.uniform(0.1, 2.0, rows).astype(network.dtype)


def check_networks(networks: int = 24, seed: int = 0) -> Iterator[Comparison]:
    """Every layer alone and whole random networks, in both dtypes, each told by its worst array."""
    rng = np.random.default_rng(seed)
    losses = [loss for loss in LOSSES.values() if not loss.levels]
    for number, (name, (layers, inputs)) in enumerate(EXAMPLES.items()):
        for dtype in ("float64", "float32"):
            loss = losses[number % len(losses)]
            network = Network(layers, inputs=inputs, loss=loss, dtype=dtype)
            yield from _check_network(rng, network, f"layer {name}")
    for number in range(networks):
        network = random_network(rng, number // 2, ("float64", "float32")[number % 2])
        yield from _check_network(rng, network, describe(network))


def _check_network(rng: np.random.Generator, network: Network, what: str) -> Iterator[Comparison]:
    report = verify(network, *random_case(rng, network), training=True)
    for oracle in dict.fromkeys(line.oracle for line in report):
        worst = worst_of(line for line in report if line.oracle == oracle)
        where = f"{worst.what} {worst.where}"
        yield dataclasses.replace(worst, what=f"{what} {network.dtype}", where=where)


def describe(network: Network) -> str:
    """A network in a few words."""
    if network.is_chain:
        widths = "-".join(map(str, network.widths))
        names = ",".join(dict.fromkeys(a.name for a in network.activations))
    else:
        widths = f"{network.inputs}-...-{network.outputs}"
        names = ",".join(dict.fromkeys(layer.kind for layer in network.layers))
    return " ".join(filter(None, (widths, names, network.loss.name)))
