"""Names, parameters and the text that people write for them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.errors import InputError
from backhand.formulas.activations import ACTIVATIONS, choose_activation
from backhand.formulas.entry import choose as find
from backhand.formulas.initialisers import INITIALISERS
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.formulas.optimisers import OPTIMISERS, choose_optimiser
from backhand.formulas.schedules import SCHEDULES, choose_schedule

TABLES = (ACTIVATIONS, LOSSES, OPTIMISERS, SCHEDULES, INITIALISERS)
ENTRIES = [entry for table in TABLES for entry in table.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_spec_leads_back_to_the_entry(entry):
    table = next(t for t in TABLES if entry.name in t and t[entry.name] is entry)
    assert find(table, entry.spec, entry.kind) == entry
    assert find(table, entry, entry.kind) is entry


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_parameter_value_survives_its_text(value):
    changed = ACTIVATIONS["elu"].with_(alpha=value)
    assert choose_activation(changed.spec).keywords == {"alpha": value}


def test_with_changes_a_copy():
    adam = choose_optimiser("adam: beta1 = 0.5, epsilon=1e-6")
    assert adam.keywords == {"beta1": 0.5, "beta2": 0.999, "epsilon": 1e-6}
    assert OPTIMISERS["adam"].keywords["beta1"] == 0.9
    with pytest.raises(dataclasses.FrozenInstanceError):
        adam.name = "other"


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.float64(2), np.int64(2)])
def test_parameters_may_be_numpy_numbers(number):
    value = LOSSES["huber"].with_(delta=number).keywords["delta"]
    assert value == 2.0
    assert type(value) is float


@pytest.mark.parametrize(
    ("choose", "value", "said"),
    [
        (
            choose_activation,
            "rleu",
            r"unknown activation 'rleu': did you mean 'relu'\? valid: elu,",
        ),
        (choose_activation, "RELU ", "did you mean 'relu'"),
        (choose_activation, "qqqqq", "unknown activation 'qqqqq': valid: elu, gelu"),
        (choose_activation, None, "activation must be a name or an entry, got None"),
        (choose_activation, ["relu"], r"must be a name or an entry, got \['relu'\]"),
        (choose_activation, LOSSES["huber"], "activation expected, got the loss 'huber'"),
        (choose_activation, "relu:slope=1", "activation 'relu' takes no parameters, got 'slope'"),
        (choose_activation, "leaky_relu:slop=1", "did you mean 'slope'"),
        (choose_activation, "elu:alpha", "'elu': parameters are written name=number, got 'alpha'"),
        (choose_activation, "elu:alpha=much", "name=number, got 'alpha=much'"),
        (choose_activation, "elu:alpha=nan", "alpha must be a finite number, got nan"),
        (choose_loss, "huber:delta=inf", "loss 'huber': delta must be a finite number, got inf"),
        (choose_optimiser, "", "unknown optimiser ''"),
    ],
)
def test_what_is_wrong_is_named(choose, value, said):
    with pytest.raises(InputError, match=said):
        choose(value)


@pytest.mark.parametrize("value", ["1", None, [1.0], True])
def test_parameter_values_are_numbers(value):
    with pytest.raises(InputError, match="alpha must be a finite number"):
        ACTIVATIONS["elu"].with_(alpha=value)


@pytest.mark.parametrize(
    ("choose_it", "text", "wanted"),
    [
        (choose_loss, "huber:delta=0", "delta must be above 0, got 0.0"),
        (choose_loss, "huber:delta=-1", "delta must be above 0, got -1.0"),
        (choose_optimiser, "adam:beta1=1", "beta1 must be at least 0 and below 1, got 1.0"),
        (choose_optimiser, "adamw:weight_decay=-1", "weight_decay must be at least 0, got -1.0"),
        (choose_optimiser, "momentum:momentum=1.5", "at least 0 and at most 1, got 1.5"),
        (choose_schedule, "cosine:warmup=2", "warmup must be at least 0 and at most 1, got 2.0"),
    ],
)
def test_values_outside_a_parameters_limits_are_refused(choose_it, text, wanted):
    with pytest.raises(InputError, match=re.escape(wanted)):
        choose_it(text)


def test_a_parameter_beyond_a_float_is_refused():
    with pytest.raises(InputError, match="must be a finite number"):
        ACTIVATIONS["elu"].with_(alpha=10**400)
