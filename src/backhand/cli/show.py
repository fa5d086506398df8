"""`backhand show`: the program of a network, as data one can look at."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError, printable
from ..export import Model, load_model
from ..formulas.activations import choose_activation
from ..formulas.optimisers import choose_optimiser
from ..network import Network
from ..plan.step import training_plan
from .options import names


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
    """Print the plan, IR or assembly of a training epoch."""
    if Path(network).suffix == ".safetensors" or Path(network).exists():
        model = load_model(network)
        described = model.network
        print(f"{_about(model)}\n")
    else:
        described = _network(network, activation, loss, dropout, dtype)
    chosen = choose_optimiser(optimiser)
    plan = training_plan(described, chosen)
    if "plan" in kinds:
        print(plan)
    if kinds == ["plan"]:
        return
    from ..run.llvm.machine.target import Target, emit_assembly
    from ..run.llvm.program.emit import emit_program
    from ..run.llvm.program.kernel_plan import schedule

    machine = Target.host() if target is None else Target.named(target)
    scalars = (*chosen.scalars(1, 1.0, **chosen.keywords), "l2")
    class_index = np.dtype(np.int64)
    real = np.dtype(described.dtype)
    t = class_index if described.loss.by_row else real
    sources = {"all_x": real, "all_t": t, "all_weight": real}
    program = emit_program(schedule(plan, ("value",)), machine, sources, scalars)
    if "ir" in kinds:
        print(program.module)
    if "asm" in kinds:
        print(emit_assembly(program.module, machine))


def _about(model: Model) -> str:
    """What a model is for, what it takes, how it was made and how it scored."""
    lines = [model.task + (f" of {model.target!r}" if model.target is not None else "")]
    if model.classes is not None:
        lines.append(f"classes: {', '.join(map(str, model.classes))}")
    if model.preparation is not None:
        lines.append(model.preparation.summary)
    for name in ("command", "backhand", "best_epoch", "stopped", "scores"):
        if name in model.provenance:
            lines.append(f"{name}: {model.provenance[name]}")
    return "\n".join(printable(line) for line in lines)


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
