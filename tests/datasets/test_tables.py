from __future__ import annotations

import re
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backhand.datasets.reading import read_table
from backhand.datasets.splitting import split_rows
from backhand.datasets.tables import load_table, read_known_target, read_target
from backhand.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def parquet(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


def lines(rows, header="a,b,y"):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def made(n=200, target=lambda i: "pq"[i % 2]):
    rng = np.random.default_rng(0)
    return [(round(rng.normal(), 3), "uvw"[rng.integers(3)], target(i)) for i in range(n)]


def test_a_csv_with_everything(write):
    rng = np.random.default_rng(0)
    rows = [
        (
            "" if i % 7 == 0 else round(rng.normal(), 3),
            ["red", "green", ""][rng.integers(3)],
            7,
            ["true", "false"][rng.integers(2)],
            f"2024-01-{1 + i % 28:02d}",
            ["yes", "no"][i % 2],
        )
        for i in range(100)
    ]
    with pytest.warns(UserWarning, match="constant in the training rows.*'same'"):
        data = load_table(write(lines(rows, "size,colour,same,ok,day,y")), "y")
    assert data.task == "classification"
    assert data.classes == ["no", "yes"]
    assert data.target == "y"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 20, 20]
    assert data.feature_names == data.preparation.feature_names
    assert data.preparation.columns == ["size", "colour", "ok", "day"]
    for part in (data.train, data.validation, data.test):
        assert part.x.shape[1] == len(data.feature_names)
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
        assert part.t.dtype == np.int64
        assert np.isfinite(part.x).all()


def test_csv_tsv_and_parquet_of_one_table_give_the_same(write, tmp_path):
    rows = made()
    text = lines(rows)
    data = [
        load_table(write(text), "y"),
        load_table(write(text.replace(",", "\t"), "t.tsv"), "y"),
        load_table(
            parquet(
                tmp_path / "t.parquet",
                dict(zip("aby", map(list, zip(*rows, strict=True)), strict=True)),
            ),
            "y",
        ),
    ]
    for other in data[1:]:
        assert other.preparation == data[0].preparation
        np.testing.assert_array_equal(other.test.x, data[0].test.x)
        np.testing.assert_array_equal(other.test.t, data[0].test.t)


def test_new_rows_are_prepared_like_the_old(write):
    path = write(lines(made()))
    data = load_table(path, "y")
    x = data.preparation.apply(read_table(path))
    known = {row.tobytes() for row in x}
    assert all(row.tobytes() in known for row in data.test.x)


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        (lambda i: "pq"[i % 2], "classification", ["p", "q"]),
        (lambda i: ["TRUE", "false"][i % 2], "classification", [False, True]),
        (lambda i: i % 2, "classification", [0, 1]),
        (lambda i: i % 20 - 5, "classification", list(range(-5, 15))),
        (lambda i: i % 21, "regression", None),
        (lambda i: i * 3, "regression", None),
        (lambda i: i % 3 / 2, "regression", None),
        (lambda i: float(i % 3), "classification", [0.0, 1.0, 2.0]),
        (lambda i: i % 2 / 2, "classification", [0.0, 0.5]),
    ],
)
def test_the_task_is_inferred(write, target, task, classes):
    data = load_table(write(lines(made(target=target))), "y")
    assert data.task == task
    assert data.classes == classes
    if classes is not None:
        assert [type(c) for c in data.classes] == [type(c) for c in classes]
        assert (data.target_mean, data.target_std) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        # as they were written
        (lambda i: ["007", "7", "010"][i % 3], None, ["007", "010", "7"]),
        (lambda i: ["1", "2", "01"][max(0, i - 197)], "classification", ["01", "1", "2"]),
        (lambda i: ["02134", "94105"][i % 2], "classification", ["02134", "94105"]),
        (
            lambda i: 2**53 + i % 2,
            None,
            ["9007199254740992", "9007199254740993"],
        ),
        (lambda i: ["1,0", "1,5", "2,0"][i % 3], None, None),
        (lambda i: ["1,0", "1,5", "2,0"][i % 3], "classification", [1.0, 1.5, 2.0]),
        (lambda i: ["5 %", "7 %"][i % 2], None, [5.0, 7.0]),
        # a word that is often there is a class, and one that is not a missing value
        (lambda i: ["0", "1", "unknown"][i % 3], None, ["0", "1", "unknown"]),
        (lambda i: ["no", "none", "na ve"][i % 3], None, ["na ve", "no", "none"]),
        (lambda i: f"0{i % 7}", "regression", None),
    ],
)
def test_classes_and_numbers_are_what_was_written(write, target, task, classes):
    rows = [(*row[:2], f'"{row[2]}"') for row in made(target=target)]
    data = load_table(write(lines(rows)), "y", task)
    assert data.classes == classes
    assert data.task == ("regression" if classes is None else "classification")


