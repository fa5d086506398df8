"""A model that is off by more than rounding is refused; bounds are not far from what happens."""

from __future__ import annotations

import numpy as np
import pytest
from tests.export.programs import chain_program, table_program

from backhand.export.onnx.comparison import DiffersError, bounded, compare, compare_samples
from backhand.export.onnx.writing import onnx_model
from backhand.export.program import Decision
from backhand.export.samples import sample_rows

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def edited(model, name, edit):
    """The content of a model with a changed constant."""
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    changed = edit(onnx.numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(onnx.numpy_helper.from_array(changed, name))
    return model.SerializeToString()


def nudged(a):
    a.flat[0] += 1e-3
    return a


@pytest.mark.parametrize("name", ["network1.w1", "network2.b2", "prepare.table", "prepare.mean"])
def test_a_number_that_is_off_is_found(name):
    program = table_program()
    content = edited(onnx_model(program), name, nudged)
    with pytest.raises(DiffersError, match=r"by more than rounding at \[\d+, \d\]: got .*, want "):
        compare_samples(program, content)


def test_classes_in_another_order_are_found():
    program = table_program()
    content = edited(onnx_model(program), "classes", lambda a: a[[1, 0, 2]])
    with pytest.raises(DiffersError, match=r"at row \d+: got '\w+', where y is .*: nothing was wr"):
        compare_samples(program, content)


@pytest.mark.parametrize("kind", ["labels", "positive_logit", "threshold"])
def test_another_threshold_is_found(kind):
    if kind == "threshold":
        program = table_program(kind, classes=("no", "yes"))
    else:
        widths = (4, 6, 3 if kind == "labels" else 1)
        decision = Decision(kind, ("a", "b", "c")[: widths[-1] + 1])
        program = chain_program(widths, "binary_cross_entropy", decision=decision)
    model = onnx_model(program)
    (above,) = (node for node in model.graph.node if node.output[0] == "is_above")
    limit = "float64.0.4" if kind == "threshold" else "float32.0"
    above.input[1] = "limit"
    changed = onnx.numpy_helper.to_array(
        next(t for t in model.graph.initializer if t.name == limit)
    )
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(changed + changed.dtype.type(0.2), "limit")
    )
    with pytest.raises(DiffersError, match=r"at row \d+: got .*, where y is"):
        compare_samples(program, model.SerializeToString())


def test_what_onnxruntime_cannot_read_is_refused():
    with pytest.raises(DiffersError, match=r"^onnxruntime cannot run what was written: "):
        compare_samples(table_program(), b"nothing")


@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2.0**-24), ("float64", 2.0**-53)])
def test_bounds_are_small(dtype, unit):
    """A few hundred units of roundoff of the largest answer, for two layers on 8 numbers."""
    program = table_program("numbers", dtype)
    rows = sample_rows(program, 100)
    _, found = bounded(program, rows)
    y, bound = found.value, found.error
    inside = np.nanmax(np.abs(rows[:, :2]), axis=1, initial=0) < 1e5
    assert bound[inside].max() < 1000 * unit * np.abs(y[inside]).max()
    # and the program's own NumPy keeps them
    with np.errstate(all="ignore"):
        assert (np.abs(program.answers(program.prepared(rows)) - y) <= bound).all()


def test_the_ratio_is_told():
    program = chain_program()
    content = onnx_model(program).SerializeToString()
    assert 0 < compare(program, content, sample_rows(program, 10)) < 1
