"""`backhand inspect`: what initialisations and activations make of data, layer by layer."""

from __future__ import annotations

from pathlib import Path

from .. import datasets
from ..formulas.activations import choose_activation
from ..formulas.initialisers import choose_initialiser
from ..network import Network
from ..passes import LayerStatistics
from ..report import pictures, tables
from .options import check_limits, check_size, hidden_widths, names

ROWS = 2048  # of the training rows; more would not change what one sees


def run(
    name: str,
    where: dict[str, str | None],
    hidden: str,
    init: str,
    activation: str,
    seed: int,
    full: bool,
    plot: Path | None,
) -> None:
    """Print the tables, and draw the picture if there is a name for it.

    ``where`` has the options of `datasets.load` that say what the data are.
    """
    check_limits(seed=seed)
    schemes = [choose_initialiser(part) for part in names(init)]
    activations = {part: choose_activation(part) for part in names(activation)}
    widths = hidden_widths(hidden)
    if plot is not None:
        pictures.check_picture(plot)
    data = datasets.load(name, seed=seed, **where)
    x, t = data.train.x[:ROWS], data.train.t[:ROWS]
    outputs = len(data.classes) if data.classes is not None else 1
    loss = "softmax_cross_entropy" if data.classes is not None else "mean_squared_error"
    cases: dict[str, list[LayerStatistics]] = {}
    for label, chosen in activations.items():
        network = Network((x.shape[1], *widths, outputs), activation=chosen, loss=loss)
        check_size(network, hidden)
        for scheme in schemes:
            params = network.init(scheme, seed, x)
            cases[f"{scheme.name}, {label}"] = network.statistics(params, x)
    screen = tables.console()
    sizes = "-".join(map(str, (x.shape[1], *widths, outputs)))
    title = f"{data.name}: {len(t):,} training rows through {sizes}"
    screen.print(title, soft_wrap=True)
    tables.propagation(cases, screen)
    if full:
        tables.statistics(cases, screen)
    if plot is not None:
        pictures.plot_statistics(cases, plot, title)
        screen.print(f"picture: {plot}", soft_wrap=True)
