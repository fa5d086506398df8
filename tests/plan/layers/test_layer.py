"""What a layer is: fields that are checked, files, chains of layers, and one from outside."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.plan.layers import (
    LAYERS,
    Activate,
    BatchEnsemble,
    Chain,
    Columns,
    Concat,
    Dropout,
    Embedding,
    GatedLinear,
    Layer,
    LayerNorm,
    Linear,
    MemberLinear,
    MemberScale,
    Periodic,
    PiecewiseLinear,
    PRelu,
    Residual,
    Scale,
    layer_from_dict,
)
from backhand.plan.wiring import Wiring

NO_SIZES = (0, -3, 2.0, "4", None, True, float("nan"), [3])


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Linear, "linear: units"),
        (GatedLinear, "gated_linear: units"),
        (lambda v: Embedding(v, 2), "embedding: values"),
        (lambda v: Embedding(2, v), "embedding: width"),
        (lambda v: Periodic("plr", v), "periodic: frequencies"),
        (lambda v: PiecewiseLinear(((0.0, 1.0),), v), "piecewise_linear: width"),
        (lambda v: Columns(0, v), "columns: width"),
        (MemberScale, "member_scale: members"),
        (lambda v: MemberLinear(2, v), "member_linear: units"),
        (lambda v: BatchEnsemble(v, 2), "batch_ensemble: members"),
    ],
)
def test_sizes_are_whole_numbers_of_at_least_1(make, said, value):
    with pytest.raises(InputError, match=rf"^{said} must be a whole number of at least 1, got "):
        make(value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Columns(-1, 2), "columns: first must be a whole number of at least 0, got -1"),
        (lambda: Linear(3, bias="no"), "linear: bias must be True or False, got 'no'"),
        (lambda: Linear(3, ntk=1), "linear: ntk must be True or False, got 1"),
        (lambda: Linear(3, learning_rate="1"), "linear: learning_rate must be a finite number"),
        (lambda: LayerNorm(-1e-5), "layer_norm: epsilon must be a finite number of at least 0"),
        (lambda: PRelu(float("nan")), "prelu: slope must be a finite number, got nan"),
        (lambda: Scale(True), "scale: learning_rate must be a finite number, got True"),
        (lambda: Dropout(1.0), "dropout must be a number from 0 up to, not including, 1, got 1.0"),
        (lambda: Activate("rellu"), "unknown activation 'rellu': did you mean 'relu'"),
        (lambda: Residual(Linear(3)), "residual: layers must be a sequence, got Linear"),
        (lambda: Residual("relu"), "residual: layers must be a sequence, got 'relu'"),
        (lambda: Chain([Linear(3), "relu"]), r"chain: layers must be layers such as Linear\(10\)"),
        (lambda: Concat([]), "concat: branches are needed, one at least"),
        (lambda: Concat([3]), "concat: branches must be layers"),
        (lambda: MemberScale(3, groups=(2, 0)), "member_scale: groups must be a whole number"),
        (lambda: MemberScale(3, "random"), "member_scale: start must be one of ones, signs, nor"),
        (lambda: BatchEnsemble(3, 2, 1), "batch_ensemble: start must be one of"),
        (lambda: Periodic("cos"), "periodic: form must be 'pbld' or 'plr', got 'cos'"),
        (lambda: Periodic(width=1), "periodic: width must be at least 2 for 'pbld', got 1"),
        (lambda: Embedding(1 << 25, 2), "embedding: values must be at most 16777216"),
    ],
)
def test_other_fields_are_checked_too(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_become_pythons():
    layer = Linear(np.int64(3), bias=np.bool_(False), learning_rate=np.float32(0.5))
    assert layer == Linear(3, bias=False, learning_rate=0.5)
    assert [type(v) for v in (layer.units, layer.bias, layer.learning_rate)] == [int, bool, float]
    assert Residual([Linear(3)]).layers == (Linear(3),)


NESTED = Residual([Concat([Columns(0, 2, [Activate("elu:alpha=0.5")]), Chain([Linear(3)])])])


@pytest.mark.parametrize(
    "layer",
    [NESTED, PiecewiseLinear(((0.0, 1.0),)), MemberScale(2, "normal", (1, 2)), Activate("relu")],
    ids=lambda layer: layer.kind,
)
def test_layers_survive_files_pickles_and_copies(layer):
    again = layer_from_dict(layer.to_dict())
    assert again == layer == pickle.loads(pickle.dumps(layer)) == copy.deepcopy(layer)
    assert hash(again) == hash(layer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.kind_of = 3


def test_every_kind_is_known_by_its_name():
    assert all(layer.kind == kind for kind, layer in LAYERS.items())
    assert all(layer.__doc__ for layer in LAYERS.values())


def test_a_layer_in_a_few_lines_is_one():
    """What the base class gives to somebody's own."""

    @dataclasses.dataclass(frozen=True)
    class Twice(Layer):
        kind = "twice"
        least = {"times": 2}  # noqa: RUF012

        times: int = 2

        def forward(self, wire, x):
            return x, None

        def backward(self, wire, saved, dy):
            return dy

    assert Twice().to_dict() == {"layer": "twice", "times": 2}
    with pytest.raises(
        InputError, match="twice: times must be a whole number of at least 2, got 1"
    ):
        Twice(1)
    with pytest.raises(InputError, match="unknown layer 'twice'; if it is your own, call backhand"):
        layer_from_dict(Twice().to_dict())
    assert Twice().forward(Wiring(), "x")[0] == "x"


def test_a_layer_says_what_differs_from_its_defaults():
    assert repr(Linear(5)) == "Linear(5)"
    assert repr(Linear(5, ntk=True)) == "Linear(5, ntk=True)"
    assert repr(Residual([Linear(5), Activate("elu:alpha=0.5")])) == (
        "Residual([Linear(5), Activate('elu:alpha=0.5')])"
    )
    edges = [[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.25]]
    assert repr(PiecewiseLinear(edges)).startswith(
        "PiecewiseLinear([[0, 1, 2, ... 5 in all], [0, 1.25]]"
    )
