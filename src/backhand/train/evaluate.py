"""Loss and score of parameters on rows that they may never have seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..network import Network, Params
from .rows import Rows, parts

Array = Any

Score = Callable[[Array, Array], float]
"""From logits and targets to a number, of which greater is better."""

Evaluation = tuple[float, float | None]
"""Loss, and the score if there is one."""


@np.errstate(over="ignore", invalid="ignore")
def evaluate(
    network: Network,
    params: Params,
    rows: Rows,
    score: Score | None = None,
    engine: str | None = None,
) -> Evaluation:
    """The loss over rows, and their score if there is one; some rows at a time."""
    z = np.concatenate([network.forward(params, x, engine) for _, x in parts(rows.x)])
    loss = network.loss_at(z, rows.t, rows.weight)
    return loss, None if score is None else score(z, rows.t)
