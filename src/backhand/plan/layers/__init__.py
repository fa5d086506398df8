"""The layers, each in one file: forward wiring, backward wiring below it, and how it begins.

- `layer`: what a layer is, and chains of them
- `linear`, `activation`, `dropout`, `scale`, `norm`, `gated`: the usual ones
- `residual`: paths that part and meet: residual blocks, columns, branches side by side
- `periodic`, `piecewise`, `embedding`: numbers and categories of tables
- `ensemble`: members that share weights
"""

from __future__ import annotations

from .activation import Activate, PRelu
from .dropout import Dropout
from .embedding import Embedding
from .ensemble import BatchEnsemble, MemberLinear, MemberScale
from .gated import GatedLinear
from .layer import LAYERS, Layer, layer_from_dict
from .linear import Linear
from .norm import LayerNorm, RmsNorm
from .periodic import Periodic
from .piecewise import PiecewiseLinear
from .residual import Chain, Columns, Concat, Residual
from .scale import Scale

__all__ = [
    "LAYERS",
    "Activate",
    "BatchEnsemble",
    "Chain",
    "Columns",
    "Concat",
    "Dropout",
    "Embedding",
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
    "layer_from_dict",
]