@pytest.mark.parametrize(
    ("target", "task", "missing", "message"),
    [
        (lambda i: i * 0.5, "regression", "", "1 row has no number and is left out (row 5)"),
        (lambda i: i * 0.5, "regression", "NaN", "left out (row 5, 'NaN')"),
        (lambda i: i * 0.5, "regression", "oops", "left out (row 5, 'oops')"),
        (lambda i: i * 0.5, "regression", "unknown", "left out (row 5, 'unknown')"),
        (
            lambda i: i % 3,
            "classification",
            "-",
            "1 row has no number and is left out (row 5, '-')",
        ),
        (lambda i: "pq"[i % 2], "classification", "", "1 row has no value and is left out (row 5)"),
        (lambda i: "pq"[i % 2], "classification", "NA", "left out (row 5, 'NA')"),
        (lambda i: ["true", "false"][i % 2], "classification", "NA", "left out (row 5, 'NA')"),
    ],
)
def test_rows_without_a_target_are_left_out_and_told(write, target, task, missing, message):
    rows = made(target=target)
    rows[3] = (*rows[3][:2], missing)
    table = read_table(write(lines(rows)))
    with pytest.warns(UserWarning, match=f"^target column 'y': .*{re.escape(message)}$"):
        found, values, kept = read_target(table, "y")
    assert found == task
    assert kept.tolist() == [i for i in range(200) if i != 3]
    whole = read_target(read_table(write(lines(made(target=target)))), "y")[1]
    assert values.dtype == whole.dtype
    np.testing.assert_array_equal(values, np.delete(whole, 3))


def test_missing_targets_shift_nothing(write):
    """Each prepared row still has its own target."""
    rng = np.random.default_rng(0)
    a = rng.permutation(300) + 0.5
    rows = [(v, "uv"[i % 2], 2 * v if i % 3 else "") for i, v in enumerate(a)]
    with pytest.warns(UserWarning, match=r"101 rows have no number and are left out .*is row 2"):
        data = load_table(write(lines([("", "", ""), *rows], "a,b,y")), "y")
    for part in (data.train, data.validation, data.test):
        t = part.t[:, 0] * data.target_std + data.target_mean
        order = np.argsort(t)
        assert (np.diff(part.x[order, 0]) > 0).all()
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 200


def test_too_few_rows_with_a_target(write):
    path = write(lines([*made(5), *((i, "u", "") for i in range(30))]))
    with (
        pytest.warns(UserWarning, match="30 rows have no value"),
        pytest.raises(InputError, match="has 5 rows with a target; training needs 10"),
    ):
        load_table(path, "y")


def test_options_reach_the_file(write):
    rows = "".join(f"{i * i / 2 + 1.125:.3f};{'né'[i % 2]}\n".replace(".", ",") for i in range(40))
    path = write(f"a;y\n{rows}".encode("cp1252"))
    with pytest.raises(InputError, match="--encoding"):
        load_table(path, "y")
    comma = load_table(path, "y", encoding="cp1252", separator=";", decimal=",")
    assert comma.classes == ["n", "é"]
    point = load_table(path, "y", encoding="cp1252", decimal=".")
    # all are a thousand times as large, which standardised values do not show
    assert comma.preparation != point.preparation


