"""The description: what it refuses, and that it survives being written down."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest

from backhand import Network
from backhand.errors import InputError
from backhand.formulas.losses import LOSSES
from backhand.plan.description import Description
from backhand.plan.layers import (
    Activate,
    BatchEnsemble,
    Columns,
    Concat,
    Dropout,
    Embedding,
    GatedLinear,
    Linear,
    MemberLinear,
    MemberScale,
    Periodic,
    PiecewiseLinear,
    Residual,
    Scale,
)


def test_what_it_holds():
    net = Description([np.int64(7), 5, 3], activation=["elu:alpha=0.5"], dropout=np.float32(0.5))
    assert (net.inputs, net.outputs, net.members) == (7, 3, None)
    assert net.shapes == {"w1": (7, 5), "b1": (5,), "w2": (5, 3), "b2": (3,)}
    assert net.n_parameters == 7 * 5 + 5 + 5 * 3 + 3
    assert net.layers == (Linear(5), Activate("elu:alpha=0.5"), Dropout(0.5), Linear(3))
    assert net.activations[0].keywords == {"alpha": 0.5}
    assert net.dropout == (0.5,)
    assert {type(w) for w in net.widths} == {int}
    assert Description((4, 2)).activations == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.dtype = "float64"


def test_widths_are_short_for_a_chain_and_layers_for_any_network():
    short = Description((7, 5, 3), activation="tanh", dropout=0.2)
    long = Description([Linear(5), Activate("tanh"), Dropout(0.2), Linear(3)], inputs=7)
    assert short == long
    assert long.is_chain
    assert (long.widths, long.dropout) == ((7, 5, 3), (0.2,))
    for layers in (
        [Linear(5), Linear(3)],
        [Linear(5, bias=False), Activate("tanh"), Linear(3)],
        [Linear(5), Activate("tanh", strength=True), Linear(3)],
        [Linear(5), Activate("tanh")],
        [Scale(), Linear(3)],
    ):
        other = Description(layers, inputs=7)
        assert not other.is_chain
        with pytest.raises(InputError, match="only a plain chain of linear layers has widths"):
            _ = other.widths


def test_what_is_learned_and_what_is_constant():
    net = Description([PiecewiseLinear(((0.0, 1.0, 3.0), (0.0, 2.0)), 4), Linear(1)], inputs=2)
    assert [p.buffer.name for p in net.parameters if not p.learned] == ["edges0", "spans0"]
    assert net.n_parameters == 2 * (2 * 4 + 2 * 4) + 8 + 1
    ensemble = Description([MemberScale(3), Linear(4), MemberLinear(3, 2)], inputs=5)
    assert (ensemble.outputs, ensemble.members) == (2, 3)
    assert ensemble.shapes["w2"] == (3, 4, 2)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_survives_copying_after_use(copied):
    net = Network([Periodic(), Activate("elu:alpha=0.5"), Linear(2)], inputs=3)
    assert net.shapes
    again = copied(net)
    assert again == net
    assert hash(again) == hash(net)
    assert again.shapes == net.shapes


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
@pytest.mark.parametrize("field", ["layers", "activation", "loss", "dropout", "dtype"])
def test_every_field_refuses_what_is_no_value_of_it(field, value):
    if value is None and field in ("activation", "dropout"):
        return  # which stands for relu, and for none
    with pytest.raises(InputError, match="widths" if field == "layers" else field) as caught:
        Description(**{"layers": (3, 4, 5, 2), field: value})
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
        ({"layers": None}, "not the description of a network"),
        ({"layers": []}, "the layers have no parameter"),
        ({"layers": [{"layer": "dense"}]}, "unknown layer 'dense'; if it is your own, call back"),
        ({"layers": [{"units": 3}]}, "unknown layer None"),
        ({"layers": [5]}, "unknown layer None"),
        ({"layers": [{"layer": "linear"}]}, "layer 'linear': .*missing.*units"),
        ({"layers": [{"layer": "linear", "units": 3, "u": 1}]}, "layer 'linear': .*unexpected"),
        ({"layers": [{"layer": "linear", "units": "3"}]}, "linear: units must be a whole number"),
        ({"layers": [{"layer": "residual", "layers": [3]}]}, "residual: layers must be layers"),
        ({"inputs": 0}, "inputs must be 1 to 1000000, got 0"),
        ({"inputs": None}, "inputs is needed with layers"),
        ({"loss_outputs": "median"}, "outputs must be 'mean' or 'sum', got 'median'"),
        (
            {"layers": [{"layer": "activation", "activation": "sinus"}]},
            "unknown activation 'sinus'",
        ),
        ({"loss": 7}, "loss must be a name or an entry, got 7"),
    ],
)
def test_refuses_what_was_edited(change, said):
    with pytest.raises(InputError, match=said):
        Description.from_dict({**Description((3, 4, 2)).to_dict(), **change})


@pytest.mark.parametrize("data", [{}, {"layers": []}, [], None, 5])
def test_refuses_what_is_no_description(data):
    with pytest.raises(InputError, match="not the description of a network"):
        Description.from_dict(data)


@pytest.mark.parametrize("shape", [(5,), (5, 4), (5, 3, 1), (3, 5)])
def test_inputs_of_another_shape_are_refused_with_both_shapes(shape):
    with pytest.raises(InputError) as caught:
        Description((3, 7, 2)).check_x(np.zeros(shape))
    assert str(caught.value) == f"x has shape {shape}: the network takes (N, 3)"


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


GOOD = {"w1": np.zeros((3, 4)), "b1": np.zeros(4), "w2": np.zeros((4, 2)), "b2": np.zeros(2)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b2": None}, r"parameter b2 \(2,\) is missing"),
        ({"w3": np.zeros(1)}, "the network has no parameter 'w3': it has w1, b1, w2, b2"),
        ({3: np.zeros(1)}, "the network has no parameter 3: it has w1"),
        ({"w2": np.zeros((2, 4))}, r"w2 has shape \(2, 4\), the network needs \(4, 2\)"),
        ({"w2": np.full((4, 2), 1e39)}, "w2 .*1e.39.*float32"),
        ({"b1": np.array(["a"] * 4)}, "b1 has dtype <U1: real numbers are needed"),
        ({"b1": [[1.0], [2.0, 3.0]]}, "b1 is no array of numbers"),
    ],
)
def test_refuses_other_parameters_in_one_line_with_the_name(change, said):
    params = {name: a for name, a in {**GOOD, **change}.items() if a is not None}
    with pytest.raises(InputError, match=said) as caught:
        Description((3, 4, 2)).checked_parameters(params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("params", [None, 5, [*GOOD.values()], [(np.zeros((3, 4)), np.zeros(4))]])
def test_refuses_what_is_no_mapping_of_parameters(params):
    with pytest.raises(InputError, match="parameters must be a mapping from name to array"):
        Description((3, 4, 2)).check_parameters(params)


def test_parameters_of_the_right_dtype_are_not_copied():
    params = {name: a.astype("float32") for name, a in GOOD.items()}
    checked = Description((3, 4, 2)).checked_parameters(params)
    assert list(checked) == list(GOOD)
    assert all(checked[name] is params[name] for name in params)
    assert Description((3, 4, 2)).checked_parameters(GOOD)["w1"].dtype == "float32"


CATEGORIES = Description(
    [Concat([Columns(0, 1, [Embedding(3, 2)]), Columns(1, 2)]), Linear(1)], inputs=3
)


@pytest.mark.parametrize("value", [-1.0, 3.0, 0.5, np.nan, np.inf, 1e30])
def test_a_category_without_a_row_is_named_with_its_place(value):
    x = np.zeros((4, 3))
    CATEGORIES.check_categories(x)
    x[2, 1:] = value  # a number may be anything
    CATEGORIES.check_categories(x)
    x[2, 0] = value
    said = rf"x\[2, 0\] is {value:g}: column 0 holds categories, whole numbers from 0 to 2".replace(
        "+", r"\+"
    )
    with pytest.raises(InputError, match=said):
        CATEGORIES.check_categories(x)


def test_columns_of_two_embeddings_hold_what_both_take():
    two = Columns(1, 1, [Concat([Embedding(5, 2), Embedding(3, 2)])])
    assert Description([two, Linear(1)], inputs=2).categories == {1: 3}


def test_sparse_inputs_are_for_networks_that_begin_with_products():
    from scipy.sparse import csr_array

    x = csr_array(np.eye(3))
    for layers in ([Linear(2)], [Concat([Linear(2), Linear(3)]), Linear(1)]):
        assert Description(layers, inputs=3).takes_sparse
        Description(layers, inputs=3).check_x(x)
    for layers in (
        [Scale(), Linear(2)],
        [Dropout(0.1), Linear(2)],
        [Columns(0, 2, [Linear(2)])],
        [Residual([Linear(3)]), Linear(2)],
    ):
        with pytest.raises(InputError, match=r"x is sparse, .* pass x.toarray\(\)"):
            Description(layers, inputs=3).check_x(x)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            [Linear(4), Residual([Linear(5)]), Linear(1)],
            r"equal widths: z1 \(N, 4\) .* z2 \(N, 5\)",
        ),
        ([MemberLinear(3, 1)], r"takes \(N, 3, D\), not x \(N, 3\): put a MemberScale or Batch"),
        ([MemberScale(2), MemberLinear(3, 1)], r"takes \(N, 3, D\), not scaled0 \(N, 2, 3\)"),
        ([MemberScale(2), MemberScale(3)], r"scaled0 \(N, 2, 3\) and r0_2 \(3, 3\) do not go"),
        ([BatchEnsemble(2, 4), BatchEnsemble(3, 4)], r"z1 \(N, 2, 4\) and r2 \(3, 4\) do not go"),
        ([Columns(2, 2, [Linear(1)])], r"2 columns of x \(N, 3\), from 2 to 4"),
        ([Linear(4), Columns(0, 5)], r"5 columns of z1 \(N, 4\), from 0 to 5"),
        ([Linear(1), Embedding(3, 2)], r"one column of the inputs, not z1 \(N, 1\)"),
        ([Embedding(3, 2)], r"one column of the inputs, not x \(N, 3\)"),
        ([Concat([MemberScale(2), Linear(3)])], r"scaled0 \(N, 2, 3\) has members, and no columns"),
        ([MemberScale(2), Columns(0, 2)], r"columns of scaled0 \(N, 2, 3\): only \(N, K\) has"),
        ([MemberScale(2), Periodic()], r"scaled0 \(N, 2, 3\): only \(N, K\) has such views"),
        ([MemberScale(2), GatedLinear(4)], r"z1 \(N, 2, 8\): only \(N, K\) has such views"),
        ([PiecewiseLinear(((0.0, 1.0),) * 2), Linear(1)], r"edges of 2 columns .* x \(N, 3\)"),
        ([MemberScale(2, groups=(1, 1)), Linear(1)], r"groups of 2 columns .* x \(N, 3\)"),
        ([Scale(-1.0), Linear(1)], r"s0: factors must be finite numbers of at least 0, got \(-1"),
        ([Activate("tanh")], "the layers have no parameter: there is nothing to learn"),
    ],
)
def test_layers_that_do_not_go_together_are_told_in_one_line(layers, said):
    with pytest.raises(InputError, match=said) as caught:
        Description(layers, inputs=3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layers", [[Linear(3), 4], ["linear"], [Linear], "linear", []])
def test_layers_are_layers(layers):
    with pytest.raises(InputError, match="layer"):
        Description(layers, inputs=3)
    with pytest.raises(InputError, match="inputs is needed with layers"):
        Description([Linear(3)])
    with pytest.raises(InputError, match=r"layers must be layers such as Linear\(10\), got 3"):
        Description((3, 2), inputs=3)


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_quantiles_need_an_output_each(outputs):
    with pytest.raises(InputError, match=f"each of its 3 levels, got {outputs}"):
        Description((4, 5, outputs), loss="quantiles:0.1,0.5,0.9")


def test_activation_and_dropout_of_widths_do_not_go_with_layers():
    for words in ({"activation": "tanh"}, {"dropout": 0.5}):
        with pytest.raises(InputError, match="activation and dropout go with widths"):
            Description([Linear(2)], inputs=3, **words)


@pytest.mark.parametrize("value", [-1.0, 4.0, 1.5, np.nan, np.inf, -np.inf, 1e30])
def test_categories_are_whole_numbers_below_their_count(value):
    network = Description([Columns(0, 1, [Embedding(4, 2)]), Linear(1)], inputs=1)
    x = np.array([[0.0], [3.0], [2.0]])
    network.check_categories(x)
    x[1] = value
    with pytest.raises(InputError, match=r"x\[1, 0\] is .*: column 0 holds categories"):
        network.check_categories(x)


def test_a_network_says_how_it_could_be_made_again():
    from backhand import Network, layers

    chain = Network((4, 5, 6, 2), activation=["relu", "tanh"], loss="huber:delta=2", dropout=0.5)
    assert repr(chain) == (
        "Network((4, 5, 6, 2), activation=['relu', 'tanh'], dropout=(0.5, 0.5), "
        "loss='huber:delta=2.0', dtype='float32')  # 75 parameters"
    )
    assert eval(repr(chain), {"Network": Network}) == chain
    parts = Network([layers.Linear(5), layers.LayerNorm(), layers.Linear(1)], inputs=3)
    assert repr(parts) == (
        "Network([\n    Linear(5),\n    LayerNorm(),\n    Linear(1),\n], inputs=3, "
        "loss='mean_squared_error', dtype='float32')  # 36 parameters"
    )
    assert eval(repr(parts), {"Network": Network, **vars(layers)}) == parts
