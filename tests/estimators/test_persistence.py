"""Estimators in files, and out of scikit-learn's."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.exceptions import NotFittedError

from backhand import InputError, MLPClassifier, MLPRegressor
from backhand.estimators import persistence
from backhand.sealed import read_sealed, write_sealed

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4)).astype(np.float32)
TARGETS = {
    "text": np.array(["no", "yes", "perhaps"])[RNG.integers(0, 3, 90)],
    "two": RNG.integers(5, 7, 90),
    "bool": RNG.random(90) < 0.5,
    "labels": (RNG.random((90, 3)) < 0.5).astype(int),
}
SETTINGS = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "random_state": 1}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_classifier_comes_back_whole(tmp_path, kind):
    weights = {5: 1.0, 6: 2.5} if kind == "two" else None
    model = MLPClassifier(**SETTINGS, class_weight=weights, activation=["tanh", "silu"])
    model.fit(X, TARGETS[kind])
    model.save(tmp_path / "m.safetensors")
    same = MLPClassifier.load(tmp_path / "m.safetensors")
    assert same.get_params() == model.get_params()
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    assert same.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(same.classes_, model.classes_)
    assert same.loss_curve_ == model.loss_curve_
    same.partial_fit(X, TARGETS[kind])  # it can go on
    model.set_params(callbacks=print).save(tmp_path / "m.safetensors")
    assert MLPClassifier.load(tmp_path / "m.safetensors").callbacks is None


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile:level=0.9"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_comes_back_whole(tmp_path, loss, outputs):
    y = np.abs(X[:, :outputs])
    model = MLPRegressor(loss, **SETTINGS, dtype="float64", early_stopping=True)
    model.fit(X, y[:, 0] if outputs == 1 else y)
    model.save(tmp_path / "m")
    same = MLPRegressor.load(tmp_path / "m")
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    assert same.coefs_[0].dtype == np.float64
    assert same.validation_scores_ == model.validation_scores_


def test_names_of_columns_come_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    MLPRegressor(**SETTINGS).fit(frame, X[:, 0]).save(tmp_path / "m")
    same = MLPRegressor.load(tmp_path / "m")
    with pytest.raises(ValueError, match="feature names"):
        same.predict(frame[list("dcba")])


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(NotFittedError):
        MLPRegressor().save(tmp_path / "m")
    model = MLPRegressor(**{**SETTINGS, "random_state": np.random.RandomState(0)})
    with pytest.raises(InputError, match="cannot save random_state="):
        model.fit(X, X[:, 0]).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_file_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "m"
    MLPRegressor(**SETTINGS).fit(X, X[:, 0]).save(path)
    with pytest.raises(InputError, match=r"it holds 'MLPRegressor'; backhand\.load reads every"):
        MLPClassifier.load(path)
    content = path.read_bytes()
    tensors, kept = read_sealed(path)
    for damaged in (content[:-7], content[:20], b"", content[:-4] + b"\0\0\0\1"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"m (is not a model|was edited)"):
            MLPRegressor.load(path)
    for change in ({"n_features_in_": 5}, {"n_layers_": 7}, {"__class__": "x"}):
        changed = {**kept, "fitted": {**kept["fitted"], **change}}
        write_sealed(path, tensors, changed)
        with pytest.raises(InputError, match="is not a usable estimator"):
            MLPRegressor.load(path)
    write_sealed(path, {**tensors, "w2": tensors["w2"] * np.nan}, kept)
    with pytest.raises(InputError, match="not all finite"):
        MLPRegressor.load(path)
    write_sealed(path, tensors, {**kept, "holds": "model"})
    with pytest.raises(InputError, match=r"it holds 'model'; backhand\.load reads every"):
        MLPRegressor.load(path)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_classifier_of_scikit_learn_predicts_the_same_here(kind):
    wide = X.astype(np.float64)
    theirs = neural_network.MLPClassifier(**SETTINGS).fit(wide, TARGETS[kind])
    ours = MLPClassifier.from_sklearn(theirs)
    # three layers of at most 6 sums each, and a few ulp for the last function
    p = theirs.predict_proba(wide)
    np.testing.assert_allclose(ours.predict_proba(wide), p, rtol=200 * np.finfo(float).eps)
    np.testing.assert_array_equal(ours.predict(wide), theirs.predict(wide))
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_curve_ == theirs.loss_curve_
    ours.partial_fit(wide, TARGETS[kind])


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_of_scikit_learn_predicts_the_same_here(outputs):
    wide = X.astype(np.float64)
    y = wide[:, 0] if outputs == 1 else wide[:, :2]
    theirs = neural_network.MLPRegressor(**SETTINGS).fit(wide, y)
    ours = MLPRegressor.from_sklearn(theirs)
    size = 200 * np.finfo(float).eps
    np.testing.assert_allclose(ours.predict(wide), theirs.predict(wide), rtol=size, atol=size)
    assert ours.predict(wide).shape == theirs.predict(wide).shape


def test_what_is_not_scikit_learns_is_refused():
    with pytest.raises(InputError, match=r"takes sklearn.neural_network.MLPClassifier, got dict"):
        MLPClassifier.from_sklearn({})
    with pytest.raises(NotFittedError):
        MLPRegressor.from_sklearn(neural_network.MLPRegressor())


@pytest.mark.parametrize("dtype", ["<U100000000", "S100000000", "(30000000,)f8", "M8[D]"])
def test_a_small_file_cannot_ask_for_much_memory_by_the_dtype_of_its_labels(tmp_path, dtype):
    MLPClassifier(**SETTINGS).fit(X, TARGETS["text"]).save(tmp_path / "m")
    tensors, kept = read_sealed(tmp_path / "m")
    kept["classes"][0] = dtype
    write_sealed(tmp_path / "m", tensors, kept)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"class labels of dtype .* must be numbers"):
        MLPClassifier.load(tmp_path / "m")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_nor_by_how_many_labels_a_row_has(tmp_path):
    MLPClassifier(**SETTINGS).fit(X, TARGETS["labels"]).save(tmp_path / "m")
    tensors, kept = read_sealed(tmp_path / "m")
    kept["classes"][1] = {"list": list(range(20_000))}
    write_sealed(tmp_path / "m", tensors, kept)
    tracemalloc.start()
    with pytest.raises(InputError, match="its targets need 20000 outputs, but it has 3"):
        MLPClassifier.load(tmp_path / "m")
    assert tracemalloc.get_traced_memory()[1] < 1 << 26  # the square of that is 3 GB
    tracemalloc.stop()


def test_labels_that_could_not_be_loaded_are_not_saved(tmp_path, monkeypatch):
    model = MLPClassifier(**SETTINGS).fit(X, TARGETS["text"])
    monkeypatch.setattr(persistence, "LARGEST_HEADER", 80)
    with pytest.raises(InputError, match="class labels of dtype"):
        model.save(tmp_path / "m")


@pytest.mark.parametrize("outputs", ["median", {"list": [3]}, 7])
def test_a_forged_combination_of_outputs_is_refused(tmp_path, outputs):
    MLPRegressor(**SETTINGS).fit(X, X[:, 0]).save(tmp_path / "m")
    tensors, kept = read_sealed(tmp_path / "m")
    kept["network"]["outputs"] = outputs
    write_sealed(tmp_path / "m", tensors, kept)
    with pytest.raises(InputError, match="outputs must be 'mean' or 'sum'"):
        MLPRegressor.load(tmp_path / "m")


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_estimator_that_was_saved_goes_on_with_the_bits_of_one_that_was_not(
    tmp_path, solver, early_stopping
):
    words = {**SETTINGS, "solver": solver, "early_stopping": early_stopping, "dropout": 0.2}
    more = {"X_val": X, "y_val": TARGETS["text"]} if early_stopping else {}
    one = MLPClassifier(**words)
    for _ in range(3):
        one.partial_fit(X, TARGETS["text"], classes=np.unique(TARGETS["text"]), **more)
    one.save(tmp_path / "m")
    other = MLPClassifier.load(tmp_path / "m")
    for _ in range(3):
        for model in (one, other):
            model.partial_fit(X, TARGETS["text"], **more)
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_


def test_a_forged_state_is_refused(tmp_path):
    MLPRegressor(**SETTINGS).fit(X, X[:, 0]).save(tmp_path / "m")
    tensors, about = read_sealed(tmp_path / "m")
    for change in ({"seed": -1}, {"optimiser": ["own", "1"]}, {"best": []}):
        write_sealed(tmp_path / "m", tensors, {**about, "state": {**about["state"], **change}})
        with pytest.raises(InputError, match="m is not a usable estimator"):
            MLPRegressor.load(tmp_path / "m")
    forged = {n: a[:1] if n.startswith("state.optimiser.m_w1") else a for n, a in tensors.items()}
    write_sealed(tmp_path / "m", forged, about)
    with pytest.raises(InputError, match="another network"):
        MLPRegressor.load(tmp_path / "m").partial_fit(X, X[:, 0])
