"""The description: what it refuses, and that it survives being written down."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backhand import Network
from backhand.errors import InputError
from backhand.formulas.losses import LOSSES
from backhand.plan.description import Description


def test_what_it_holds():
    net = Description([np.int64(7), 5, 3], activation=["elu:alpha=0.5"], dropout=np.float32(0.5))
    assert (net.inputs, net.outputs, net.shapes) == (7, 3, ((7, 5), (5, 3)))
    assert net.parameters == 7 * 5 + 5 + 5 * 3 + 3
    assert net.activations[0].keywords == {"alpha": 0.5}
    assert net.dropout == (0.5,)
    assert {type(w) for w in net.widths} == {int}
    assert Description((4, 2)).activations == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.dtype = "float64"


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_dtypes_by_any_name(dtype):
    assert Description((2, 1), dtype=dtype).dtype == "float64"


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        ((), r"widths needs inputs and outputs at least, got \(\)"),
        ((3,), r"inputs and outputs at least, got \(3,\)"),
        ((3, 0, 1), r"widths must be 1 to 1000000, got 0 in \(3, 0, 1\)"),
        ((3, -4, 1), r"got -4 in \(3, -4, 1\)"),
        ((3, 10**9, 1), "got 1000000000"),
        ((3, 2.0, 1), r"widths must be whole numbers, got 2.0 in \(3, 2.0, 1\)"),
        ((3, "4", 1), "whole numbers, got '4'"),
        ((3, True, 1), "whole numbers, got True"),
        ("3,4", r"widths must be a sequence such as \(784, 50, 10\), got '3,4'"),
        (5, "must be a sequence such as .* got 5"),
        (None, "got None"),
    ],
)
def test_refuses_widths(widths, said):
    with pytest.raises(InputError, match=said):
        Description(widths)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"activation": "rellu"}, "unknown activation 'rellu': did you mean 'relu'"),
        ({"activation": ["relu"]}, "activation must be .* each of the 2 hidden layers, got 1 val"),
        ({"activation": 3}, "activation must be a name or an entry, got 3"),
        ({"dropout": [0.1] * 3}, "dropout must be .* each of the 2 hidden layers, got 3 values"),
        ({"dropout": 1.0}, "dropout must be a number from 0 up to, not including, 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be .* got -0.1"),
        ({"dropout": float("nan")}, "dropout must be .* got nan"),
        ({"dropout": "0.5"}, "dropout must be .* got '0.5'"),
        ({"dropout": True}, "dropout must be .* got True"),
        ({"loss": "mse"}, "unknown loss 'mse'"),
        ({"loss": "poison"}, "did you mean 'poisson'"),
        ({"dtype": "float16"}, "unknown dtype 'float16': did you mean 'float"),
        ({"dtype": int}, "unknown dtype 'int'"),
    ],
)
def test_refuses_the_rest(words, said):
    with pytest.raises(InputError, match=said):
        Description((3, 4, 5, 2), **words)


NO_VALUES = (True, np.bool_(True), None, 1j, b"x", [True, 0.5], [None, None], np.array(3), {}, "1")


@pytest.mark.parametrize("value", NO_VALUES, ids=repr)
@pytest.mark.parametrize("field", ["widths", "activation", "loss", "dropout", "dtype"])
def test_every_field_refuses_what_is_no_value_of_it(field, value):
    with pytest.raises(InputError, match=field) as caught:
        Description(**{"widths": (3, 4, 5, 2), field: value})
    assert "\n" not in str(caught.value)


def test_one_output_is_no_choice():
    with pytest.raises(InputError, match=r"needs 2 or more, got 1; .* 'binary_cross_entropy'"):
        Description((3, 1), loss="softmax_cross_entropy")


@pytest.mark.parametrize("loss", LOSSES)
def test_survives_json(loss):
    net = Network((3, 4, 5, 2), activation=["elu:alpha=0.1", "tanh"], loss=loss, dropout=[0.5, 0])
    again = Network.from_dict(json.loads(json.dumps(net.to_dict())))
    assert again == net
    assert isinstance(again, Network)
    summed = dataclasses.replace(LOSSES[loss], outputs="sum")
    other = Network((3, 2), loss=summed)
    assert Network.from_dict(other.to_dict()) == other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": None}, "widths must be a sequence"),
        ({"loss_outputs": "median"}, "outputs must be 'mean' or 'sum', got 'median'"),
        ({"activation": ["sinus"]}, "unknown activation 'sinus'"),
        ({"loss": 7}, "loss must be a name or an entry, got 7"),
    ],
)
def test_refuses_what_was_edited(change, said):
    with pytest.raises(InputError, match=said):
        Description.from_dict({**Description((3, 4, 2)).to_dict(), **change})


@pytest.mark.parametrize("data", [{}, {"widths": [1, 1]}, [], None, 5])
def test_refuses_what_is_no_description(data):
    with pytest.raises(InputError, match="not the description of a network"):
        Description.from_dict(data)


@pytest.mark.parametrize("shape", [(5,), (5, 4), (5, 3, 1), (3, 5)])
def test_inputs_of_another_shape_are_refused_with_both_shapes(shape):
    with pytest.raises(InputError) as caught:
        Description((3, 7, 2)).check_x(np.zeros(shape))
    assert str(shape) in str(caught.value)
    assert "(3, 7)" in str(caught.value)
    assert "must be (N, 3)" in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [("huber", (5, 1)), ("huber", (4, 2)), ("huber", (5,)), ("softmax_cross_entropy", (5, 2))],
)
def test_targets_of_another_shape_are_refused_with_both_shapes(loss, shape):
    wanted = "(5, 1)" if loss.startswith("softmax") else "(5, 2)"
    with pytest.raises(InputError) as caught:
        Description((3, 2), loss=loss).check_t(np.zeros(shape), 5)
    assert all(s in str(caught.value) for s in (str(shape), wanted, "(5, 2)", loss))


VALUES = [
    ("mean_squared_error", np.nan, "nan", "finite"),
    ("huber", -np.inf, "-inf", "finite"),
    ("binary_cross_entropy", 1.01, "1.01", "between 0 and 1"),
    ("binary_cross_entropy", np.nan, "nan", "between 0 and 1"),
    ("poisson", -1.0, "-1.0", "finite and at least 0"),
    ("poisson", np.inf, "inf", "finite and at least 0"),
    ("softmax_cross_entropy", 2, "2", "0 to 1"),
    ("softmax_cross_entropy", -1, "-1", "0 to 1"),
]


def bad_targets(loss, value):
    by_row = LOSSES[loss].by_row
    t = np.zeros((5, 1 if by_row else 2), int if by_row else float)
    t[3, -1] = value
    return t


@pytest.mark.parametrize(("loss", "value", "printed", "wanted"), VALUES)
def test_targets_that_make_no_sense_are_named(loss, value, printed, wanted):
    with pytest.raises(InputError) as caught:
        Description((3, 2), loss=loss).check_values(bad_targets(loss, value))
    message = str(caught.value)
    assert message.startswith("target in row 3 is [")
    assert printed in message
    assert f"'{loss}' needs targets {wanted}" in message


@pytest.mark.torch
@pytest.mark.parametrize(("loss", "value", "printed", "wanted"), VALUES)
def test_tensors_are_checked_too(loss, value, printed, wanted):
    import torch

    with pytest.raises(InputError, match="target in row 3 is"):
        Description((3, 2), loss=loss).check_values(torch.tensor(bad_targets(loss, value)))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_classes_may_be_any_integers(dtype):
    Description((3, 2), loss="softmax_cross_entropy").check_values(np.ones((5, 1), dtype))


@pytest.mark.parametrize("t", [np.ones((5, 1)), np.ones((5, 1), bool), np.full((5, 1), "a")])
def test_classes_are_integers(t):
    with pytest.raises(InputError, match="takes class indices, got dtype"):
        Description((3, 2), loss="softmax_cross_entropy").check_values(t)


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (np.ones((4, 1)), r"sample_weight has shape \(4, 1\), 5 rows need \(5,\)"),
        (np.ones((5, 2)), r"sample_weight has shape \(5, 2\)"),
        (np.array([[1.0], [1.0], [-1.0], [0.0], [0.0]]), "sample_weight of row 2 is -1.0"),
        (np.array([[1.0], [np.nan], [1.0], [0.0], [0.0]]), "row 1 is nan"),
        (np.array([[1.0], [np.inf], [1.0], [0.0], [0.0]]), "row 1 is inf"),
        (np.zeros((5, 1)), "sample_weight sums to 0: no row would count"),
    ],
)
def test_refuses_weights(weight, said):
    with pytest.raises(InputError, match=said):
        Description((3, 2)).check_weight(weight, 5)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(3, 4)], "1 layers given, the network has 2"),
        ([(3, 4), (2, 4)], r"layer 2: w \(2, 4\) and b \(4,\) given, the network needs w \(4, 2\)"),
    ],
)
def test_refuses_parameters_of_other_shapes(shapes, said):
    params = [(np.zeros(s), np.zeros(s[1])) for s in shapes]
    with pytest.raises(InputError, match=said):
        Description((3, 4, 2)).check_parameters(params)


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_quantiles_need_an_output_each(outputs):
    with pytest.raises(InputError, match=f"each of its 3 levels, got {outputs}"):
        Description((4, 5, outputs), loss="quantiles:0.1,0.5,0.9")
