"""`backhand.load` reads whatever we save, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import backhand
from backhand import InputError, MLPClassifier, MLPRegressor, Model, Network
from backhand.sealed import read_sealed, write_sealed

X = np.random.default_rng(0).standard_normal((40, 3))


def a_model():
    network = Network((3, 4, 1))
    return Model(network, network.init("kaiming_normal", 1), "regression")


MADE = {
    "model": a_model,
    "classifier": lambda: MLPClassifier((4,), max_iter=2, batch_size=8).fit(X, X[:, 0] > 0),
    "regressor": lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, batch_size=8).fit(
        X, X[:, :2]
    ),
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_kind_is_read_and_predicts_the_same_bits(kind, tmp_path):
    made = MADE[kind]()
    made.save(tmp_path / "m")
    same = backhand.load(tmp_path / "m")
    assert type(same) is type(made)
    assert same.predict(X).tobytes() == made.predict(X).tobytes()


@pytest.mark.parametrize("holds", ["nothing", None, ["model"], "__all__", "classifier"])
def test_a_file_of_another_kind_is_one_line(holds, tmp_path):
    a_model().save(tmp_path / "m")
    tensors, about = read_sealed(tmp_path / "m")
    write_sealed(tmp_path / "m", tensors, {**about, "holds": holds})
    with pytest.raises(InputError, match=r"m is not a usable model: it holds .*, which is nothing"):
        backhand.load(tmp_path / "m")


def test_a_file_without_a_kind_is_one_line(tmp_path):
    write_sealed(tmp_path / "m", {"a": np.ones(3)}, {})
    with pytest.raises(InputError, match="it holds None"):
        backhand.load(tmp_path / "m")
    with pytest.raises(InputError, match="m is not a usable model: KeyError"):
        Model.load(tmp_path / "m")
    with pytest.raises(InputError, match="m is not a usable estimator: KeyError"):
        MLPRegressor.load(tmp_path / "m")
