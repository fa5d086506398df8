"""Schedules of training steps, for the tests beside this file."""

from __future__ import annotations

import numpy as np

from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.step import training_plan
from backhand.run.llvm.program.kernel_plan import schedule

SCALARS = {
    "sgd": ("rate", "l2"),
    "adam": (
        *("rate", "beta1", "one_minus_beta1", "beta2", "one_minus_beta2"),
        *("rsqrt_correction2", "epsilon", "l2"),
    ),
}
KINDS = {"all_x": np.dtype("f4"), "all_t": np.dtype("i8"), "all_weight": np.dtype("f4")}
SPARSE_KINDS = {
    **KINDS,
    "all_x.indices": np.dtype("i4"),
    "all_x.indptr": np.dtype("i8"),
}


def training(*widths, optimiser="adam", clip=None, sparse=False, **keywords):
    """The schedule of a training step, and the names of its scalars."""
    network = Network(widths, **{"loss": "softmax_cross_entropy", **keywords})
    rule, scalars = OPTIMISERS[optimiser], SCALARS[optimiser]
    if clip:
        rule, scalars = clipping(rule, clip), (*scalars, "clip_norm", "clip")
    return schedule(training_plan(network, rule, sparse=sparse), outputs=("value",)), scalars
