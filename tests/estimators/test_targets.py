"""Targets stay what they are, whatever they are called, and further ones are like the first."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from scipy import sparse

from backhand import InputError, MLPClassifier, MLPRegressor
from backhand.estimators.targets import Classes, shown

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((240, 3))
SETTINGS = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}

NAMES = {
    "bool": np.array([False, True]),
    "int8": np.array([-3, 5, 7], np.int8),
    "uint64": np.array([2**63, 2**63 + 9], np.uint64),
    "float": np.array([0.0, 1.0, 2.0]),
    "text": np.array(["no", "perhaps", "yes, of course"]),
    "numpy text": np.array(["a", "b"]).astype("<U9"),
    "objects": np.array(["red", "green", "blue"], object),
    "one": np.array(["only"]),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("parts", [False, True])
def test_labels_stay_what_they_are(names, parts, tmp_path):
    y = names[RNG.integers(len(names), size=len(X))]
    model = MLPClassifier(**SETTINGS)
    if parts:
        model.partial_fit(X, y, classes=names).partial_fit(X[:50], y[:50])
    else:
        model.fit(X, y)
    model.save(tmp_path / "m")
    for same in (model, pickle.loads(pickle.dumps(model)), MLPClassifier.load(tmp_path / "m")):
        assert same.classes_.dtype == model.classes_.dtype
        assert same.classes_.tolist() == sorted(names.tolist())
        found = same.predict(X)
        assert found.dtype == model.classes_.dtype
        assert set(found.tolist()) <= set(names.tolist())
        assert 0 <= same.score(X, y) <= 1
        np.testing.assert_array_equal(found, model.predict(X))


TARGETS = {
    "two classes": (X[:, 0] > 0),
    "classes": np.digitize(X[:, 0], [-0.4, 0.4]),
    "labels": (X > 0).astype(int),
    "two labels": (X[:, :2] > 0).astype(int),
    "sparse labels": sparse.csr_matrix((X > 0).astype(int)),
    "one number": X[:, 0],
    "numbers": X,
    "two numbers": X[:, :2],
}
ALIKE = [{"labels", "sparse labels"}, {"two classes", "classes"}]  # False and True are 0 and 1
UNLIKE = [
    (first, then)
    for first, then in itertools.permutations(TARGETS, 2)
    if {first, then} not in ALIKE and ("number" in first) == ("number" in then)
]


@pytest.mark.parametrize(("first", "then"), UNLIKE)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start", "y_val"])
def test_further_targets_are_like_the_first(first, then, how):
    ours = MLPRegressor if "number" in first else MLPClassifier
    y, other = TARGETS[first], TARGETS[then]
    if how == "y_val":
        with pytest.raises(ValueError, match="y_val"):
            ours(early_stopping=True, **SETTINGS).fit(X, y, X_val=X, y_val=other)
        return
    model = ours(warm_start=True, **SETTINGS).fit(X, y)
    before = model.predict(X[:9])
    model_fit = model.fit if how == "warm_start" else model.partial_fit
    with pytest.raises(InputError, match=r"[`']?y[`']? has|same classes"):
        model_fit(X, other)
    after = model.predict(X[:9])
    assert (before != after).sum() == 0


def test_messages_show_the_labels_of_the_user():
    y = X[:, 0] > 0
    rare = np.arange(len(X)) == 3
    # older versions of scikit-learn name no label there
    with pytest.raises(ValueError, match=r"\[True\]|least populated class in y has only 1 member"):
        MLPClassifier(early_stopping=True).fit(X, rare)
    with pytest.raises(InputError, match=r"has \[2\], not in y: the classes \[False, True\]"):
        MLPClassifier(class_weight={2: 1.0}).fit(X, y)
    words = np.where(y, "yes", "no")
    with pytest.raises(InputError, match=r"\['no' 'yes'\]. 'y' has \['maybe'\]"):
        MLPClassifier(**SETTINGS).fit(X, words).partial_fit(X, np.full(len(X), "maybe"))


@pytest.mark.parametrize("bad", [None, 3, "text", {"a": 1}, {1, 2}, b"x", np.float32(2), True])
@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_what_is_no_table_ends_in_one_line(ours, bad):
    y = X[:, 0] > 0
    model = ours(**SETTINGS).fit(X, y)
    for call in (
        lambda: model.predict(bad),
        lambda: model.score(bad, y),
        lambda: model.fit(bad, y),
        lambda: model.partial_fit(bad, y),
        lambda: model.set_params(early_stopping=True).fit(X, y, X_val=bad, y_val=y),
    ):
        with pytest.raises(ValueError, match=r"^(?!.*tuple index)[^\n]*$"):
            call()
        model.set_params(early_stopping=False)
    for call in (lambda: model.fit(X, bad), lambda: model.partial_fit(X, bad)):
        with pytest.raises(ValueError, match=r"^[^\n]*$"):
            call()


@pytest.mark.parametrize("bad", ["text", {"a": 1}, [{}] * len(X)])
def test_weights_that_are_no_numbers_end_in_one_line(bad):
    with pytest.raises(ValueError, match=r"^[^\n]*$"):
        MLPRegressor(**SETTINGS).fit(X, X[:, 0], sample_weight=bad)


@pytest.mark.parametrize("bad", [[None] * len(X), [{}] * len(X)])
@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_targets_that_are_nothing_end_in_one_line(ours, bad):
    with pytest.raises(ValueError, match=r"^y|or y"):
        ours(**SETTINGS).fit(X, bad)


def test_masked_elements_are_refused():
    masked = np.ma.masked_where(X > 2, X)
    model = MLPRegressor(**SETTINGS).fit(X, X[:, 0])
    for call in (
        lambda: model.predict(masked),
        lambda: model.fit(masked, X[:, 0]),
        lambda: model.fit(X, masked[:, 0]),
    ):
        with pytest.raises(InputError, match="has masked elements"):
            call()


def test_messages_show_large_labels_in_one_line():
    labels = np.array([-(2**62), 2**53, 2**60])
    with pytest.raises(InputError, match="classes not in") as caught:
        Classes.named(labels, several=False).check(labels + np.array([[1], [2], [3]])[0], "y")
    assert "\n" not in str(caught.value)
    assert "\n" not in shown(np.arange(10**6))
