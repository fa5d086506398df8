"""A `Program` as an ONNX model: the columns of a table, stages, and what is decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import __version__
from ..program import MISSING, OTHER, Column, Program
from .stages import StageWriter, Writer, element_type

Array = Any

OPSET, IR_VERSION = 19, 9
"""Texts are compared from opset 19 on; onnxruntime has had it since version 1.16 of 2023."""

NUMBERS, LABEL, PROBABILITIES = "variable", "label", "probabilities"
"""The outputs' names: those of skl2onnx, without its ZipMap."""


def input_names(program: Program) -> list[str]:
    """What the inputs are called: as the columns, with ``_`` behind what an output is called."""
    if not program.columns:
        return ["X"]
    taken = {column.name for column in program.columns}
    names = []
    for column in program.columns:
        name = column.name or "column"
        while name in (NUMBERS, LABEL, PROBABILITIES) or (name != column.name and name in taken):
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def input_type(program: Program, number: int) -> str:
    """The NumPy dtype of an input: of texts object; without columns the network's."""
    if not program.columns:
        return program.dtype
    return "object" if program.columns[number].kind == "category" else "float64"


def _value_of(writer: Writer, column: Column, given: str) -> str:
    """The number (N, 1) that a column's cell stands for."""
    if column.kind != "category":
        return given
    # at most one text is equal, so the sum has one place in it, from OTHER on
    places = {text: place for place, text in enumerate(column.values)} | {"": MISSING}
    known = writer.constant(np.array([[*places]], object), f"{given}.texts")
    equal = writer.emit("Equal", given, known, name=f"{given}.is")
    found = writer.emit("Cast", equal, name=f"{given}.found", to=element_type("float64"))
    from_other = np.array([*places.values()], np.float64)[:, None] - OTHER
    beyond = writer.constant(from_other, f"{given}.places")
    place = writer.emit("MatMul", found, beyond, name=f"{given}.beyond")
    return writer.emit("Add", place, writer.scalar(OTHER, "float64"), name=f"{given}.place")


def _x(writer: Writer, program: Program, names: Sequence[str]) -> str:
    """The prepared numbers (N, D)."""
    if program.prepare is None:
        return names[0]
    prepare = program.prepare
    if program.columns:
        cells = [_value_of(writer, *pair) for pair in zip(program.columns, names, strict=True)]
        given = writer.emit("Concat", *(cells[s] for s in program.sources), name="cells", axis=1)
    else:
        given = writer.cast(names[0], program.dtype, prepare.dtype, name="cells")
    found = StageWriter(writer, prepare, [given]).write()
    found = writer.columns(found, program.order, prepare.result.width, name="prepared")
    return writer.cast(found, prepare.dtype, program.dtype, name="x")


def _outputs(writer: Writer, program: Program, y: str) -> dict[str, tuple[str, Any, list[Any]]]:
    """Each output's value, dtype and shape."""
    decision, answer = program.decision, program.answer
    width = answer.result.width
    numbers = (y, answer.dtype, ["N", *answer.result.axes[1:]])
    if decision.kind == "numbers":
        return {NUMBERS: numbers}
    if decision.kind == "labels":
        above = writer.emit(
            "Greater", y, writer.scalar(decision.threshold, answer.dtype), name="is_above"
        )
        label = writer.emit("Cast", above, name="labels", to=element_type("int64"))
        return {LABEL: (label, "int64", ["N", width]), PROBABILITIES: numbers}
    if decision.kind == "largest":
        place = writer.emit("ArgMax", y, name="largest", axis=1, keepdims=0)
    else:
        second = writer.emit(
            "Gather", y, writer.constant(np.int64(1), "int64.one"), name="second", axis=1
        )
        limit = writer.scalar(decision.threshold, answer.dtype)
        reached = writer.emit("GreaterOrEqual", second, limit, name="reached")
        place = writer.emit("Cast", reached, name="place", to=element_type("int64"))
    classes = class_array(decision.classes)
    label = writer.emit("Gather", writer.constant(classes, "classes"), place, name="class")
    return {LABEL: (label, classes.dtype, ["N"]), PROBABILITIES: numbers}


def class_array(classes: Sequence[Any]) -> Array:
    """Labels as the file holds them: int64, bool, float64, or texts."""
    found = np.asarray(classes)
    if found.dtype.kind in "iu":
        return found.astype(np.int64)
    return found.astype({"f": np.float64, "b": bool}.get(found.dtype.kind, object))


def description(program: Program) -> dict[str, str]:
    """What the file says about the model, beyond the graph: JSON by name."""
    decision = program.decision
    about: dict[str, Any] = {
        "backhand": __version__,
        "model": program.name,
        "columns": [
            {"name": c.name, "kind": c.kind, **({"values": c.values} if c.values else {})}
            for c in program.columns
        ],
        "inputs": list(program.feature_names),
        "target": decision.target,
        "decision": decision.kind,
        "classes": [getattr(label, "item", lambda v=label: v)() for label in decision.classes],
        "threshold": decision.threshold,
    }
    return {name: v if isinstance(v, str) else json.dumps(v) for name, v in about.items() if v}


def _meaning(column: Column) -> str:
    """What a user passes for a column."""
    return {
        "number": f"{column.name}: a number; NaN if missing",
        "date": f"{column.name}: days since 1970-01-01 in UTC; NaN if missing",
        "category": f"{column.name}: a text; empty if missing",
    }[column.kind]


def onnx_model(program: Program) -> Any:
    """The ONNX model of a program, ``onnx.ModelProto``.

    Inputs are the columns, (N, 1) each: numbers and dates as float64, texts as strings. Without
    columns there is one input ``X`` (N, D) in the dtype of the networks. Outputs are ``label`` (N,)
    and ``probabilities`` (N, C); for several labels ``label`` (N, K), 0 or 1; ``variable`` (N, K)
    for numbers.

    Raises
    ------
    InputError
        If it has something that ONNX files cannot have.
    """
    from onnx import helper, numpy_helper

    writer = Writer()
    names = input_names(program)
    writer.names.update([*names, NUMBERS, LABEL, PROBABILITIES])
    x = _x(writer, program, names)
    logits = [StageWriter(writer, stage, [x]).write() for stage in program.networks]
    answer = program.answer
    logits = [
        writer.cast(z, program.dtype, answer.dtype, name=f"{stage.name}.cast")
        for z, stage in zip(logits, program.networks, strict=True)
    ]
    outputs = _outputs(writer, program, StageWriter(writer, answer, logits).write())
    for name, (value, _, _) in outputs.items():
        writer.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}.output"))
    docs = [_meaning(column) for column in program.columns] or ["prepared numbers"]
    width = 1 if program.columns else program.inputs
    graph = helper.make_graph(
        writer.nodes,
        "backhand",
        [
            helper.make_tensor_value_info(
                n, element_type(input_type(program, k)), ["N", width], doc
            )
            for k, (n, doc) in enumerate(zip(names, docs, strict=True))
        ],
        [
            helper.make_tensor_value_info(name, element_type(dtype), shape)
            for name, (_, dtype, shape) in outputs.items()
        ],
        [numpy_helper.from_array(a, name) for name, a in writer.constants.items()],
        program.name,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="backhand",
        producer_version=__version__,
        doc_string=f"{program.name}, written by backhand",
    )
    helper.set_model_props(model, description(program))
    return model
