"""`backhand show`: the program of a network, as data one can look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..errors import InputError, printable
from ..export import Model, load
from ..formulas.activations import choose_activation
from ..formulas.optimisers import choose_optimiser
from ..network import Network
from ..plan.step import training_plan
from ..preprocess.preparation import TablePreparation
from ..report import tables
from .options import names
from .runs import model_file


def run(
    network: str,
    activation: str,
    loss: str,
    dropout: float,
    optimiser: str,
    dtype: str,
    kinds: list[str],
    target: str | None,
) -> None:
    """Print what a model is, and the plan, IR or assembly of a training epoch."""
    if Path(network).suffix == ".safetensors" or Path(network).exists():
        model = load(model_file(Path(network)))
        described = model.network if isinstance(model, Model) else model._record().network
        _about(model, tables.console())
        if not kinds:
            return
        print()
    else:
        described = _network(network, activation, loss, dropout, dtype)
        kinds = kinds or ["plan"]
    chosen = choose_optimiser(optimiser)
    plan = training_plan(described, chosen)
    if "plan" in kinds:
        print(plan)
    if kinds == ["plan"]:
        return
    from ..run.llvm.machine.target import Target, emit_assembly
    from ..run.llvm.program.emit import emit_program
    from ..run.llvm.program.kernel_plan import plan_kernels

    machine = Target.host() if target is None else Target.named(target)
    class_index = np.dtype(np.int64)
    real = np.dtype(described.dtype)
    t = class_index if described.loss.by_row else real
    sources = {"all_x": real, "all_t": t, "all_weight": real}
    module = emit_program(plan_kernels(plan), machine, sources)
    if "ir" in kinds:
        print(module)
    if "asm" in kinds:
        print(emit_assembly(module, machine))


ENDS = {
    "epochs": "after all epochs",
    "patience": "no lower validation loss (--patience)",
    "interrupted": "interrupted",
}


def _about(model: Any, screen: Console) -> None:
    """Print what a model is for, what it takes, how it scored and how it was made."""

    def say(line: str) -> None:
        screen.print(printable(line), soft_wrap=True)

    if not isinstance(model, Model):
        say(" ".join(repr(model).split()))
        if hasattr(model, "classes_"):
            say(f"classes: {', '.join(map(str, model.classes_))}")
        names = list(getattr(model, "feature_names_in_", ()))
        say(f"inputs: {', '.join(names) if names else model.n_features_in_}")
        network = model._record().network
        say(f"network: {list(network.widths)}, {model.n_iter_} epochs or iterations")
        return
    say(model.task + (f" of {model.target!r}" if model.target is not None else ""))
    if model.classes is not None:
        say(f"classes: {', '.join(map(str, model.classes))}")
    preparation, made = model.preparation, model.provenance
    if preparation is not None:
        say(preparation.summary)
    if isinstance(preparation, TablePreparation):
        tables.treatments(preparation.describe(), screen)
    network = model.network
    if network.is_chain:
        parts = [activation.spec for activation in network.activations]
    else:
        parts = [layer.kind for layer in network.layers]
    say(f"network: {network.summary}, {', '.join(dict.fromkeys(parts))}")
    scores = _scores(made.get("scores"))
    if scores:
        splits = sorted(scores, key=lambda split: (split == "test", split))
        tables.scores({printable(split): scores[split] for split in splits}, screen)
    if "best_epoch" in made and "stopped" in made:
        ended = ENDS.get(str(made["stopped"]), str(made["stopped"]))
        say(f"kept: epoch {made['best_epoch']}; ended: {ended}")
    for name in ("command", "backhand"):
        if name in made:
            say(f"{name}: {made[name]}")


def _scores(found: object) -> dict[str, dict[str, float]]:
    """Scores as `train` writes them; none if somebody has edited the file to something else."""
    if not isinstance(found, dict):
        return {}
    fit = all(
        isinstance(values, dict) and all(isinstance(v, float) for v in values.values())
        for values in found.values()
    )
    return found if fit else {}


def _network(text: str, activation: str, loss: str, dropout: float, dtype: str) -> Network:
    parts = text.split("-")
    if not all(re.fullmatch("[0-9]{1,18}", part) for part in parts):
        raise InputError(f"network {text!r}: give widths such as 784-50-10, or the file of a model")
    activations = names(activation)
    for name in activations:  # wrong or right even where there is no hidden layer
        choose_activation(name)
    if len(parts) == 2:  # so is dropout
        Network((1, 1, 1), dropout=dropout)
    return Network(
        [int(part) for part in parts],
        activation=activations if len(activations) > 1 else activations[0],
        loss=loss,
        dropout=dropout,
        dtype=dtype,
    )
