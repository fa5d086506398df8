"""Pictures, by matplotlib."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..files import as_path, write_whole
from ..passes import LayerStatistics
from ..train.state import Epoch

FORMATS = (".png", ".svg", ".pdf")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v")


def _figure(width: float, height: float, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def check_picture(path: str | os.PathLike[str]) -> None:
    """Whether a picture can be drawn there, asked before the work that it would show.

    Raises
    ------
    InputError
        If the name says no format, or the folder cannot be written to.
    """
    path = as_path(path)
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        raise InputError(f"picture {path!r}: its name must end in {', '.join(FORMATS)}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise InputError(f"picture {path!r}: make the folder {folder} first")
    if not os.access(folder, os.W_OK):
        raise InputError(f"picture {path!r}: the folder {folder} cannot be written to")
    if os.path.isdir(path):
        raise InputError(f"picture {path!r}: this is a folder")
    _figure(1, 1, 1)


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    ending = os.path.splitext(as_path(path))[1].lower()[1:]
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=130)
    write_whole(path, buffer.getvalue())


def _fraction(value: float, _: int) -> str:
    """A power of two as people write it: 4, 1, 1/8; small ones as 1e-06."""
    if 1 / 4096 <= value < 1:
        return f"1/{1 / value:.0f}"
    return f"{value:.3g}"


def plot_statistics(
    cases: dict[str, list[LayerStatistics]], path: str | os.PathLike[str], title: str
) -> None:
    """Draw how variance, mean and gradients go with depth, a line for each case.

    Colours are initialisers, lines and markers activations. A step down of the logarithmic scales
    is a halving, and a guide halves at each layer, as ReLU does to the variance that
    ``1/sqrt(fan_in)`` gives.

    Parameters
    ----------
    cases : dict of str to list of LayerStatistics
        As `Network.statistics` gives them, by "initialiser, activation".
    path : path
        A ``.png``, ``.svg`` or ``.pdf``.
    title : str
    """
    figure, axes = _figure(15, 5.6, 3)
    panels: Sequence[tuple[str, str, Any, bool]] = (
        ("variance of pre-activations z", "z", lambda row: row.std**2, True),
        ("mean of outputs y", "y", lambda row: row.mean, False),
        ("std of gradients dz (last layer: 1)", "dz", lambda row: row.std, True),
    )
    pairs = {name: name.split(", ", 1) for name in cases}
    schemes = list(dict.fromkeys(scheme for scheme, _ in pairs.values()))
    activations = list(dict.fromkeys(activation for _, activation in pairs.values()))
    colours = {scheme: f"C{i}" for i, scheme in enumerate(schemes)}
    looks = {
        activation: {"linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        for i, activation in enumerate(activations)
    }
    for axis, (label, buffer, value, logarithmic) in zip(axes, panels, strict=True):
        for name, rows in cases.items():
            scheme, activation = pairs[name]
            points = sorted((row.layer, value(row)) for row in rows if row.buffer == buffer)
            axis.plot(
                *zip(*points, strict=True),
                color=colours[scheme],
                markersize=4,
                **looks[activation],
            )
        axis.set(title=label, xlabel="layer")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        if logarithmic:
            axis.set_yscale("log", base=2)
            axis.yaxis.set_major_formatter(_fraction)
            axis.axhline(1, color="black", linewidth=0.8)
        else:
            axis.axhline(0, color="black", linewidth=0.8)
    depth = max(row.layer for rows in cases.values() for row in rows)
    layers = range(1, depth + 1)
    guide = axes[0].plot(layers, [0.5 ** (n - 1) for n in layers], color="0.6", linewidth=4)[0]
    guide.set(alpha=0.5, zorder=0)
    axes[0].legend([guide], ["half at each layer"], loc="lower left")
    colour = [guide.__class__([], [], color=c) for c in colours.values()]
    figure.legend(colour, list(colours), loc="outside right upper", title="initialiser")
    if len(looks) > 1:
        look = [guide.__class__([], [], color="black", markersize=4, **h) for h in looks.values()]
        figure.legend(look, list(looks), loc="outside right center", title="activation")
    else:
        title = f"{title}, {activations[0]}"
    figure.suptitle(title)
    _save(figure, path)


def plot_history(
    history: list[Epoch], path: str | os.PathLike[str], score: str, kept: int = 0
) -> None:
    """Draw the losses and the validation score of a training, epoch by epoch.

    Parameters
    ----------
    history : list of Epoch
    path : path
        A ``.png``, ``.svg`` or ``.pdf``.
    score : str
        What the validation score is called.
    kept : int
        The epoch whose parameters were kept, which is marked in both panels; 0 marks the one with
        the lowest validation loss.

    Raises
    ------
    InputError
        Without an epoch, or if the file cannot be written.
    """
    if not history:
        raise InputError("there is no epoch to draw")
    figure, axes = _figure(11, 4.4, 2)
    validated = [line for line in history if line.validation_loss is not None]
    scored = [line for line in history if line.validation_score is not None]
    look = {"marker": "." if len(history) < 40 else None}
    axes[0].plot(
        [line.epoch for line in history],
        [line.loss for line in history],
        label="training (mean over the epoch)",
        **look,
    )
    panels = ((axes[0], validated, "validation_loss"), (axes[1], scored, "validation_score"))
    best = min(validated, key=lambda line: (line.epoch != kept, line.validation_loss), default=None)
    for axis, lines, value in panels:
        axis.set(xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if not lines:
            continue
        values = [getattr(line, value) for line in lines]
        axis.plot([line.epoch for line in lines], values, color="C1", label="validation", **look)
        if best in lines:
            number = getattr(best, value)
            axis.axvline(best.epoch, color="C3", linewidth=0.8, linestyle="--", zorder=0)
            label = f"kept: epoch {best.epoch}, {number:.4f}"
            axis.plot(best.epoch, number, "o", color="C3", label=label)
    losses = [loss for line in history for loss in (line.loss, line.validation_loss) if loss]
    if 0 < 20 * min(losses) < max(losses) < math.inf:
        axes[0].set_yscale("log")
    axes[0].set(title="loss; the epoch with the lowest validation loss is kept")
    axes[1].set(title=f"validation {score}")
    for axis in axes:
        if axis.get_lines():
            axis.legend()
    _save(figure, path)
