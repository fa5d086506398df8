"""The layers of networks, and what a layer of your own is written with; see docs/layers.md."""

from __future__ import annotations

from .plan.buffers import Buffer
from .plan.layers import (
    Activate,
    BatchEnsemble,
    Chain,
    Columns,
    Concat,
    Dropout,
    Embedding,
    GatedLinear,
    Layer,
    LayerNorm,
    Linear,
    MemberLinear,
    MemberScale,
    Periodic,
    PiecewiseLinear,
    PRelu,
    Residual,
    RmsNorm,
    Scale,
)
from .plan.recording import Symbol
from .plan.wiring import Factors, Wiring

__all__ = [
    "Activate",
    "BatchEnsemble",
    "Buffer",
    "Chain",
    "Columns",
    "Concat",
    "Dropout",
    "Embedding",
    "Factors",
    "GatedLinear",
    "Layer",
    "LayerNorm",
    "Linear",
    "MemberLinear",
    "MemberScale",
    "PRelu",
    "Periodic",
    "PiecewiseLinear",
    "Residual",
    "RmsNorm",
    "Scale",
    "Symbol",
    "Wiring",
]
