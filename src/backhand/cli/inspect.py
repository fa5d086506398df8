"""`backhand inspect`: what initialisations and activations make of data, or training of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import datasets
from ..errors import InputError, printable
from ..export import Model, load
from ..formulas.activations import choose_activation
from ..formulas.initialisers import choose_initialiser
from ..network import Network
from ..passes import LayerStatistics
from ..report import pictures, tables
from ..report.page.health import Verdict, of_layers
from ..report.page.reports import of_tabular
from ..train.monitor import look
from ..train.rows import Rows
from . import runs
from .answers import is_tabular
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
    file = runs.model_file(Path(name))
    if file.suffix == ".safetensors" and file.is_file():
        if plot is not None:
            raise InputError(
                "--plot compares initialisers, and a model has been trained: leave it out"
            )
        _trained(file, where["target"])
        return
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
    verdicts: dict[str, list[Verdict]] = {}
    for label, chosen in activations.items():
        network = Network((x.shape[1], *widths, outputs), activation=chosen, loss=loss)
        check_size(network, hidden)
        for scheme in schemes:
            params = network.init(scheme, seed, x)
            case = f"{scheme.name}, {label}"
            cases[case] = network.statistics(params, x)
            verdicts[case] = of_layers([look(network, params, Rows(x, t))])
    screen = tables.console()
    sizes = "-".join(map(str, (x.shape[1], *widths, outputs)))
    title = f"{data.name}: {len(t):,} training rows through {sizes}"
    screen.print(title, soft_wrap=True)
    tables.propagation(cases, screen)
    if full:
        tables.statistics(cases, screen)
    tables.verdicts(verdicts, screen)
    if plot is not None:
        pictures.plot_statistics(cases, plot, title)
        screen.print(f"picture: {plot}", soft_wrap=True)


def _trained(file: Path, target: str | None) -> None:
    """Print what was seen of the layers of a trained model, and what is to be said of it."""
    if target is not None:
        raise InputError("a model knows its target: leave out --target")
    screen = tables.console()
    model, looks = load(file), runs.read_looks(file.parent)
    watched = model.report(looks=looks.get(1, ())) if isinstance(model, Model) else None
    if is_tabular(model):
        watched = of_tabular(model, looks=looks, history=runs.read_history(file.parent))
    screen.print(printable(f"{file}: {_summary(model)}"), soft_wrap=True)
    if watched is None or not watched.data["health"]:
        screen.print(
            "nothing was seen of its layers while it was trained; with `backhand train --report` "
            "something is, and `backhand report MODEL ROWS.csv` looks at them now",
            soft_wrap=True,
        )
        return
    for one in watched.data["health"]:
        found = [Verdict(**verdict) for verdict in one["verdicts"]]
        tables.looks(one["name"], one["looks"][-1], screen)
        tables.verdicts({one["name"]: found}, screen)


def _summary(model: Any) -> str:
    if is_tabular(model):
        return repr(model.model_)
    return repr(model) if isinstance(model, Model) else " ".join(repr(model).split())
