from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from scipy.sparse import csr_matrix

from backhand import MLPRegressor, sealed
from backhand.errors import InputError
from backhand.export import Model
from backhand.formulas.activations import ACTIVATIONS
from backhand.network import Network
from backhand.preprocess.preparation import Standardise, TablePreparation

NETWORK = Network((4, 5, 3), activation="elu:alpha=0.5", loss="softmax_cross_entropy", dropout=0.2)


def example(**changes):
    values = {
        "params": NETWORK.init("kaiming_normal", 1),
        "task": "classification",
        "preparation": Standardise(0.5, 2.0, 1.0, 4),
        "classes": ["a", "b", "c"],
        "provenance": {"seed": 1},
    }
    return Model(NETWORK, **{**values, **changes})


@pytest.fixture
def file(tmp_path):
    example().save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_round_trip_is_exact(file):
    got, want = Model.load(file), example()
    assert got.to_dict() == want.to_dict()
    assert got.network == want.network
    assert got.params.keys() == want.params.keys()
    for name, a in got.params.items():
        assert np.array_equal(a, want.params[name])
    x = np.random.default_rng(0).random((6, 4))
    assert got.predict(x).tolist() == want.predict(x).tolist()
    assert np.array_equal(got.predict_proba(x), want.predict_proba(x))


def test_saving_twice_gives_the_same_bytes(file, tmp_path):
    Model.load(file).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_one_output_has_two_classes(tmp_path):
    network = Network((2, 1), loss="binary_cross_entropy")
    one = Model(network, network.init("lecun_normal", 0), "classification", classes=[0, 1])
    one.save(tmp_path / "m")
    p = Model.load(tmp_path / "m").predict_proba(np.ones((3, 2)))
    assert p.shape == (3, 2)
    assert p.sum(axis=1) == pytest.approx(1)


def test_regression_is_in_the_targets_unit(tmp_path):
    network = Network((2, 1), dtype="float64")
    params = network.init("lecun_normal", 0)
    made = Model(network, params, "regression", target_mean=100.0, target_std=7.0)
    x = np.ones((3, 2))
    assert made.predict(x) == pytest.approx(100 + 7 * network.forward(params, x)[:, 0])
    with pytest.raises(InputError, match="no class probabilities"):
        made.predict_proba(x)


def test_a_crash_while_writing_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def crash(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(InputError, match="No space left"):
        example(provenance={}).save(file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("part", np.linspace(0, 0.999, 40))
def test_a_truncated_file_is_refused(file, part):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=r"m\.safetensors"):
        Model.load(file)


@given(st.data())
def test_any_flipped_byte_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    example().save(folder / "flip")
    content = bytearray((folder / "flip").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / "flip").write_bytes(content)
    try:
        got = Model.load(folder / "flip")
    except InputError:
        return
    # what is left: white space of the header, which carries nothing
    assert got.to_dict() == example().to_dict()


def resealed(path, change=None, tensors=None, without=(), **metadata):
    """A file with a right checksum and a wrong content."""
    made = example()
    description = {"holds": "model", **made.to_dict()}
    if change:
        change(description)
    arrays = {**made.params, **(tensors or {})}
    for name in without:
        del arrays[name]
    text = json.dumps(description)
    seal = {"format": sealed.FORMAT, "about": text, "sha256": sealed.checksum(arrays, text)}
    path.write_bytes(save(arrays, metadata={sealed.KEY: json.dumps({**seal, **metadata})}))
    return path


def setting(*keys, value):
    def change(description):
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setting("classes", value=["a"]), "3 classes"),
        (setting("task", value="magic"), "magic"),
        (setting("network", "layers", 0, "units", value=6), r"w1 has shape \(4, 5\)"),
        (setting("network", "layers", 1, "activation", value="own"), "unknown activation 'own'"),
        (setting("network", "layers", 1, "layer", value="own"), "unknown layer 'own'"),
        (setting("network", "layers", 1, "colour", value="red"), "colour"),
        (setting("network", "layers", value="relu"), "unknown layer None"),
        (setting("network", "loss", value=7), "loss"),
        (setting("preparation", value={"kind": "shell"}), "shell"),
        (setting("target_std", value="x"), "incomplete"),
        (setting("target_std", value=0), "std"),
        (setting("target_mean", value=float("nan")), "mean"),
        (setting("target_mean", value=10**400), "incomplete"),
        (setting("classes", value=["a", "b", "a"]), "twice"),
        (setting("classes", value=[["a"], "b", "c"]), "texts, numbers"),
        (setting("classes", value="abc"), "3 classes"),
        (setting("preparation", "width", value=5), "5 inputs"),
        (setting("preparation", "std", value=0), "std"),
        (setting("network", "dtype", value="float64"), "float64"),
        (setting("network", "layers", 0, "units", value=10**6), r"w1 has shape \(4, 5\)"),
        (setting("network", "inputs", value=10**12), "must be 1 to"),
        (setting("task", value="regression"), "one output"),
        (setting("provenance", value=[]), "provenance"),
        (setting("provenance", value=None), "provenance"),
        (lambda d: [d.pop(key) for key in [*d] if key != "holds"], "incomplete"),
        (setting("network", value=[]), "description"),
        (lambda d: d.pop("classes"), "classes"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        Model.load(resealed(tmp_path / "m", change))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"w3": np.ones((3, 3), np.float32)}, "no parameter 'w3'"),
        ({"b1": np.ones(4, np.float32)}, r"b1 has shape \(4,\), the network needs \(5,\)"),
        ({"w1": np.ones((4, 5), np.float64)}, "w1 is float64"),
        ({"w1": np.ones((4, 5), np.int8)}, "w1 is int8"),
        ({"b2": np.full(3, np.inf, np.float32)}, "b2 has values that are not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, tensors, said):
    with pytest.raises(InputError, match=said):
        Model.load(resealed(tmp_path / "m", tensors=tensors))


def test_an_array_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"parameter b1 \(5,\) is missing"):
        Model.load(resealed(tmp_path / "m", without=["b1"]))


