"""A predictor says what its model says, and in a new process it loads next to nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import backhand
from backhand import InputError, MLPClassifier, MLPRegressor, Network, TabularClassifier
from backhand.export import Model
from backhand.plan.layers import Columns, Concat, Embedding, Linear
from backhand.preprocess.pixels import Standardise
from backhand.serve import predictor as predictor_module
from backhand.testing import assert_near

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(3).normal(size=(80, 5)).astype(np.float32)
TARGETS = {
    "two": (X[:, 0] > 0.2).astype(int),
    "texts": np.where(X[:, 0] > 0.2, "up", "down"),
    "objects": np.where(X[:, 0] > 0.2, "up", "down").astype(object),
    "truths": X[:, 0] > 0.2,
    "three": np.digitize(X[:, 1], [-0.5, 0.5]),
    "one": np.full(80, 7),
    "several": (X[:, :3] > 0).astype(int),
}
HEAVY = ("sklearn", "llvmlite", "pyarrow", "pandas", "scipy", "matplotlib")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects" / f"backhand-{os.geteuid()}"


def saved(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


def both(path):
    """A predictor that has just been compiled, and one from the cache."""
    return backhand.load_predictor(path), backhand.load_predictor(path)


def classifier(target="three", **more):
    return MLPClassifier((6,), max_iter=5, random_state=0, **more).fit(X, TARGETS[target])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
def test_classifiers(target, dtype, tmp_path):
    model = MLPClassifier((6,), dtype=dtype, max_iter=5, random_state=0)
    path = saved(model.fit(X, TARGETS[target]), tmp_path)
    few_ulp = 8 * np.finfo(dtype).eps
    for predictor in both(path):
        assert predictor.columns == []
        assert predictor.classes == model.classes_.tolist()
        want, p = model.predict(X), model.predict_proba(X.astype(dtype))
        got = predictor.predict(X)
        np.testing.assert_array_equal(got, want)
        assert got.dtype.kind == want.dtype.kind
        assert_near(predictor.predict_proba(X), p, few_ulp, few_ulp)
        assert_near(predictor.predict_prepared(X), p, few_ulp, few_ulp)
        one = predictor.predict(X[3])
        assert type(one) is (np.ndarray if target == "several" else type(want.tolist()[0]))
        np.testing.assert_array_equal(one, want[3])
        np.testing.assert_array_equal(predictor.predict_proba(X[3]), predictor.predict_proba(X)[3])
        np.testing.assert_array_equal(
            predictor.predict_prepared(X[3]), predictor.predict_prepared(X)[3]
        )


def test_a_row_as_json_has_it(tmp_path):
    predictor = backhand.load_predictor(saved(classifier(), tmp_path))
    row = X[3].astype(float).tolist()
    assert predictor.predict(row) == predictor.predict(X[3].astype(float))
    np.testing.assert_array_equal(predictor.predict_proba(row), predictor.predict_proba(X[3:4])[0])
    with pytest.raises(ValueError, match="X has 2 features"):
        predictor.predict(row[:2])


def test_a_tiny_logit_decides_as_the_model_does(tmp_path):
    model = MLPClassifier((), max_iter=1, random_state=0).fit(X, TARGETS["two"])
    model.coefs_[0][:] = 1e-20
    model.intercepts_[0][:] = 0
    predictor = backhand.load_predictor(saved(model, tmp_path))
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))
    assert len(set(predictor.predict(X))) == 2


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("squared_error", X[:, 0]),
        ("squared_error", X[:, :2]),
        ("quantiles:0.1,0.5,0.9", X[:, 0]),
        ("poisson", np.abs(X[:, 0])),
    ],
)
def test_regressors(loss, y, tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(6,), loss=loss, max_iter=3, random_state=0).fit(X, y)
    want = model.predict(X)
    for predictor in both(saved(model, tmp_path)):
        few_ulp = 8 * np.finfo("f4").eps
        got = predictor.predict(X)
        assert_near(got, want, few_ulp, few_ulp)
        assert got.shape == want.shape
        one = predictor.predict(X[0])
        np.testing.assert_array_equal(one, got[0])
        assert type(one) is (float if want.ndim == 1 else np.ndarray)
        assert predictor.classes is None
        with pytest.raises(InputError, match="predicts numbers"):
            predictor.predict_proba(X)


def test_pixels(tmp_path):
    rows = np.random.default_rng(1).integers(0, 256, (30, 12)).astype(np.uint8)
    network = Network((12, 5, 3), loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 3)
    preparation = Standardise.fit(rows, 1 / 256)
    model = Model(network, params, "classification", preparation, ["a", "b", "c"])
    for predictor in both(saved(model, tmp_path)):
        np.testing.assert_array_equal(predictor.predict(rows), model.predict(rows))
        few_ulp = 8 * np.finfo("f4").eps
        assert_near(predictor.predict_proba(rows), model.predict_proba(rows), few_ulp, few_ulp)
        assert predictor.predict(rows[4]) == model.predict(rows[4:5])[0]
        with pytest.raises(InputError, match="12"):
            predictor.predict(rows[:, 1:])


def test_columns_of_categories(tmp_path):
    layers = [Concat([Columns(0, 1, [Embedding(3, 2)]), Columns(1, 2)]), Linear(2)]
    network = Network(layers, inputs=3, loss="softmax_cross_entropy")
    params = network.init("lecun_normal", 1)
    model = Model(network, params, "classification", None, ["a", "b"])
    x = np.ones((3, 3), np.float32)
    x[:, 0] = [0, 1, 2]
    for predictor in both(saved(model, tmp_path)):
        np.testing.assert_array_equal(predictor.predict(x), model.predict(x))
        for bad in (3, -1, 0.5, np.nan):
            x[1, 0] = bad
            for predict in (predictor.predict_prepared, predictor.predict, model.predict):
                with pytest.raises(InputError, match=r"column 0|x\[1, 0\]"):
                    predict(x)
        x[1, 0] = 1


def test_what_is_wrong_with_rows_is_said_by_the_model(tmp_path):
    model = classifier()
    predictor = backhand.load_predictor(saved(model, tmp_path))
    for bad in (X[:, 1:], np.full((1, 5), np.nan), np.full((2, 5), 1e300), X[None]):
        with pytest.raises(ValueError, match=r".") as expected:
            model.predict(bad)
        with pytest.raises(type(expected.value)) as raised:
            predictor.predict(bad)
        assert str(raised.value) == str(expected.value)
    with pytest.raises(InputError, match=r"row 1 of x has a number that is not finite"):
        predictor.predict_prepared(np.array([[1] * 5, [np.inf] * 5]))
    with pytest.raises(InputError, match=r"row 0 of x has a number that is not finite"):
        predictor.predict_prepared(np.full(5, 1e300))
    for bad in ("abc", [1j] * 5, ["a"] * 5):
        with pytest.raises(InputError, match=r"^x "):
            predictor.predict_prepared(bad)
    np.testing.assert_array_equal(
        predictor.predict_prepared(X[0].tolist()), predictor.predict_prepared(X[0])
    )
    with pytest.raises(InputError, match=r"x has shape \(4,\): a row has shape \(5,\)"):
        predictor.predict_prepared(X[0, 1:])
    np.testing.assert_array_equal(predictor.predict(X.tolist()), model.predict(X))
    np.testing.assert_array_equal(predictor.predict(X[::-1, ::-1]), model.predict(X[::-1, ::-1]))
    np.testing.assert_array_equal(predictor.predict(X.astype(">f8")), model.predict(X))


@pytest.mark.parametrize("name", ["BACKHAND_CACHE", "BACKHAND_ENGINE"])
def test_without_a_cache_or_machine_code(name, tmp_path, monkeypatch, cache):
    path = saved(model := classifier(), tmp_path)
    monkeypatch.setenv(name, {"BACKHAND_CACHE": "off", "BACKHAND_ENGINE": "numpy"}[name])
    predictor = backhand.load_predictor(path)
    assert predictor.predict(X[0]) == model.predict(X[:1])[0]
    few_ulp = 64 * np.finfo("f4").eps  # sums in another order
    assert_near(predictor.predict_proba(X), model.predict_proba(X), few_ulp, few_ulp)
    assert_near(predictor.predict_prepared(X[0]), model.predict_proba(X[:1])[0], few_ulp, few_ulp)


def test_an_empty_name_of_an_engine_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_ENGINE", "")
    assert "model" not in vars(both(saved(classifier(), tmp_path))[1])  # which was in the cache


def test_where_the_c_library_knows_no_processor(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(predictor_module, "processor", lambda: "")
    path = saved(model := classifier(), tmp_path)
    first = backhand.load_predictor(path)
    before = set(cache.iterdir())
    for predictor in (first, backhand.load_predictor(path)):
        np.testing.assert_array_equal(predictor.predict(X), model.predict(X))
    assert set(cache.iterdir()) == before
    assert "model" not in vars(predictor)  # which was in the cache


def test_a_users_formula_is_never_kept(tmp_path, cache, monkeypatch):
    """Another process may know another one by that name."""
    from backhand.formulas.activations import ACTIVATIONS

    mine = ACTIVATIONS["relu"]
    mine = type(mine)(**{**vars(mine), "name": "mine", "forward": lambda xp, z: xp.maximum(z, 0.0)})
    monkeypatch.setitem(ACTIVATIONS, "mine", mine)
    path = saved(classifier(), tmp_path)
    backhand.load_predictor(path)
    before = set(cache.iterdir())
    monkeypatch.delitem(ACTIVATIONS, "mine")
    backhand.load_predictor(path)
    assert len(set(cache.iterdir()) - before) == 1  # all else was kept, and not the model


def test_files_that_load_refuses(tmp_path):
    path = saved(classifier(), tmp_path)
    good = path.read_bytes()
    backhand.load_predictor(path)  # whose entry must not serve the others
    for spoilt in (good[:-1], good[:100], b"", good.replace(b"relu", b"silu"), good[:-1] + b"?"):
        path.write_bytes(spoilt)
        with pytest.raises(InputError) as expected:
            backhand.load(path)
        with pytest.raises(InputError) as raised:
            backhand.load_predictor(path)
        assert str(raised.value) == str(expected.value)
    for wrong in (tmp_path, tmp_path / "none", None):
        with pytest.raises(InputError):
            backhand.load_predictor(wrong)


def test_a_file_that_changes_later(tmp_path):
    path = saved(classifier(), tmp_path)
    predictor = both(path)[1]
    classifier("two").save(path)
    assert predictor.predict(X).max() == 2
    with pytest.raises(InputError, match="was changed since"):
        predictor.predict(X.tolist())


def test_classes_that_are_dates(tmp_path):
    y = np.array(["2020-01-01", "2021-01-01"], "M8[D]")[TARGETS["two"]]
    model = TabularClassifier(preset="fast", n_members=1, random_state=0).fit(X, y)
    for predictor in both(saved(model, tmp_path)):
        assert predictor.classes == ["2020-01-01", "2021-01-01"]
        np.testing.assert_array_equal(predictor.predict(X), model.predict(X))
        np.testing.assert_array_equal(predictor.predict_proba(X), model.predict_proba(X))


def test_pickles_load_again(tmp_path):
    predictor = backhand.load_predictor(saved(classifier(), tmp_path))
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again.predict_proba(X), predictor.predict_proba(X))


def test_threads(tmp_path):
    predictor = both(saved(classifier(), tmp_path))[1]
    want, wrong = predictor.predict_proba(X), []

    def work(seed):
        for k in np.random.default_rng(seed).integers(0, len(X), 1000):
            if not np.array_equal(predictor.predict_proba(X[k]), want[k]):
                wrong.append(k)

    team = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert not wrong


def test_a_new_process_loads_little(tmp_path):
    path = saved(classifier(), tmp_path)
    backhand.load_predictor(path)
    code = (
        "import sys, numpy as np, backhand; p = backhand.load_predictor(sys.argv[1]); "
        "p.predict(np.zeros(5, 'f4')), p.predict_proba(np.zeros((2, 5))); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "numpy" in told
    assert set(HEAVY).isdisjoint(told)


def test_repr(tmp_path):
    predictor = backhand.load_predictor(saved(classifier(), tmp_path))
    assert repr(predictor) == "<Predictor: network 5-6-3>"
