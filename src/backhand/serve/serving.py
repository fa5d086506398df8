"""What a `Predictor` loads: the stages of a model as machine code, and a description of the rest.

This imports what compiles, and is only imported where a model is not in the cache yet.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..engines import default_engine
from ..export.program import Program, Stage
from ..export.programs import program_of
from ..export.samples import looked_up
from ..formulas.activations import ACTIVATIONS
from ..formulas.losses import LOSSES
from ..plan.layers import LAYERS
from ..plan.step import plan_of_nodes
from ..run.llvm.machine.object_cache import packed
from ..run.llvm.program.row_program import RowProgram, RowStage
from ..run.llvm.runtime.row_program import frozen_program

PLAIN = "biufU"
"""Kinds of dtypes of classes that JSON holds; a model of others predicts in the usual way."""


def serving(model: Any) -> bytes:
    """A model as a `Predictor` loads it.

    Without machine code if there is nothing to compile, or the engine is not llvm.
    """
    program = program_of(model)
    classes = getattr(model, "classes_", getattr(model, "classes", None))
    labels = None if classes is None else np.asarray(classes)
    plain = labels is None or labels.dtype.kind in PLAIN or all(isinstance(c, str) for c in labels)
    native = bool(program.networks) and plain and default_engine() == "llvm"
    code = frozen_program(row_program(program), _values(program)) if native else b""
    decision = program.decision
    # the estimators of tables have a model
    preparation = getattr(getattr(model, "model_", model), "preparation", None)
    named = preparation is not None and getattr(preparation, "has_names", False)
    about = {
        "name": program.name,
        "kind": decision.kind,
        "classes": labels if labels is None else labels.tolist() if plain else [*map(str, labels)],
        "class_dtype": labels.dtype.str if labels is not None else None,
        "answers": program.answer.result.width,
        "threshold": decision.threshold,
        "columns": [column.name for column in program.columns if named],
        "values": _values(program),
        "preparation": preparation.to_dict() if preparation and program.columns else None,
        "inputs": program.inputs,
        "dtype": program.dtype,
        "categories": sorted(looked_up(program).items()),
    }
    return packed([json.dumps(about).encode(), code])


def can_be_kept() -> bool:
    """Whether all formulas and layers are ours: a user's own may be others in another process."""
    formulas = (f for table in (ACTIVATIONS, LOSSES) for e in table.values() for f in _callables(e))
    return all(map(_is_ours, (*formulas, *LAYERS.values())))


def _callables(entry: Any) -> Iterable[Callable[..., Any]]:
    return filter(callable, vars(entry).values())


def _is_ours(formula: Any) -> bool:
    while isinstance(formula, functools.partial):
        formula = formula.func
    return str(getattr(formula, "__module__", "")).partition(".")[0] == __name__.partition(".")[0]


def row_program(program: Program) -> RowProgram:
    """The stages of a program as the compiled executor takes them."""
    prepare = None if program.prepare is None else _stage(program.prepare)
    networks = tuple(map(_stage, program.networks))
    return RowProgram(
        networks,
        _stage(program.answer),
        prepare,
        program.sources,
        program.order,
        shows_logits=program.decision.by_logits,
    )


def _stage(stage: Stage) -> RowStage:
    plan = plan_of_nodes(
        stage.nodes, stage.given, tuple(stage.constants), stage.result, stage.dtype
    )
    return RowStage(plan, {buffer.name: a for buffer, a in stage.constants.items()})


def _values(program: Program) -> int:
    """How many values a row of the table has, or of the array."""
    return len(program.columns) or len(program.sources)
