"""The checks, as functions that tests, the command line and users call.

Agreement between our own interpreters is no evidence for a formula, since they share its mistakes.
So there are three different comparisons, one for each way to be wrong:

1. *oracle*: a formula against independent mathematics (mpmath, torch.nn.functional, torch.optim);
2. *autodiff*: a hand-written derivative against automatic differentiation of our own forward, in
   float64, away from declared kinks;
3. *kernel*: an emitted kernel against the NumPy executor, within bounds derived from rounding.

A formula mistyped in the same way forward and backward passes (2) and fails (1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas.activations import ACTIVATIONS, Activation
from ..formulas.losses import LOSSES, Loss
from ..formulas.optimisers import OPTIMISERS
from ..network import default_engine
from ..run.namespaces import NUMPY
from .autodiff import slopes
from .compare import Comparison, Proof, compare
from .formulas import (
    AWAY,
    activation_vjp,
    check_activation,
    check_linear,
    check_loss,
    check_optimiser,
    near_kink,
    points,
    targets,
)
from .kernels import check_kernels
from .networks import check_networks, verify

__all__ = [
    "Comparison",
    "Proof",
    "check_activation",
    "check_kernels",
    "check_linear",
    "check_loss",
    "check_networks",
    "check_optimiser",
    "register_activation",
    "register_loss",
    "run_checks",
    "verify",
]


def run_checks(*, seed: int = 0, networks: int = 48) -> Iterator[Comparison]:
    """Every comparison, for every formula, for random networks and for emitted kernels.

    Kernels are left out where the environment's BACKHAND_ENGINE is ``numpy``: none would run.

    Parameters
    ----------
    seed : int
        Of points and networks.
    networks : int
        How many random networks; kernels are checked on a third as many programs.

    Yields
    ------
    Comparison

    Raises
    ------
    MissingExtraError
        If mpmath, or every oracle for derivatives, is missing.
    BackhandError
        If the processor is not one that can be compiled for.
    """
    for activation in list(ACTIVATIONS.values()):
        yield from check_activation(activation, seed)
    for loss in list(LOSSES.values()):
        yield from check_loss(loss, seed)
    yield from check_linear(seed)
    for optimiser in OPTIMISERS.values():
        yield from check_optimiser(optimiser, seed=seed)
    yield from check_networks(networks, seed)
    if default_engine() == "llvm":
        yield from check_kernels(seed, max(1, networks // 3))


def register_activation(activation: Activation) -> Activation:
    """Add your own activation, once its derivative is proven.

    From then on its name is valid wherever an activation is chosen.

    Parameters
    ----------
    activation : Activation

    Returns
    -------
    Activation
        The same.

    Raises
    ------
    InputError
        If the name is taken, or the VJP does not match the slope of ``forward``: the message shows
        the worst point.
    """
    rng = np.random.default_rng(0)
    z = points(rng, activation.kinks)
    z = z[[all(abs(v - k) > 0.01 * max(1.0, abs(v)) for k in activation.kinks) for v in z]]
    dy = rng.standard_normal(z.shape)
    want = dy * slopes(lambda a: activation.forward(NUMPY, a, **activation.keywords), z)
    got = activation_vjp(activation, z, dy)
    _admit(ACTIVATIONS, activation, f"{activation.name}: vjp", got, want, z)
    return activation


def register_loss(loss: Loss) -> Loss:
    """Add your own loss, once its gradient is proven; as `register_activation`."""
    rng = np.random.default_rng(0)
    z = 3.0 * rng.standard_normal((60, 3))
    t = targets(loss, rng, *z.shape)
    kept = ~near_kink(loss, z, t, 10 * AWAY + 0.1).any(axis=1)
    z, t = z[kept], t[kept]
    got = loss.grad(NUMPY, z, t, **loss.keywords)
    want = np.empty_like(z)
    for k in range(z.shape[1]):  # one logit at a time: a row loss mixes the logits of a row
        rest = np.arange(z.shape[1]) != k

        def of_one(a: np.ndarray, k: int = k, rest: np.ndarray = rest) -> np.ndarray:
            value = loss.value(NUMPY, np.where(rest, z, a[:, None]), t, **loss.keywords)
            return np.asarray(value if loss.by_row else value[:, [k]])[:, 0]

        want[:, k] = slopes(of_one, z[:, k])
    _admit(LOSSES, loss, f"{loss.name}: grad", got, want, z)
    return loss


def _admit(table: dict[str, Any], entry: Any, what: str, got: Any, want: Any, z: Any) -> None:
    if entry.name in table:
        raise InputError(f"{entry.kind} {entry.name!r} is already there: choose another name")
    line = compare(
        "autodiff",
        what,
        "central differences",
        got,
        want,
        dtype="float64",
        scale=1e4 * max(1.0, float(np.abs(want).max())),
        inputs=lambda index: f"z={float(z[index])!r}",
    )
    if not line.passed:
        raise InputError(f"the derivative does not match its function: {line}")
    table[entry.name] = entry
