"""Schedules of training steps, for the tests beside this file."""

from __future__ import annotations

from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.step import training_plan
from backhand.run.llvm.program.kernel_plan import plan_kernels


def training(*widths, optimiser="adam", clip=None, sparse=False, **keywords):
    """The kernel plan of a training step of a chain."""
    network = Network(widths, **{"loss": "softmax_cross_entropy", **keywords})
    rule = OPTIMISERS[optimiser]
    rule = clipping(rule, clip) if clip else rule
    return plan_kernels(training_plan(network, rule, sparse=sparse))