def test_the_separator_may_be_why_a_column_is_not_found(write):
    with pytest.raises(InputError, match=r"no column 'y': .*columns: a:y; .* --separator"):
        load_table(write("a:y\n" + "1:2\n" * 20), "y")


def test_few_rows_make_integers_numbers_and_the_task_can_be_forced(write):
    path = write(lines(made(30, lambda i: i % 4)))
    assert load_table(path, "y").task == "regression"
    assert load_table(path, "y", "classification").classes == [0, 1, 2, 3]


def test_regression_targets_are_standardised_by_the_training_rows(write):
    targets = np.random.default_rng(1).normal(50, 7, 200).round(4)
    data = load_table(write(lines(made(target=lambda i: targets[i]))), "y")
    back = np.concatenate(
        [
            part.t[:, 0] * data.target_std + data.target_mean
            for part in (data.train, data.validation, data.test)
        ]
    )
    np.testing.assert_allclose(np.sort(back), np.sort(targets), rtol=1e-5)
    assert data.train.t.dtype == np.float32
    assert data.train.t.shape == (120, 1)
    assert abs(data.train.t.mean(dtype=np.float64)) < 1e-6
    assert abs(data.train.t.std(dtype=np.float64) - 1) < 1e-6
    assert abs(data.test.t.mean(dtype=np.float64)) > 1e-3


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_rows_outside_training_have_no_part_in_any_statistic(write, task):
    """The leak test: what is prepared from training rows survives any change of the others."""
    labels = np.arange(100) % 2
    rows = [
        (f"{i * i}.5", "uv"[i % 2], labels[i] if task == "classification" else i * 1.0)
        for i in range(100)
    ]
    before = load_table(write(lines(rows)), "y", task, seed=3)
    in_training = set(split_rows(100, labels if task == "classification" else None, 3)[0])
    wild = [
        row if i in in_training else ("1e9", "wild", row[2] if task == "classification" else -1e9)
        for i, row in enumerate(rows)
    ]
    after = load_table(write(lines(wild)), "y", task, seed=3)
    assert after.preparation == before.preparation
    assert after.target_mean == before.target_mean
    assert after.target_std == before.target_std
    np.testing.assert_array_equal(after.train.x, before.train.x)
    np.testing.assert_array_equal(after.train.t, before.train.t)
    assert not np.array_equal(after.test.x, before.test.x)


def test_the_leak_test_catches_statistics_of_all_rows(write, monkeypatch):
    from backhand.preprocess.preparation import TablePreparation

    honest = TablePreparation.fit.__func__
    monkeypatch.setattr(
        TablePreparation,
        "fit",
        classmethod(lambda cls, table, rows=None, **kw: honest(cls, table, None, **kw)),
    )
    with pytest.raises(AssertionError):
        test_rows_outside_training_have_no_part_in_any_statistic(write, "classification")


