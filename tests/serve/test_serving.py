"""What is kept of a model, and when."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backhand import Network
from backhand.export import Model
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.plan.layers import LAYERS, Scale
from backhand.run.llvm.machine.object_cache import unpacked
from backhand.serve.serving import can_be_kept, serving


@pytest.fixture
def model():
    network = Network((3, 5, 2), loss="softmax_cross_entropy")
    return Model(network, network.init("kaiming_normal"), "classification", classes=["a", "b"])


def test_a_description_and_code(model):
    about, code = unpacked(serving(model))
    described = json.loads(about)
    assert described["classes"] == ["a", "b"]
    assert described["inputs"] == 3
    assert described["columns"] == []
    assert code


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_code_is_made_where_the_engine_is_llvm(model, engine, monkeypatch):
    monkeypatch.setenv("BACKHAND_ENGINE", engine)
    assert bool(unpacked(serving(model))[1]) is (engine == "llvm")


def test_classes_that_json_does_not_hold_have_no_code(model):
    days = np.array(["2020-01-01", "2021-01-01"], "M8[D]")
    dated = dataclasses.replace(model)
    object.__setattr__(dated, "classes_", days)
    about, code = unpacked(serving(dated))
    assert json.loads(about)["classes"] == ["2020-01-01", "2021-01-01"]
    assert code == b""


class Mine(Scale):
    """A layer of a user's own."""


def test_a_users_formula_or_layer_is_not_kept(monkeypatch):
    assert can_be_kept()
    forward = dataclasses.replace(ACTIVATIONS["relu"], forward=lambda xp, z: z)
    loss = dataclasses.replace(LOSSES["huber"], inverse_link=lambda xp, z: z)
    for table, mine in ((ACTIVATIONS, forward), (LOSSES, loss), (LAYERS, Mine)):
        with monkeypatch.context() as now:
            now.setitem(table, "mine", mine)
            assert not can_be_kept()
    assert can_be_kept()
