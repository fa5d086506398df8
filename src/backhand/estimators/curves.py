"""The course of a fit as a picture, by matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .fitted import Fitted


def draw_curves(fitted: Fitted, ax: Any) -> Any:
    """Draw a fit's curves into matplotlib axes, new ones if ``ax`` is None; return them."""
    curves = fitted.course.curves
    losses = curves.get("loss_curve_")
    if not losses:
        raise InputError(
            "there are no epochs to draw: fit with solver 'adam', 'adamw' or 'sgd', which keep "
            f"loss_curve_, got solver={fitted.solver!r}"
        )
    if ax is not None and not hasattr(ax, "twinx"):
        raise InputError(
            f"ax must be matplotlib Axes, got {type(ax).__name__}; "
            "to save a picture, use plot_history().figure.savefig"
        )
    if ax is None:
        from matplotlib import pyplot  # slow to import

        _, ax = pyplot.subplots()
    epochs = np.arange(1, len(losses) + 1)
    lines = ax.plot(epochs, losses, color="C0", label="training loss")
    ax.set(xlabel="epoch", ylabel="loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    judged = curves["validation_loss_curve_"]
    if judged:  # shorter than the training's, if a warm start came to judge later
        last = epochs[-len(judged) :]
        lines += ax.plot(last, judged, color="C1", label="validation loss")
        scores = np.array(curves["validation_scores_"])
        if fitted.scoring != "loss":
            right = ax.twinx()
            right.set_ylabel("score")
            lines += right.plot(last, scores, "C2--", label="validation score")
        if np.isfinite(scores).any():
            best = last[np.nanargmax(scores)]
            lines.append(ax.axvline(best, color="0.6", zorder=0, label=f"kept: epoch {best}"))
    ax.legend(handles=lines)
    return ax
