from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand import MLPClassifier, TabularClassifier, TabularRegressor, load
from backhand.cli.answers import answers_of, is_tabular, of_table, rows_of, target_of
from backhand.errors import InputError


def fitted(kind, X, y, **options):
    return kind("fast", n_members=1, random_state=0, **options).fit(X, y)


def test_an_ensemble_answers_from_its_threshold_on():
    x = np.linspace(-1, 1, 200)
    X = {"a": x, "b": x**2}
    y = np.where(np.random.default_rng(0).random(200) < 1 / (1 + np.exp(2 - 3 * x)), "yes", "no")
    model = fitted(TabularClassifier, X, y, metric="balanced_accuracy")
    found = answers_of(model, pa.table(X))
    assert found.classes == ["no", "yes"]
    assert (found.predictions == model.predict_proba(X)).all()
    assert [found.classes[k] for k in found.chosen] == model.predict(X).tolist()


def test_what_each_kind_of_model_takes_and_predicts(backhand, people, tmp_path):
    words = "--target", "label", "--hidden", "4", "--epochs", "1", "--out", "run"
    backhand("train", people[1], *words)
    plain = load(tmp_path / "run" / "model.safetensors")
    assert (of_table(plain), is_tabular(plain), target_of(plain)) == (True, False, "label")
    x = np.random.default_rng(0).normal(size=(40, 2))
    array = fitted(TabularRegressor, x, x[:, 0])
    assert (of_table(array), is_tabular(array), target_of(array)) == (False, True, None)
    assert answers_of(array, x).chosen is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_a_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2))
    model = MLPClassifier((4,), max_iter=3).fit(x, x[:, 0] > 0)
    np.save(tmp_path / "x.npy", x)
    form = {"separator": None, "decimal": None, "encoding": None}
    rows, table = rows_of(model, tmp_path / "x.npy", form)
    assert table is None
    assert (answers_of(model, rows).predictions == model.predict_proba(x)).all()
    with pytest.raises(InputError, match="an array has no separator; leave out --separator"):
        rows_of(model, tmp_path / "x.npy", {**form, "separator": ";"})
    (tmp_path / "x.csv").write_text("a;b\n" + "".join(f"{a};{b}\n" for a, b in x.tolist()))
    rows, table = rows_of(model, tmp_path / "x.csv", form)
    assert table.column_names == ["a", "b"]
    assert (rows == x).all()
