"""Whole models: inputs as a table has them, outputs as skl2onnx names them, and what is told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from tests.export.programs import COLUMNS, chain_program, table_program

from backhand.export.onnx.comparison import compare_samples, feeds
from backhand.export.onnx.writing import input_names, onnx_model
from backhand.export.program import MISSING, OTHER, Column, Decision

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def session_of(program):
    model = onnx_model(program)
    onnx.checker.check_model(model, full_check=True)
    compare_samples(program, model.SerializeToString())
    return onnxruntime.InferenceSession(model.SerializeToString())


def test_columns_of_a_table_are_inputs():
    program = table_program()
    session = session_of(program)
    inputs = {one.name: (one.type, one.shape) for one in session.get_inputs()}
    assert inputs == {
        "size in m²": ("tensor(double)", ["N", 1]),
        "sold": ("tensor(double)", ["N", 1]),
        "city": ("tensor(string)", ["N", 1]),
        "label_": ("tensor(string)", ["N", 1]),  # an output is called label
    }
    given = {
        "size in m²": np.array([[70.0], [np.nan], [33.0]]),
        "sold": np.array([[15000.0], [16000.0], [np.nan]]),
        "city": np.array([["Å"], [""], ["Rome"]], object),
        "label_": np.array([["no"], ["yes"], [""]], object),
    }
    rows = np.array(
        [[70, 15000, 2, 1], [np.nan, 16000, MISSING, 0], [33, np.nan, OTHER, MISSING]], float
    )
    y = program.answers(program.prepared(rows))
    label, probabilities = session.run(["label", "probabilities"], given)
    np.testing.assert_allclose(probabilities, y, rtol=1e-5)
    assert probabilities.dtype == np.float64
    assert label.tolist() == np.array(["low", "mid", "high"])[y.argmax(1)].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["numbers", "largest", "labels"])
def test_kinds_of_answers(kind, dtype):
    session = session_of(table_program(kind, dtype))
    outputs = {one.name: (one.type, one.shape) for one in session.get_outputs()}
    numbers = ("tensor(double)", ["N", 3])
    assert (
        outputs
        == {
            "numbers": {"variable": numbers},
            "largest": {"label": ("tensor(string)", ["N"]), "probabilities": numbers},
            "labels": {"label": ("tensor(int64)", ["N", 3]), "probabilities": numbers},
        }[kind]
    )


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (("no", "yes"), "tensor(string)"),
        ((3, 5), "tensor(int64)"),
        ((False, True), "tensor(bool)"),
        ((0.5, 1.5), "tensor(double)"),
    ],
)
def test_two_classes_by_a_threshold(classes, found):
    program = table_program("threshold", classes=classes)
    session = session_of(program)
    assert session.get_outputs()[0].type == found
    rows = np.array([[50.0, 100.0, 0, 0], [90.0, 20000.0, 1, 1], [70.0, np.nan, 1, 0]])
    y = program.answers(program.prepared(rows))
    want = [classes[int(second >= 0.4)] for second in y[:, 1]]
    assert session.run(["label"], feeds(program, rows))[0].tolist() == want


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prepared_numbers_are_one_input(dtype):
    session = session_of(chain_program(dtype=dtype, decision=Decision("largest", (1, 2, 3))))
    (x,) = session.get_inputs()
    number = {"float32": "float", "float64": "double"}[dtype]
    assert (x.name, x.type, x.shape) == ("X", f"tensor({number})", ["N", 4])


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_rows_of_any_number(rows):
    program = table_program()
    assert compare_samples(program, onnx_model(program).SerializeToString(), rows) <= 1


def test_the_model_says_what_it_is():
    program = table_program()
    model = onnx_model(program)
    about = {one.key: one.value for one in model.metadata_props}
    assert about["model"] == "a table of flats"
    assert json.loads(about["classes"]) == ["low", "mid", "high"]
    assert json.loads(about["columns"])[2] == {
        "name": "city",
        "kind": "category",
        "values": ["Oslo", "Bergen", "Å"],
    }
    assert model.producer_name == "backhand"
    assert "days since 1970-01-01" in model.graph.input[1].doc_string
    assert model.doc_string


def test_only_the_default_domain_is_used():
    model = onnx_model(table_program())
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 19)]
    assert {node.domain for node in model.graph.node} == {""}


def test_names_of_inputs_are_the_columns_unless_an_output_has_them():
    names = ["label", "label_", "", "a b", "variable", "network1.w1"]
    columns = tuple(Column(name, "number") for name in names)
    program = dataclasses.replace(table_program(), columns=columns)
    assert input_names(program) == [
        "label__", "label_", "column", "a b", "variable_", "network1.w1"
    ]  # fmt: skip


def test_columns_called_as_values_of_the_graph():
    """The graph's own names give way."""
    names = ("network1.w1", "answer.y", "cells", "x")
    columns = tuple(dataclasses.replace(c, name=n) for c, n in zip(COLUMNS, names, strict=True))
    session = session_of(dataclasses.replace(table_program(), columns=columns))
    assert tuple(one.name for one in session.get_inputs()) == names


def test_a_column_may_have_no_categories():
    columns = (*COLUMNS[:2], COLUMNS[2], Column("d", "category"))
    session_of(dataclasses.replace(table_program(), columns=columns))