@pytest.mark.parametrize(
    "entry",
    ["[1]", "7", '"a"', "{", "", "[" * 100_000, '{"format": "' + sealed.FORMAT + '"}', "null"],
    ids=lambda text: text[:12],
)
def test_an_entry_that_is_no_seal_is_refused(tmp_path, entry):
    (tmp_path / "m").write_bytes(save({"w1": np.ones(3)}, metadata={sealed.KEY: entry}))
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "m"))):
        Model.load(tmp_path / "m")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '"\\ud800"', "[]", "7", "nul", "NaN"], ids=lambda text: text[:12]
)
def test_a_sealed_text_that_is_no_description_is_refused(tmp_path, text):
    arrays = {"w1": np.ones(3)}
    seal = {"format": sealed.FORMAT, "about": text, "sha256": sealed.checksum(arrays, text)}
    (tmp_path / "m").write_bytes(save(arrays, metadata={sealed.KEY: json.dumps(seal)}))
    with pytest.raises(InputError, match=r"is not a (usable )?model"):
        Model.load(tmp_path / "m")
    seal["about"] = "\ud800"  # which has no bytes to take a checksum of
    (tmp_path / "m").write_bytes(save(arrays, metadata={sealed.KEY: json.dumps(seal)}))
    with pytest.raises(InputError, match="is not a model"):
        Model.load(tmp_path / "m")


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(tmp_path_factory, content, framed):
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(len(content).to_bytes(8, "little") + content if framed else content)
    with pytest.raises(InputError, match=r"random is not a model|not one of backhand"):
        Model.load(path)


def test_a_foreign_file_is_not_read_to_its_end(tmp_path, monkeypatch):
    with open(tmp_path / "m", "wb") as file:
        file.write(save({"w1": np.ones(3)}))
        file.truncate(2**40)  # a hole, not bytes
    with pytest.raises(InputError, match="not one of backhand"):
        Model.load(tmp_path / "m")
    with open(tmp_path / "m", "wb") as file:
        file.write((2**39).to_bytes(8, "little"))
        file.truncate(2**40)
    with pytest.raises(InputError, match="is not a model"):
        Model.load(tmp_path / "m")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero here")
def test_what_is_no_regular_file_is_refused():
    with pytest.raises(InputError, match="not a regular file"):
        Model.load("/dev/zero")


def test_parameters_that_are_not_finite_are_refused(tmp_path):
    bad = np.full((4, 5), np.nan, np.float32)
    with pytest.raises(InputError, match="w1 has values that are not finite"):
        Model.load(resealed(tmp_path / "m", tensors={"w1": bad}))


def test_other_versions_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="backhand 99"):
        Model.load(resealed(tmp_path / "m", format="backhand 99"))
    (tmp_path / "f").write_bytes(save({"w1": np.ones(3)}))
    with pytest.raises(InputError, match="not one of backhand"):
        Model.load(tmp_path / "f")


def test_formulas_of_ones_own_have_to_be_registered_first(tmp_path, monkeypatch):
    own = dataclasses.replace(ACTIVATIONS["tanh"], name="own")
    with monkeypatch.context() as registered:
        registered.setitem(ACTIVATIONS, "own", own)
        network = Network((2, 3, 1), activation="own")
        made = Model(network, network.init("lecun_normal", 0), "regression")
        made.save(tmp_path / "m")
        assert Model.load(tmp_path / "m").network == network
    with pytest.raises(InputError, match=r"activation 'own'.*backhand\.register_activation"):
        Model.load(tmp_path / "m")
    path = resealed(tmp_path / "l", setting("network", "loss", value="own:delta=1.0"))
    with pytest.raises(InputError, match=r"loss 'own'.*backhand\.register_loss"):
        Model.load(path)


