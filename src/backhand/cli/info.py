"""`backhand info`: what a model predicts, from what, how well, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import count, printable
from ..export import Model, load
from ..preprocess.preparation import TablePreparation
from ..report import tables
from . import runs
from .answers import is_tabular

ENDS = {
    "epochs": "after all epochs",
    "patience": "no lower validation loss (--patience)",
    "interrupted": "interrupted",
}


def run(path: Path) -> None:
    """Print what a model is for, what it takes, how it scored and how it was made."""
    file = runs.model_file(path)
    model = load(file)
    screen = tables.console()
    if is_tabular(model):
        _ensemble(model.model_, screen)
    elif isinstance(model, Model):
        _plain(model, screen)
    else:
        _estimator(model, screen)
    _record(file, screen)


def _say(screen: Console, line: str) -> None:
    screen.print(printable(line), soft_wrap=True)


def _predicts(task: str, target: str | None, classes: Any, screen: Console) -> None:
    _say(screen, task + (f" of {target!r}" if target is not None else ""))
    if classes is not None:
        _say(screen, f"classes: {', '.join(map(str, classes))}")


def _ensemble(model: Any, screen: Console) -> None:
    """Print an ensemble of a table. What its file says may have been edited."""
    from ..report import ensemble
    from ..report.score_tables import show
    from ..report.scores import Scores
    from ..tabular.metrics import Metric
    from .evaluate import tell_more

    about = model.about
    _predicts(model.task, model.target, model.classes, screen)
    _say(screen, f"learned from {count(int(about['rows']), 'row')}; {model.preparation.summary}")
    tables.treatments(model.preparation.describe(), screen)
    screen.print()
    metric = Metric(str(about["metric"]))
    networks = ensemble.read_rows(about.get("networks"))
    if networks:
        ensemble.networks(networks, metric if about.get("by_metric") else None, screen)
    else:
        _say(screen, f"{count(len(model.members), 'network')}, {model.members[0].network.summary}")
    for name, title in (("held_out", "held-out"), ("test", "test")):
        scores = Scores.read((about.get("scores") or {}).get(name))
        if scores is not None:
            screen.print()
            show(scores, f"{scores.rows:,} {title} rows", screen)
    tell_more(model, None, screen)
    _made(about, screen)


def _plain(model: Model, screen: Console) -> None:
    preparation, made = model.preparation, model.provenance
    _predicts(model.task, model.target, model.classes, screen)
    if preparation is not None:
        _say(screen, preparation.summary)
    if isinstance(preparation, TablePreparation):
        tables.treatments(preparation.describe(), screen)
    network = model.network
    if network.is_chain:
        parts = [activation.spec for activation in network.activations]
    else:
        parts = [layer.kind for layer in network.layers]
    _say(screen, f"network: {network.summary}, {', '.join(dict.fromkeys(parts))}")
    scores = _scores(made.get("scores"))
    if scores:
        splits = sorted(scores, key=lambda split: (split == "test", split))
        tables.scores({printable(split): scores[split] for split in splits}, screen)
    if "best_epoch" in made and "stopped" in made:
        ended = ENDS.get(str(made["stopped"]), str(made["stopped"]))
        _say(screen, f"kept: epoch {made['best_epoch']}; ended: {ended}")
    _made(made, screen)


def _estimator(model: Any, screen: Console) -> None:
    _say(screen, " ".join(repr(model).split()))
    if hasattr(model, "classes_"):
        _say(screen, f"classes: {', '.join(map(str, model.classes_))}")
    names = list(getattr(model, "feature_names_in_", ()))
    _say(screen, f"inputs: {', '.join(names) if names else model.n_features_in_}")
    network = model._record().network
    _say(screen, f"network: {list(network.widths)}, {model.n_iter_} epochs or iterations")


def _made(about: Mapping[str, Any], screen: Console) -> None:
    for name in ("command", "backhand"):
        if name in about:
            _say(screen, f"{name}: {about[name]}")


def _record(file: Path, screen: Console) -> None:
    """Print when and where a model was trained, if the record of its run lies beside it."""
    try:
        record = json.loads((file.parent / runs.RECORD).read_text("utf-8"))
        told = {name: record[name] for name in ("time", "python", "numpy", "processor")}
    except (OSError, ValueError, TypeError, KeyError):
        return
    _say(
        screen,
        f"trained: {told['time']}, Python {told['python']}, NumPy {told['numpy']}, "
        f"{told['processor']}",
    )


def _scores(found: object) -> dict[str, dict[str, float]]:
    """Scores as `train` writes them; none if somebody has edited the file to something else."""
    if not isinstance(found, dict):
        return {}
    fit = all(
        isinstance(values, dict) and all(isinstance(v, float) for v in values.values())
        for values in found.values()
    )
    return found if fit else {}
