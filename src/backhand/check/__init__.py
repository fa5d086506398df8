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

from ..engines import executor
from ..formulas.activations import ACTIVATIONS
from ..formulas.losses import LOSSES
from ..formulas.optimisers import OPTIMISERS
from .compare import Comparison, Report
from .formulas import check_activation, check_linear, check_loss, check_optimiser
from .kernels import check_kernels
from .networks import check_networks, verify
from .registration import (
    register_activation,
    register_initialiser,
    register_layer,
    register_loss,
    register_optimiser,
    register_schedule,
)

__all__ = [
    "Comparison",
    "Report",
    "check_activation",
    "check_kernels",
    "check_linear",
    "check_loss",
    "check_networks",
    "check_optimiser",
    "register_activation",
    "register_initialiser",
    "register_layer",
    "register_loss",
    "register_optimiser",
    "register_schedule",
    "run_checks",
    "verify",
]


def run_checks(*, seed: int = 0, networks: int = 64) -> Iterator[Comparison]:
    """Every comparison, for every formula, for random networks and for emitted kernels.

    Kernels are left out where the environment's BACKHAND_ENGINE is ``numpy``: none would run.

    Parameters
    ----------
    seed : int
        Of points and networks.
    networks : int
        How many random networks; kernels are checked on a quarter as many programs.

    Yields
    ------
    Comparison

    Raises
    ------
    BackhandError
        If the processor is not one that can be compiled for.
    """
    for activation in list(ACTIVATIONS.values()):
        yield from check_activation(activation, seed)
    for loss in list(LOSSES.values()):
        yield from check_loss(loss, seed)
    yield from check_linear(seed)
    for optimiser in list(OPTIMISERS.values()):
        yield from check_optimiser(optimiser, seed=seed)
    yield from check_networks(networks, seed)
    if executor().native:
        yield from check_kernels(seed, max(1, networks // 4))