class Boom:
    def __reduce__(self):
        return (os.system, ("touch /tmp/backhand-was-here",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        (2**62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        pickle.dumps(Boom()),
        len(pickle.dumps(Boom())).to_bytes(8, "little") + pickle.dumps(Boom()),
    ],
)
def test_garbage_is_refused_and_runs_nothing(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(InputError, match="is not a model"):
        Model.load(tmp_path / "m")
    assert not os.path.exists("/tmp/backhand-was-here")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Model.load(tmp_path / "none")
    with pytest.raises(InputError, match="is a folder, not a file"):
        Model.load(tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        example().save(tmp_path / "no" / "m")


@pytest.mark.parametrize(
    "raw", [{"a": [1.0]}, None, 3.0, [[1, 2], [3]], "x", [["x"] * 4], object()]
)
@pytest.mark.parametrize("preparation", [None, Standardise(0.5, 2.0, 1.0, 4)])
def test_what_is_no_array_of_rows_is_refused(raw, preparation):
    with pytest.raises(InputError, match=r"rows|pixels"):
        example(preparation=preparation).predict(raw)


def test_a_model_of_a_table_takes_rows_as_people_have_them():
    preparation = TablePreparation.fit({"n": [1.0, 2.0, None], "k": ["u", "v", "u"]})
    network = Network((preparation.width, 2), loss="softmax_cross_entropy")
    model = Model(
        network,
        network.init("kaiming_normal", 1),
        "classification",
        preparation=preparation,
        classes=["a", "b"],
    )
    want = model.predict_proba({"n": [1.0, None], "k": ["v", "u"]})
    for raw in (
        [{"n": 1.0, "k": "v"}, {"k": "u"}],
        pd.DataFrame({"n": [1.0, None], "k": ["v", "u"]}),
    ):
        np.testing.assert_array_equal(model.predict_proba(raw), want)
    np.testing.assert_array_equal(model.predict_proba({"n": 1.0, "k": "v"}), want[:1])


def test_a_model_saves_and_loads_itself(tmp_path):
    example().save(tmp_path / "m")
    x = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(Model.load(tmp_path / "m").predict(x), example().predict(x))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_reads_another_kind_of_file_is_named(tmp_path, file):
    estimator = MLPRegressor(max_iter=1).fit(np.eye(20), np.arange(20.0))
    estimator.save(tmp_path / "e")
    with pytest.raises(InputError, match=r"it holds 'MLPRegressor'; backhand\.load reads"):
        Model.load(tmp_path / "e")
    with pytest.raises(InputError, match=r"it holds 'model'; backhand\.load reads every kind"):
        MLPRegressor.load(file)


def test_a_label_that_is_no_text_of_unicode_is_refused(tmp_path):
    example(classes=["a", "b", "\ud800"]).save(tmp_path / "m")
    with pytest.raises(InputError, match=r"class: .* is not valid Unicode"):
        Model.load(tmp_path / "m")


@pytest.mark.parametrize("path", [3, None, ["m"], "m\0", b"no such file"])
def test_what_is_no_path_or_no_file_is_refused(path):
    with pytest.raises(InputError):
        Model.load(path)


@pytest.mark.parametrize(
    "raw",
    [csr_matrix(np.eye(4)), np.ma.array(np.eye(4), mask=np.eye(4)), np.eye(4).astype("M8[D]")],
    ids=["sparse", "masked", "dates"],
)
@pytest.mark.parametrize("preparation", [None, Standardise(0.5, 2.0, 1.0, 4)])
def test_rows_that_are_no_plain_numbers_are_refused(raw, preparation):
    with pytest.raises(InputError, match="the array of rows"):
        example(preparation=preparation).predict(raw)


@pytest.mark.parametrize("params", [3, None, [], {}, {"w1": np.ones((4, 5))}])
def test_what_are_not_the_networks_parameters_is_not_saved(tmp_path, params):
    with pytest.raises(InputError, match="parameter"):
        example(params=params).save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_a_model_without_preparation_names_a_value_that_is_not_finite():
    network = Network((3, 4, 2), loss="softmax_cross_entropy")
    model = Model(network, network.init("kaiming_normal"), "classification", classes=["a", "b"])
    x = np.ones((4, 3))
    assert len(model.predict(x)) == 4
    x[2, 1] = np.nan
    with pytest.raises(InputError, match=r"prediction x\[2, 1\] is nan"):
        model.predict(x)
