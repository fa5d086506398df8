"""Trained models as files: onnxruntime gives what `predict` does, from the cells of a table on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.export.test_programs import EVERY, ensemble, strange, table

from backhand import InputError, MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from backhand.export import Model
from backhand.export.onnx import write_onnx
from backhand.export.onnx.comparison import compare
from backhand.export.programs import program_of
from backhand.network import Network
from backhand.plan.layers import Activate, Linear, MemberLinear, MemberScale
from backhand.preprocess.preparation import Standardise, TablePreparation
from backhand.tabular.model import TableModel

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:column '.*:UserWarning"),  # about strange cells
]


X = np.random.default_rng(3).normal(size=(80, 5)).astype(np.float32)
TARGETS = {
    "two": (X[:, 0] > 0.2).astype(int),
    "texts": np.where(X[:, 0] > 0.2, "up", "down"),
    "bool": X[:, 0] > 0.2,
    "three": np.digitize(X[:, 1], [-0.5, 0.5]),
    "one": np.full(80, 7),
    "several": (X[:, :3] > 0).astype(int),
}


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    return frame, TablePreparation.fit(frame), strange(rng, frame)


def written(model, folder):
    """A session of the file of a model."""
    path = folder / "model.onnx"
    model.to_onnx(path)
    return onnxruntime.InferenceSession(path)


def inputs(session, frame):
    """The columns of a frame as a model takes them; true and false are texts."""
    given = {}
    for one in session.get_inputs():
        column = frame[one.name]
        if one.type == "tensor(string)":
            texts = column.map(lambda v: str(v).lower() if isinstance(v, bool) else str(v))
            values = texts.where(column.notna(), "").to_numpy(object)
        elif column.dtype.kind == "M":
            values = ((column - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(float)
        else:
            values = column.to_numpy(float)
        given[one.name] = values[:, None]
    return given


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("count", [2, 3])
def test_classes_of_tables(prepared, count, temperature, tmp_path):
    """Missing cells, categories that no training row has, dates from 1900 to 2096."""
    labels = np.array(["no", "yes", "perhaps"])[:count]
    model = ensemble(prepared, count, classes=labels, temperature=temperature, threshold=0.3)
    session = written(model, tmp_path)
    for frame in (prepared[0], prepared[2]):
        label, p = session.run(["label", "probabilities"], inputs(session, frame))
        want = model.predict_proba(frame)
        np.testing.assert_allclose(p, want, rtol=0, atol=1e-4)
        sure = np.abs(want[:, 1] - 0.3) > 1e-4 if count == 2 else np.ptp(want, axis=1) > 1e-3
        assert (label == model.labels(want))[sure].mean() > 0.99


@pytest.mark.parametrize("limits", [{}, {"lowest": 1.0, "highest": 4.0}])
def test_numbers_of_tables(prepared, limits, tmp_path):
    model = ensemble(prepared, 1, **limits)
    session = written(model, tmp_path)
    (y,) = session.run(["variable"], inputs(session, prepared[2]))
    want = model.predict(prepared[2])
    np.testing.assert_allclose(y[:, 0], want, rtol=1e-4, atol=1e-4)


def test_cells_are_within_the_derived_bound(prepared):
    from backhand.export.onnx.writing import onnx_model

    program = program_of(ensemble(prepared, 3, classes=np.array(["a", "b", "c"])))
    for frame in (prepared[0], prepared[2]):
        values = prepared[1].values(frame, warn=False)
        assert compare(program, onnx_model(program).SerializeToString(), values) < 1


def test_prepared_numbers_have_the_bits_of_the_preparation(prepared):
    """But for parts of dates as waves, whose sine is another one."""
    import onnx

    from backhand.export.onnx.comparison import feeds
    from backhand.export.onnx.writing import onnx_model

    program = program_of(ensemble(prepared, 1))
    model = onnx_model(program)
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)
    model.graph.output.append(x)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    values = prepared[1].values(prepared[2], warn=False)
    (got,) = session.run(["x"], feeds(program, values))
    want = program.prepared(values)
    differ = (got != want).any(axis=0)
    names = {name for name, found in zip(program.feature_names, differ, strict=True) if found}
    assert all("sine of" in name for name in names), names
    # those of float64 before they are rounded to float32, which may fall either way
    np.testing.assert_allclose(got, want, rtol=2**-23, atol=1e-12)


def test_one_class_has_no_networks(prepared, tmp_path):
    session = written(TableModel(prepared[1], (), (), np.array(["all"])), tmp_path)
    for rows in (0, 5):
        label, p = session.run(None, inputs(session, prepared[0][:rows]))
        assert label.tolist() == ["all"] * rows
        np.testing.assert_array_equal(p, np.ones((rows, 1)))


@pytest.mark.parametrize("kind", ["number", "some", "flag", "day"])
def test_a_column_alone(kind, tmp_path):
    rng = np.random.default_rng(2)
    frame = table(rng, 60, {"only": EVERY[kind]})
    preparation = TablePreparation.fit(frame)
    network = Network((preparation.width, 3, 1), loss="mean_squared_error")
    model = Model(network, network.init("lecun_normal"), "regression", preparation)
    session = written(model, tmp_path)
    for rows in (frame, frame[:1], frame[:0]):
        (y,) = session.run(None, inputs(session, rows))
        want = model.predict(rows) if len(rows) else np.empty(0)
        np.testing.assert_allclose(y[:, 0], want, rtol=1e-5, atol=1e-6)


def test_estimators_of_tables(tmp_path):
    rng = np.random.default_rng(5)
    frame = table(rng, 150, {"a": EVERY["number"], "b": EVERY["some"], "c": EVERY["day"]})
    y = np.where(frame["a"].fillna(0) > 3, "up", "down")
    settings = {"preset": "fast", "random_state": 0, "n_members": 2}
    model = TabularClassifier(**settings).fit(frame, y)
    values = TabularRegressor(**settings).fit(frame, frame["a"].fillna(0))
    session = written(model, tmp_path)
    label, p = session.run(None, inputs(session, frame))
    np.testing.assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-4)
    assert (label == model.predict(frame)).mean() > 0.98
    session = written(values, tmp_path)
    (got,) = session.run(None, inputs(session, frame))
    np.testing.assert_allclose(got[:, 0], values.predict(frame), rtol=1e-3)


@pytest.mark.parametrize("loss", ["log_loss", "focal"])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifiers(kind, loss, dtype, tmp_path):
    given = X.astype(dtype)
    model = MLPClassifier((6,), dtype=dtype, max_iter=5, random_state=0, loss=loss)
    model.fit(given, TARGETS[kind])
    label, p = written(model, tmp_path).run(["label", "probabilities"], {"X": given})
    np.testing.assert_array_equal(label, model.predict(given))
    np.testing.assert_allclose(p, model.predict_proba(given), rtol=1e-4, atol=1e-6)
    assert p.dtype == dtype


@pytest.mark.parametrize(
    ("loss", "more", "target"),
    [
        ("squared_error", {}, X[:, 0]),
        ("squared_error", {"out_activation": "softplus"}, X[:, :2]),
        ("quantiles:0.1,0.5,0.9", {}, X[:, 0]),
        ("poisson", {}, np.abs(X[:, 0])),
    ],
)
def test_regressors(loss, more, target, tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(6,), loss=loss, max_iter=3, random_state=0, **more)
    (y,) = written(model.fit(X, target), tmp_path).run(["variable"], {"X": X})
    want = model.predict(X)
    assert y.shape == (len(X), want.size // len(X))
    np.testing.assert_allclose(y, want.reshape(y.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_and_members_within(dtype, tmp_path):
    layers = [MemberScale(3, "normal"), Linear(6), Activate("relu"), MemberLinear(3, 1)]
    network = Network(layers, inputs=4, loss="poisson", dtype=dtype)
    pixels = Standardise(0.5, 2.0, 1.0, 4)
    params = network.init("lecun_normal", 5)
    model = Model(network, params, "regression", pixels, target_mean=3.0, target_std=0.7)
    rows = np.random.default_rng(2).random((30, 4)).astype(dtype)
    (y,) = written(model, tmp_path).run(None, {"X": rows})
    np.testing.assert_allclose(y[:, 0], model.predict(rows), rtol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_models_of_classes(prepared, outputs, tmp_path):
    frame, preparation, _ = prepared
    loss = "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    network = Network((preparation.width, 5, outputs), loss=loss)
    labels = ["a", "b", "c"][: max(outputs, 2)]
    params = network.init("kaiming_normal", 3)
    model = Model(network, params, "classification", preparation, labels)
    session = written(model, tmp_path)
    label, p = session.run(None, inputs(session, frame))
    np.testing.assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-4)
    assert (label == model.predict(frame)).mean() > 0.98


def test_a_network_with_its_parameters(tmp_path):
    network = Network((3, 4, 2), loss="softmax_cross_entropy")
    params = network.init("lecun_normal", 0)
    write_onnx((network, params), tmp_path / "n.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    x = np.ones((2, 3), np.float32)
    (y,) = session.run(["variable"], {"X": x})
    np.testing.assert_allclose(y, network.predict(params, x), rtol=1e-6)


def test_rows_of_the_user_are_tried(prepared, tmp_path, monkeypatch):
    from backhand.export.onnx import comparison

    tried, real = [], comparison.compare
    monkeypatch.setattr(comparison, "compare", lambda *a: tried.append(a[2]) or real(*a))
    model = ensemble(prepared, 1)
    model.to_onnx(tmp_path / "m.onnx", prepared[0])
    values = prepared[1].values(prepared[0], warn=False)
    np.testing.assert_array_equal(tried[-1], values)
    with pytest.raises(InputError, match="column"):
        model.to_onnx(tmp_path / "m.onnx", prepared[0][["number"]])


def test_what_is_no_model(tmp_path):
    with pytest.raises(InputError, match="a list cannot be exported"):
        write_onnx([], tmp_path / "n.onnx")
