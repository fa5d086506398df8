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
"""The first that compares texts."""

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


def input_type(program: Program) -> str:
    """The dtype of inputs that are numbers: without columns that of the networks."""
    return "float64" if program.columns else program.dtype


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
        given = writer.columns(names[0], program.sources, program.inputs, name="cells")
        given = writer.cast(given, program.dtype, prepare.dtype, name="values")
    found = StageWriter(writer, prepare, [given]).write()
    found = writer.columns(found, program.order, prepare.result.width, name="prepared")
    return writer.cast(found, prepare.dtype, program.dtype, name="x")


Output = tuple[str, Any, list[Any]]
"""A value, its dtype and its shape."""


def _outputs(writer: Writer, program: Program, logits: Sequence[str], y: str) -> dict[str, Output]:
    """What the model gives, by name. ``logits`` are in the networks' dtype."""
    decision, answer = program.decision, program.answer
    numbers: Output = (y, answer.dtype, ["N", answer.result.width])

    def above(score: str, operator: str, limit: str) -> str:
        reached = writer.emit(operator, score, limit, name="is_above")
        return writer.emit("Cast", reached, name="above", to=element_type("int64"))

    match decision.kind:
        case "numbers":
            return {NUMBERS: numbers}
        case "labels":
            found = above(logits[0], "Greater", writer.scalar(0.0, program.dtype))
            return {LABEL: (found, "int64", ["N", answer.result.width]), PROBABILITIES: numbers}
        case "largest":
            place = writer.emit("ArgMax", y, name="largest", axis=1, keepdims=0)
        case "largest_logit":
            place = writer.emit("ArgMax", logits[0], name="largest", axis=1, keepdims=0)
        case "threshold":
            second = _column(writer, y, 1, "second")
            limit = writer.scalar(decision.threshold, answer.dtype)
            place = above(second, "GreaterOrEqual", limit)
        case _:
            place = above(
                _column(writer, logits[0], 0, "logit"), "Greater", writer.scalar(0.0, program.dtype)
            )
    classes = class_array(decision.classes)
    label = writer.emit("Gather", writer.constant(classes, "classes"), place, name="class")
    return {LABEL: (label, classes.dtype, ["N"]), PROBABILITIES: numbers}


def _column(writer: Writer, value: str, number: int, name: str) -> str:
    """A column (N,) of a value (N, K)."""
    place = writer.constant(np.int64(number), f"int64.column{number}")
    return writer.emit("Gather", value, place, name=name, axis=1)


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
    given = [
        writer.cast(z, program.dtype, answer.dtype, name=f"{stage.name}.cast")
        for z, stage in zip(logits, program.networks, strict=True)
    ]
    y = StageWriter(writer, answer, given).write()
    if not given:  # the same for every row
        rows = writer.emit("Shape", names[0], name="rows", start=0, end=1)
        shape = writer.emit("Concat", rows, writer.whole(answer.result.width), name="shape", axis=0)
        y = writer.emit("Expand", y, shape, name="each_row")
    outputs = _outputs(writer, program, logits, y)
    for name, (value, _, _) in outputs.items():
        writer.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}.output"))
    number = input_type(program)
    dtypes = [object if c.kind == "category" else number for c in program.columns] or [number]
    docs = [_meaning(column) for column in program.columns] or ["numbers, one row a line"]
    width = 1 if program.columns else program.inputs
    graph = helper.make_graph(
        writer.nodes,
        "backhand",
        [
            helper.make_tensor_value_info(name, element_type(dtype), ["N", width], doc)
            for name, dtype, doc in zip(names, dtypes, docs, strict=True)
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
