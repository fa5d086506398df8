from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import backhand.estimators.classifier
from backhand import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    "load",
    [load_iris, load_breast_cancer, pytest.param(load_digits, marks=pytest.mark.campaign)],
)
def test_scores_beside_scikit_learn(load):
    X, y = load(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    scale = StandardScaler().fit(X_train)
    ours, theirs = (
        m.MLPClassifier(random_state=0)
        .fit(scale.transform(X_train), y_train)
        .score(scale.transform(X_test), y_test)
        for m in (backhand, neural_network)
    )
    assert ours >= theirs - 0.02


@pytest.mark.parametrize("labels", [["no", "yes"], [-1, 7], [2.0, 3.0], [False, True]])
def test_two_classes_of_any_type(labels):
    X, y = load_breast_cancer(return_X_y=True)
    y = np.asarray(labels)[y]
    model = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, y)
    assert (model.n_outputs_, model.out_activation_) == (1, "logistic")
    assert list(model.classes_) == labels
    assert model.predict(X).dtype == y.dtype
    p = model.predict_proba(X)
    assert np.allclose(p.sum(1), 1)
    assert np.array_equal(model.predict(X), model.classes_[p.argmax(1)])
    assert np.array_equal(model.decision_function(X) > 0, p[:, 1] > 0.5)


@pytest.mark.parametrize("target", ["two", "three", "labels"])
def test_log_probabilities_stay_finite(target):
    X, y = load_iris(return_X_y=True)
    y = {"two": y > 0, "three": y, "labels": np.eye(3, dtype=int)[y]}[target]
    model = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, y)
    assert np.allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))
    far = model.predict_log_proba(X * 1e5)
    assert np.isfinite(far).all()
    assert far.min() < -1000


def test_one_class_is_predicted():
    X, _ = load_iris(return_X_y=True)
    model = MLPClassifier(max_iter=2).fit(X, np.full(len(X), "only"))
    assert set(model.predict(X)) == {"only"}


def test_several_labels_dense_and_sparse():
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y > 4, y % 2 == 0, y == 3], 1).astype(int)
    model = MLPClassifier((30,), random_state=0, max_iter=60, learning_rate_init=0.01).fit(
        X / 16, labels
    )
    assert model.predict(X / 16).shape == labels.shape
    assert model.score(X / 16, labels) > 0.95
    thin = MLPClassifier((30,), random_state=0, max_iter=60, learning_rate_init=0.01).fit(
        X / 16, sparse.csr_matrix(labels)
    )
    assert np.allclose(thin.predict_proba(X / 16), model.predict_proba(X / 16))
    stopped = MLPClassifier((30,), random_state=0, max_iter=5, early_stopping=True)
    assert len(stopped.fit(X / 16, labels).validation_scores_) == 5


def test_partial_fit_of_several_labels():
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y > 4, y % 2 == 0, y == 3], 1).astype(int)
    model = MLPClassifier((30,), random_state=0, learning_rate_init=0.01)
    for _ in range(30):
        model.partial_fit(X / 16, labels, classes=[0, 1, 2])
    assert model.score(X / 16, labels) > 0.8


def test_partial_fit_wants_its_classes():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    model = MLPClassifier().partial_fit(X[:60], y[:60], classes=[2, 0, 1])
    assert list(model.classes_) == [0, 1, 2]
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
        model.partial_fit(X, y + 1)


def test_a_fit_after_a_fit_starts_anew():
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier((5,), random_state=0, max_iter=2).fit(X, y)
    first = model.coefs_[0].copy()
    model.fit(X[:, :2], y > 0)
    assert model.n_features_in_ == 2
    assert np.array_equal(model.fit(X, y).coefs_[0], first)
    assert len(model.loss_curve_) == 2


def test_continuous_targets_are_refused():
    X, _ = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier().fit(X, X[:, 0])


@pytest.mark.torch
@pytest.mark.parametrize("classes", [2, 3])
def test_label_smoothing_is_torchs(classes):
    import torch

    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    model = MLPClassifier((5,), solver="lbfgs", alpha=0, label_smoothing=0.2, random_state=0)
    z = model.fit(X, y).decision_function(X)
    if classes == 2:  # the logit of the first is 0
        z = np.stack([0 * z, z], axis=1)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.2)
    assert model.loss_ == pytest.approx(loss(torch.tensor(z), torch.tensor(y)).item(), rel=1e-10)
    # at the least loss, probabilities are the smoothed labels and not 0 and 1
    assert abs(model.predict_proba(X).max(axis=1).mean() - (0.8 + 0.2 / classes)) < 0.03


@pytest.mark.parametrize("classes", [2, 3])
def test_focal_loss_classifies_and_is_less_sure(classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    plain, focal = (
        MLPClassifier((5,), loss=loss, solver="lbfgs", alpha=0.1, random_state=0).fit(X, y)
        for loss in ("log_loss", "focal")
    )
    assert focal.score(X, y) > 0.95
    sure = [model.predict_proba(X).max(axis=1).mean() for model in (plain, focal)]
    assert sure[1] < sure[0]
