"""Checks of whole networks: every gradient that a network gives, against autodiff of its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas.activations import ACTIVATIONS
from ..formulas.losses import LOSSES
from ..network import Layer, Network
from ..plan.ranges import as_numbers
from ..plan.step import Plan, forward_plan, gradient_plan, logits, loss_plan
from ..run.arrays import parameter_buffers, walk
from . import autodiff
from .compare import ATOL, RTOL, Comparison, Report, compare, worst_of
from .formulas import near_kink, targets
from .rounding import FUNCTIONS, NUMPY_ULP, Rounded, Rounding, perform

Array = Any

NEAR = {"float64": 1e-7, "float32": 1e-3}
"""How near a kink a pre-activation may come, by dtype, before its row is left out: rounding may
put it on the other side."""


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is seen in the lines
def verify(
    network: Network,
    params: Sequence[tuple[Array, Array]],
    x: Array,
    t: Array,
    sample_weight: Array | None = None,
    *,
    plan: Plan | None = None,
) -> Report:
    """Check a network's gradients on your own parameters and data.

    Every weight, every bias and the input are compared: the hand-written derivatives in the
    network's dtype, against automatic differentiation of the loss in float64.

    Parameters
    ----------
    network : Network
    params : sequence of (w, b)
    x : array (N, inputs)
    t : array
        Targets as `Network.loss_and_grads` takes them.
    sample_weight : array (N,), optional
    plan : Plan, optional
        Another plan than the network's own, such as one with a planted fault.

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
    exact = Network.from_dict({**network.to_dict(), "dtype": "float64"})
    exact_params = exact.checked_parameters(params)
    buffers = exact._enter(as_numbers(x, "x"), t, sample_weight)
    buffers |= parameter_buffers(exact_params)
    kept = ~rows_at_kinks(exact, buffers, NEAR[network.dtype])
    note = "" if kept.all() else f"{int((~kept).sum())} rows at a kink left out"
    if not kept.any():
        raise InputError("every row has a pre-activation at a kink: give other data or biases")
    for name in ("x", "t", "weight"):
        buffers[name] = buffers[name][kept]
    names = [*parameter_buffers(params), "x"]
    own = {
        name: a if name == "t" and network.loss.by_row else a.astype(network.dtype)
        for name, a in buffers.items()
    }
    bounds = rounding_bounds(network, own)
    # both work with the numbers that the network's dtype holds
    buffers = {name: a if a.dtype.kind == "i" else a.astype(float) for name, a in own.items()}
    at = walk(plan or gradient_plan(network, wrt_input=True), own)

    def loss(xp: Any, *arrays: Any) -> Any:
        given = {k: autodiff.as_tensor(buffers[k], arrays[0]) for k in ("t", "weight")}
        return walk(loss_plan(exact), {**given, **dict(zip(names, arrays, strict=True))}, xp)[
            "loss"
        ]

    lines = []
    for oracle, gradients in oracles.items():
        for name, want in zip(names, gradients(loss, [buffers[n] for n in names]), strict=True):
            scale = max(1.0, float(np.abs(want).max(initial=0.0)))
            lines.append(
                compare(
                    "autodiff",
                    f"d{name}",
                    oracle,
                    at[f"d{name}"],
                    want,
                    allowed=RTOL * np.abs(want) + ATOL * scale + bounds[name],
                    dtype=network.dtype,
                    note=note,
                )
            )
    return Report(lines)


def rounding_bounds(network: Network, buffers: dict[str, Array]) -> dict[str, Array]:
    """How far NumPy's gradients in the network's dtype may be from exact ones, element by element.

    The bound follows each rounding through the whole network; see `rounding`.
    """
    xp = Rounding(network.dtype, dict.fromkeys(FUNCTIONS, NUMPY_ULP))
    at: dict[str, Any] = {
        name: a if a.dtype.kind == "i" else Rounded(xp, a) for name, a in buffers.items()
    }
    with np.errstate(all="ignore"):
        for node in gradient_plan(network, wrt_input=True).nodes:
            perform(node, at, xp)
    return {name: at[f"d{name}"].error for name in buffers if f"d{name}" in at}


def rows_at_kinks(network: Network, buffers: dict[str, Array], within: float) -> Array:
    """Which rows have a pre-activation at a declared kink, (N,) booleans."""
    at = walk(forward_plan(network), buffers)
    near = near_kink(network.loss, at[logits(network)], at["t"], within).any(axis=1)
    for layer, activation in enumerate(network.activations, 1):
        for kink in activation.kinks:
            near |= (np.abs(at[f"z{layer}"] - kink) <= within).any(axis=1)
    return near


def random_network(rng: np.random.Generator, number: int, dtype: str = "float64") -> Network:
    """A network of random depth and widths; ``number`` walks the activations and losses."""
    losses, activations = list(LOSSES.values()), list(ACTIVATIONS.values())
    loss = losses[number % len(losses)]
    depth = int(rng.integers(1, 5))
    widths = rng.integers(1, 41, depth + 1)
    widths[-1] = max(widths[-1], 2 if loss.by_row else 1)
    chosen = [activations[(number + i) % len(activations)] for i in range(depth - 1)]
    return Network(widths.tolist(), activation=chosen, loss=loss, dtype=dtype)


def random_case(rng: np.random.Generator, network: Network) -> tuple[Any, Array, Array, Array]:
    """Parameters with random biases, inputs, targets and sample weights."""
    params = [
        Layer(layer.w, (0.5 * rng.standard_normal(layer.b.shape)).astype(network.dtype))
        for layer in network.init("glorot_normal", int(rng.integers(2**31)))
    ]
    rows = int(rng.integers(4, 24))
    x = rng.standard_normal((rows, network.inputs)).astype(network.dtype)
    t = targets(network.loss, rng, rows, network.outputs)
    weight = rng.uniform(0.1, 2.0, rows).astype(network.dtype)
    return params, x, t, weight


def check_networks(networks: int = 24, seed: int = 0) -> Iterator[Comparison]:
    """Whole random networks, in both dtypes, each told by its worst array."""
    rng = np.random.default_rng(seed)
    for number in range(networks):
        dtype = ("float64", "float32")[number % 2]
        network = random_network(rng, number // 2, dtype)
        report = verify(network, *random_case(rng, network))
        for oracle in dict.fromkeys(line.oracle for line in report):
            worst = worst_of(c for c in report if c.oracle == oracle)
            yield dataclasses.replace(
                worst, what=f"{describe(network)} {dtype}", where=f"{worst.what} {worst.where}"
            )


def describe(network: Network) -> str:
    """A network in a few words."""
    widths = "-".join(map(str, network.widths))
    activations = ",".join(dict.fromkeys(a.name for a in network.activations))
    return " ".join(filter(None, (widths, activations, network.loss.name)))