def test_the_seed_decides(write):
    path = write(lines(made()))
    first, again, other = (load_table(path, "y", seed=seed).test.x for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def broken(column, row, value):
    rows = [list(r) for r in made(target=lambda i: i * 0.5)]
    rows[row][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "target", "task", "message"),
    [
        (made(), "z", None, "no column 'z': .*columns: a, b, y"),
        (made(), "Y", None, "no column 'Y': did you mean 'y'"),
        (made(), None, None, "name the column to predict, one of a, b, y"),
        (made(9), "y", None, "has 9 rows; training needs 10"),
        (made(target=lambda i: "same"), "y", None, "target column 'y' is 'same' in every row"),
        (made(target=lambda i: 3), "y", None, "target column 'y' is 3 in every row"),
        (made(target=lambda i: 3.5), "y", "regression", "is 3.5 in every row: regression needs"),
        (made(), "y", "regression", "row 2: 'p' is not a number; regression needs"),
        (
            made(target=lambda i: i % 2 == 0),
            "y",
            "regression",
            "'y' holds true and false; regression needs numbers",
        ),
        (made(), "y", "regresion", "unknown task 'regresion': did you mean"),
        (broken(2, 3, "inf"), "y", None, "column 'y', row 5: inf is not a finite number"),
        (broken(0, 8, "-inf"), "y", None, "column 'a', row 10: -inf is not a finite number"),
        (made(), "b", "regression", "'b', row 2: '[uvw]' is not a number; regression needs"),
        (made(target=lambda i: f"0{i}"), "y", None, "'y' holds codes .*'regression' would read"),
        (made(target=lambda i: f"n{i}"), "y", None, "200 distinct values in 200 rows, too many"),
        (
            made(target=lambda i: f"{i}_5"),
            *("y", None, "target column 'y', row 2: '0_5' is not a number, and .* too many"),
        ),
        (made(target=lambda i: i), "y", "classification", "too many for classes"),
        (made(target=lambda i: ""), "y", None, "target column 'y' has no values"),
        (made(target=lambda i: f"2020-01-{1 + i % 9:02d}"), "y", None, "'y' holds dates"),
    ],
)
def test_tables_that_cannot_be_learnt_from(write, rows, target, task, message):
    with pytest.raises(InputError, match=message) as caught:
        load_table(write(lines(rows)), target, task)
    assert "\n" not in str(caught.value)


def test_no_feature_is_left(write):
    path = write(lines([(1, "x", i % 2) for i in range(50)]))
    with (
        pytest.warns(UserWarning, match="2 columns are left out"),
        pytest.raises(InputError, match="no usable feature column"),
    ):
        load_table(path, "y")


def test_a_target_alone(write):
    path = write("y\n" + "1\n2\n" * 20)
    with pytest.raises(InputError, match=r"^no usable feature column$"):
        load_table(path, "y")


@pytest.mark.parametrize(
    ("classes", "cells", "values", "kept"),
    [
        (["007", "010"], ["010", "", "007", "7", "010"], [1, 0, 1], [0, 2, 4]),
        ([0, 1], ["1", "0", "", "2", "1.0"], [1, 0, 1], [0, 1, 4]),
        ([0.5, 1.5], ["1,5", "0,5", "", "0,5"], [1, 0, 0], [0, 1, 3]),
        ([False, True], ["TRUE", "false", "", "true"], [1, 0, 1], [0, 1, 3]),
        (["no", "yes"], ["yes", "yes", "maybe"], [1, 1], [0, 1]),
        (None, ["1.5", "", "word", "-2"], [1.5, -2.0], [0, 3]),
    ],
)
def test_targets_of_rows_to_score_are_those_that_the_model_knows(classes, cells, values, kept):
    table = pa.table({"t": cells})
    with pytest.warns(UserWarning, match="left out") if len(kept) < len(cells) else nullcontext():
        found, rows = read_known_target(table, "t", classes)
    assert found.tolist() == values
    assert rows.tolist() == kept


def test_targets_of_rows_to_score_may_have_types_of_their_own():
    table = pa.table({"t": pa.array([1, 0, None, 1]), "b": [True, None, False, True]})
    with pytest.warns(UserWarning, match=r"1 row has no class that the model knows .*row 3"):
        assert read_known_target(table, "t", np.array([0, 1]))[0].tolist() == [1, 0, 1]
    with pytest.warns(UserWarning, match="row 2"):
        assert read_known_target(table, "b", np.array([False, True]))[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("target", "classes", "message"),
    [
        ("tt", ["a"], "no column 'tt': did you mean 't'"),
        ("t", ["a", "b"], "target column 't': no row has a class that the model knows"),
        ("t", None, "target column 't': no row has a number"),
    ],
)
def test_targets_that_no_model_knows(target, classes, message):
    with pytest.raises(InputError, match=message):
        read_known_target(pa.table({"t": ["x", "y"]}), target, classes)
