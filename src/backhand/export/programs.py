"""`program_of`: every kind of trained model as a `Program`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas import answers, columns, sums
from ..network import Network
from ..plan.buffers import BATCH, Buffer
from ..plan.ranges import as_numbers
from ..preprocess.encoder import Slot, alike
from ..preprocess.pixels import Standardise
from ..preprocess.preparation import Preparation, TablePreparation
from .program import (
    Column,
    Decision,
    Program,
    StageBuilder,
    logits_buffer,
    network_stage,
    program_of_network,
    row_buffer,
)

Array = Any


def program_of(model: Any) -> Program:
    """What exports are written from.

    Parameters
    ----------
    model : Model, TableModel, fitted estimator, or (Network, parameters)

    Raises
    ------
    InputError
        If it is none of them.
    """
    if isinstance(model, Program):
        return model
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], Network):
        return program_of_network(*model)
    if not hasattr(model, "to_program"):
        raise InputError(
            f"a {type(model).__name__} cannot be exported: a trained model of backhand is needed, "
            "or a pair (network, parameters)"
        )
    made: Program = model.to_program()
    return made


def values_of(model: Any, rows: Any) -> Array:
    """The values (N, columns) of rows to try a model's program with, as it takes them.

    Parameters
    ----------
    model : Model, TableModel or fitted estimator
    rows : array or table
        As the model's ``predict`` takes them.

    Raises
    ------
    InputError
        If they do not fit, or there are none.
    """
    table = getattr(model, "model_", model)  # of an estimator of tables
    preparation: Any = getattr(table, "preparation", None)
    of_table = isinstance(preparation, TablePreparation)
    found: Array = preparation.values(rows) if of_table else np.asarray(as_numbers(rows, "rows"))
    if not found.size:
        raise InputError("there are no rows to try the model with: give some, or leave rows out")
    if of_table:
        return found
    found = found.astype(np.float64).reshape(len(found) if found.ndim else 1, -1)
    inputs = program_of(model).inputs
    if found.shape[1] != inputs:
        raise InputError(f"rows have {found.shape[1]} numbers each; the model takes {inputs}")
    return found


# from columns to x ------------------------------------------------------------------------------


def preparing(preparation: Preparation | None) -> dict[str, Any]:
    """The entries of a `Program` that a preparation gives."""
    if preparation is None:
        return {}
    if isinstance(preparation, Standardise):
        return _of_pixels(preparation)
    return _of_table(preparation)


def _of_pixels(preparation: Standardise) -> dict[str, Any]:
    builder, pixels = StageBuilder(), row_buffer("values", preparation.width)
    p = preparation
    out = builder.map(columns.standardised, pixels, scale=p.scale, mean=p.mean, std=p.std)
    places = tuple(range(preparation.width))
    return {
        "sources": places,
        "prepare": builder.stage("prepare", "float64", [pixels], out),
        "order": places,
        "feature_names": tuple(preparation.feature_names),
    }


def _of_table(preparation: TablePreparation) -> dict[str, Any]:
    """Slots with one formula stand beside one another, and are one map."""
    slots: list[tuple[int, Slot]] = []
    for kind in range(3):  # numbers, indicators and codes
        for column, encoder in enumerate(preparation.encoders):
            slots += [(column, slot) for slot in encoder.slots[kind]]
    groups = alike(slot for _, slot in slots)
    # what groups take: the values of the same columns are there once, and so are parts of them
    of_columns = [tuple(slots[place][0] for place in places) for places in groups.values()]
    sources = [column for those in dict.fromkeys(of_columns) for column in those]
    builder, values, first = StageBuilder(), row_buffer("values", len(sources)), 0
    given: dict[Any, Buffer] = {}
    for those in dict.fromkeys(of_columns):
        given[None, those] = values.view(f"values{first}", first, len(those))
        first += len(those)
    prepared, first = Buffer("prepared", (BATCH, len(slots))), 0
    for ((formula, part), places), those in zip(groups.items(), of_columns, strict=True):
        if (part, those) not in given:
            assert part is not None
            given[part, those] = builder.map(part, given[None, those])
        rows = zip(*(slots[place][1].constants for place in places), strict=True)
        vectors = [builder.constant(f"c{first}_{k}", row) for k, row in enumerate(rows)]
        out = prepared.view(f"prepared{first}", first, len(places))
        builder.map(formula, given[part, those], *vectors, out=out)
        first += len(places)
    sequence = [place for places in groups.values() for place in places]
    return {
        "columns": tuple(
            Column(encoder.name, encoder.kind, getattr(encoder, "values", ()))
            for encoder in preparation.encoders
        ),
        "sources": tuple(sources),
        "prepare": builder.stage("prepare", "float64", [values], prepared),
        "order": tuple(int(place) for place in np.argsort(sequence)),
        "feature_names": tuple(preparation.feature_names),
    }


# models -----------------------------------------------------------------------------------------


def program_of_model(model: Any) -> Program:
    """The program of a `backhand.Model`."""
    network, builder = model.network, StageBuilder()
    z = logits_buffer(network)
    y = builder.expected(network, z)
    if model.task == "regression":
        y = builder.map(answers.in_units, y, mean=model.target_mean, std=model.target_std)
        decision = Decision("numbers", target=model.target or "")
    else:
        if y.width == 1:
            y = builder.beside(builder.map(answers.complement, y), y)
        decision = Decision("largest", tuple(model.classes), target=model.target or "")
    dtype = "float64" if model.task == "regression" else network.dtype
    return Program(
        _title(model),
        network.inputs,
        (network_stage(network, model.params),),
        builder.stage("answer", dtype, [z], y),
        decision,
        **preparing(model.preparation),
    )


def program_of_ensemble(model: Any) -> Program:
    """The program of a `backhand.tabular.model.TableModel`."""
    builder, given, shares = StageBuilder(), [], []
    for number, (member, weight) in enumerate(zip(model.members, model.weights, strict=True), 1):
        z = logits_buffer(member.network, f"z{number}")
        y = builder.expected(member.network, z)
        if member.scale is not None:
            y = builder.map(answers.in_units, y, mean=member.scale.mean, std=member.scale.std)
            if member.scale.log:
                y = builder.map(answers.from_log, y, smear=member.scale.smear)
        given.append(z)
        shares.append(builder.map(answers.share, y, weight=weight))
    classes = () if model.classes is None else _plain(model.classes)
    if shares:
        y = functools.reduce(functools.partial(builder.map, sums.add), shares)
    else:  # one class, which is certain
        y = Buffer("y1", (BATCH, len(classes)))
        builder.constants[y] = np.ones((1, len(classes)))
    if model.classes is None:
        if np.isfinite([model.lowest, model.highest]).all():
            y = builder.map(columns.within, y, least=model.lowest, most=model.highest)
    elif shares and model.temperature != 1.0:
        y = builder.map(answers.tempered, y, temperature=model.temperature)
    kind = {0: "numbers", 2: "threshold"}.get(len(classes), "largest")
    return Program(
        _title(model),
        model.preparation.width,
        tuple(
            network_stage(member.network, member.params, f"network{number}")
            for number, member in enumerate(model.members, 1)
        ),
        builder.stage("answer", "float64", given, y),
        Decision(kind, classes, model.threshold, model.target or ""),
        **preparing(model.preparation),
    )


def _plain(classes: Array) -> tuple[Any, ...]:
    """Labels as texts, numbers or booleans."""
    return tuple(classes.astype(str).tolist() if classes.dtype.kind in "mM" else classes.tolist())


def _title(model: Any) -> str:
    of = "" if model.target is None else f" of {model.target}"
    features = () if model.preparation is None else getattr(model.preparation, "columns", ())
    return f"{model.task}{of}" + (f" from {', '.join(features)}" if features else "")
