"""`backhand show`: the program of a network, as data one can look at."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..export import Model, load
from ..formulas.activations import choose_activation
from ..formulas.optimisers import choose_optimiser
from ..network import Network
from ..plan.step import training_plan
from .answers import is_tabular
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
    """Print the plan, IR or assembly of a training epoch."""
    kinds = kinds or ["plan"]
    described = _networks(network, activation, loss, dropout, dtype)
    for one in described:
        if len(described) > 1:
            print(f"# {one.summary}")
        _show(one, optimiser, kinds, target)


def _networks(
    network: str, activation: str, loss: str, dropout: float, dtype: str
) -> list[Network]:
    """The network of widths or of a model; the different ones of an ensemble."""
    if Path(network).suffix != ".safetensors" and not Path(network).exists():
        return [_network(network, activation, loss, dropout, dtype)]
    model = load(model_file(Path(network)))
    if is_tabular(model):
        return list(dict.fromkeys(member.network for member in model.model_.members))
    return [model.network if isinstance(model, Model) else model._record().network]


def _show(network: Network, optimiser: str, kinds: list[str], target: str | None) -> None:
    plan = training_plan(network, choose_optimiser(optimiser))
    if "plan" in kinds:
        print(plan)
    if kinds == ["plan"]:
        return
    from ..run.llvm.machine.target import Target, emit_assembly
    from ..run.llvm.program.emit import emit_program
    from ..run.llvm.program.kernel_plan import plan_kernels

    machine = Target.host() if target is None else Target.named(target)
    class_index = np.dtype(np.int64)
    real = np.dtype(network.dtype)
    t = class_index if network.loss.by_row else real
    sources = {"all_x": real, "all_t": t, "all_weight": real}
    module = emit_program(plan_kernels(plan), machine, sources)
    if "ir" in kinds:
        print(module)
    if "asm" in kinds:
        print(emit_assembly(module, machine))


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
