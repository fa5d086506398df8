"""Programs against the models that they were made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backhand import InputError
from backhand.export import Model
from backhand.export.program import Program
from backhand.export.programs import preparing, program_of, values_of
from backhand.network import Network
from backhand.plan.layers import Activate, Linear, MemberLinear, MemberScale
from backhand.preprocess.preparation import Standardise, TablePreparation
from backhand.tabular.member import Member
from backhand.tabular.model import TableModel
from backhand.tabular.network import network_of
from backhand.tabular.recipes import PIECES, WAVES
from backhand.tabular.targets import TargetScale

EVERY = {
    "number": "normal",
    "tail": "cauchy",
    "two": "two",
    "few": "few numbers",
    "pair": "categories 2",
    "some": "categories 5",
    "many": "categories 30",
    "flag": "boolean",
    "day": "days",
    "time": "seconds",
}


def column(rng, kind, n):
    """A column of a kind, with a share of it missing, as an object array or floats."""
    if kind.startswith("categories"):
        count = int(kind.split()[1])
        found = np.array([f"v{k}" for k in range(count)], object)[rng.integers(0, count, n)]
    elif kind == "boolean":
        found = (rng.random(n) < 0.4).astype(object)
    elif kind in ("days", "seconds"):
        unit = {"days": "D", "seconds": "s"}[kind]
        span = {"days": 900, "seconds": 900 * 86_400}[kind]
        found = np.datetime64("2019-05-05", "s") + rng.integers(0, span, n).astype(f"m8[{unit}]")
    else:
        draw = {
            "normal": rng.normal(3, 50, n),
            "cauchy": rng.standard_cauchy(n),
            "two": rng.choice([2.0, 7.0], n),
            "few numbers": rng.choice([0.0] * 9 + [1.0, 4.0], n),
        }
        found = draw[kind]
    gaps = rng.random(n) < rng.choice([0.0, 0.001, 0.2])
    return pd.Series(found).where(~gaps, None)


def table(rng, n, kinds=EVERY):
    return pd.DataFrame({name: column(rng, kind, n) for name, kind in kinds.items()})


def strange(rng, frame):
    """The same columns with values that no training row has."""
    frame = frame.sample(len(frame), random_state=int(rng.integers(1000))).reset_index(drop=True)
    for name in frame.columns:
        some = rng.random(len(frame)) < 0.15
        if frame[name].dtype.kind == "f":
            wild = rng.choice([np.nan, 1e300, -1.7e308, 0.0], len(frame))
            frame[name] = frame[name].where(~some, wild)
        elif frame[name].dtype.kind == "M":
            wild = pd.to_datetime(rng.choice(["1900-02-28", "2096-02-29"], len(frame)))
            frame[name] = frame[name].where(~some, pd.Series(wild))
        else:
            frame[name] = frame[name].where(~some, "never")
    return frame


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    return frame, TablePreparation.fit(frame), strange(rng, frame)


def entries(preparation):
    """A program that only prepares."""
    network = Network((preparation.width, 1))
    return dataclasses.replace(
        program_of((network, network.init("lecun_normal"))), **preparing(preparation)
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_prepared_columns_have_the_bits_of_the_preparation(seed):
    rng = np.random.default_rng(seed)
    kinds = {f"c{k}": rng.choice(list(EVERY.values())) for k in range(rng.integers(1, 9))}
    frame = table(rng, int(rng.choice([20, 60, 300])), kinds)
    try:
        preparation = TablePreparation.fit(frame, warn=False, embed=bool(rng.integers(2)))
    except InputError:
        return  # no usable column
    program = entries(preparation)
    assert program.feature_names == tuple(preparation.feature_names)
    assert [one.name for one in program.columns] == preparation.columns
    for rows in (frame, strange(rng, frame)):
        x = preparation.apply(rows, warn=False)
        got = program.prepared(preparation.values(rows, warn=False))
        np.testing.assert_array_equal(got.view(np.int32), x.view(np.int32))


def test_one_row_is_as_many(prepared):
    _, preparation, rows = prepared
    program, values = entries(preparation), preparation.values(rows, warn=False)
    whole = program.prepared(values)
    for n in range(40):
        np.testing.assert_array_equal(program.prepared(values[n : n + 1]), whole[n : n + 1])


def test_a_formula_of_the_same_columns_is_one_map(prepared):
    _, preparation, _ = prepared
    program = entries(preparation)
    nodes = program.prepare.nodes
    assert len({(node.formula, node.inputs[0]) for node in nodes}) == len(nodes)
    parts = [node for node in nodes if len(node.inputs) == 1]
    assert sorted(node.formula.__name__ for node in parts) == [
        *("day", "day_of_month", "day_of_year", "hour", "weekday")
    ]
    assert len(program.sources) < preparation.width


def test_pixels():
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (9, 12)).astype(np.uint8)
    preparation = Standardise.fit(rows, 1 / 256)
    got = entries(preparation).prepared(rows)
    np.testing.assert_array_equal(got, preparation.apply(rows))


# networks of tables -----------------------------------------------------------------------------


def ensemble(prepared, outputs, **more):
    """Networks as they are drawn, as if they were trained."""
    frame, preparation, _ = prepared
    x = preparation.apply(frame, warn=False)
    members = []
    for seed, recipe in enumerate((WAVES, PIECES, PIECES)):
        recipe = dataclasses.replace(recipe, hidden=(8,))
        loss = "softmax_cross_entropy" if outputs > 1 else "mean_squared_error"
        network = network_of(recipe, preparation, x, outputs, loss)
        params = network.init("he_normal" if outputs == 0 else "kaiming_normal", seed)
        scale = TargetScale(2.0, 3.0, seed == 1, 1.1) if outputs == 1 else None
        members.append(Member(network, params, scale))
    return TableModel(preparation, tuple(members), (0.5, 0.25, 0.25), **more)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("count", [2, 3])
def test_classes_of_tables(prepared, count, temperature):
    labels = np.array(["no", "yes", "perhaps"])[:count]
    model = ensemble(prepared, count, classes=labels, temperature=temperature, threshold=0.3)
    check_table(model, prepared)


def test_numbers_of_tables(prepared):
    check_table(ensemble(prepared, 1), prepared)
    check_table(ensemble(prepared, 1, lowest=1.0, highest=4.0), prepared)


def check_table(model, prepared):
    _, preparation, rows = prepared
    program = program_of(model)
    x = program.prepared(preparation.values(rows, warn=False))
    logits = [m.network.forward(m.params, x, engine="numpy") for m in model.members]
    for got, want in zip(program.logits(x), logits, strict=True):
        np.testing.assert_array_equal(got, want)
    model.__dict__["_predictors"] = [lambda _, z=z: z for z in logits]  # not the compiled ones
    want = model.predict_prepared(x)
    got = program.answers(x)
    np.testing.assert_array_equal(got, want.reshape(got.shape))
    decided = program.decided(x)
    if model.classes is None:
        np.testing.assert_array_equal(decided[:, 0], want)
    else:
        chosen = np.array(program.decision.classes)[decided]
        np.testing.assert_array_equal(chosen, model.labels(want))


def test_one_class_has_no_networks(prepared):
    _, preparation, rows = prepared
    model = TableModel(preparation, (), (), np.array(["all"]))
    program = program_of(model)
    x = program.prepared(preparation.values(rows, warn=False))
    np.testing.assert_array_equal(program.answers(x), model.predict_prepared(x))
    np.testing.assert_array_equal(program.decided(x), 0)


# other models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_models_of_classes(prepared, outputs):
    _, preparation, rows = prepared
    loss = "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    network = Network((preparation.width, 5, outputs), loss=loss)
    params = network.init("kaiming_normal", 3)
    labels = ["a", "b", "c"][: max(outputs, 2)]
    model = Model(network, params, "classification", preparation, labels)
    program = program_of(model)
    x = program.prepared(preparation.values(rows, warn=False))
    p = network.expected(network.forward(params, x, engine="numpy"))
    want = np.concatenate([1 - p, p], axis=1) if outputs == 1 else p
    np.testing.assert_array_equal(program.answers(x), want)
    np.testing.assert_array_equal(program.decided(x), want.argmax(axis=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_of_numbers_with_members_within(prepared, dtype):
    layers = [MemberScale(3, "normal"), Linear(6), Activate("relu"), MemberLinear(3, 1)]
    network = Network(layers, inputs=4, loss="poisson", dtype=dtype)
    params = network.init("lecun_normal", 5)
    pixels = Standardise(0.5, 2.0, 1.0, 4)
    model = Model(network, params, "regression", pixels, target_mean=3.0, target_std=0.7)
    rows = np.random.default_rng(2).random((30, 4))
    program = program_of(model)
    x = program.prepared(rows)
    assert x.dtype == dtype
    z = network.forward(params, x, engine="numpy")
    want = network.expected(z.astype(np.float64)) * 0.7 + 3.0
    np.testing.assert_array_equal(program.answers(x), want)


def test_a_network_by_itself_and_a_program(prepared):
    network = Network((3, 4, 2), loss="softmax_cross_entropy")
    params = network.init("lecun_normal", 0)
    program = program_of((network, params))
    x = np.ones((2, 3), np.float32)
    want = network.expected(network.forward(params, x, engine="numpy"))
    np.testing.assert_array_equal(program.answers(x), want)
    assert program_of(program) is program
    assert isinstance(program, Program)


def test_what_cannot_be_exported():
    with pytest.raises(InputError, match="a list cannot be exported: a trained model"):
        program_of([])


def test_rows_to_try_a_model_with():
    network = Network((3, 2))
    model = Model(network, network.init("lecun_normal", 0), "regression")
    np.testing.assert_array_equal(values_of(model, np.ones((2, 3), "f4")), np.ones((2, 3)))
    for none in (np.empty((0, 3)), []):
        with pytest.raises(InputError, match="there are no rows to try the model with"):
            values_of(model, none)
    with pytest.raises(InputError, match="rows have 1 numbers each; the model takes 3"):
        values_of(model, 7.0)
    preparation = TablePreparation.fit({"a": [1.0, 2.0, 4.0]})
    model = dataclasses.replace(model, preparation=preparation)
    with pytest.raises(InputError, match="there are no rows to try the model with"):
        values_of(model, {"a": []})
