from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.datasets.tables import load_table, read_table
from backhand.errors import InputError, MissingExtraError

pa = pytest.importorskip("pyarrow")


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def parquet(path, columns):
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


# Reading


def test_cells_are_kept_as_written(write):
    table = read_table(write('code,n\n007, 1.50\n"a,""b""",\n"two\nlines",NA\n'))
    assert table.to_pydict() == {
        "code": ["007", 'a,"b"', "two\nlines"],
        "n": [" 1.50", "", "NA"],
    }


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b\n1,2\n", "t.csv"),
        ("a,b\r\n1,2\r\n", "t.CSV"),
        ("\ufeffa,b\n1,2", "t.csv"),
        (" a , b\n1,2\n\n", "t.csv"),
        ("a;b\n1;2\n", "t.csv"),
        ("a\tb\n1\t2\n", "t.tsv"),
        (gzip.compress(b"a,b\n1,2\n"), "t.csv.gz"),
        (bz2.compress(b"a,b\n1,2\n"), "t.csv.bz2"),
        (lzma.compress(b"a\tb\n1\t2\n"), "t.tsv.xz"),
    ],
)
def test_formats(write, content, name):
    assert read_table(write(content, name)).to_pydict() == {"a": ["1"], "b": ["2"]}


def test_parquet_keeps_its_types(tmp_path):
    table = read_table(parquet(tmp_path / "t.parquet", {"a": [1, None], "b": [True, False]}))
    assert table.to_pydict() == {"a": [1, None], "b": [True, False]}


def test_the_row_index_of_pandas_is_no_column(tmp_path):
    path = parquet(tmp_path / "t.parquet", {"a": [1, 2], "__index_level_0__": [0, 1]})
    assert read_table(path).column_names == ["a"]


def test_a_column_without_a_name_is_left_out(write):
    path = write(",a,\n0,1,\n1,2,\n")
    with pytest.warns(UserWarning, match="column 1, 3 has no name and is left out"):
        assert read_table(path).column_names == ["a"]


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(st.lists(st.tuples(cell, cell.filter(bool)), min_size=1, max_size=20))
def test_what_csv_writes_is_read(tmp_path_factory, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("round") / "t.csv"
    path.write_bytes(text.getvalue().encode())
    assert read_table(path).to_pydict() == {
        "a": [row[0] for row in rows],
        "b": [row[1] for row in rows],
    }


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "t.csv", "t.csv: is empty"),
        ("\n \n", "t.csv", "is empty"),
        ("\na,b\n1,2\n", "t.csv", "the first line is blank"),
        (",\n1,2\n", "t.csv", "the first row names no column"),
        ("a,b\n", "t.csv", "has a header but no rows"),
        ("a,b\n\n,\n", "t.csv", "has a header but no rows"),
        ("a,b\n1,2\n3\n", "t.csv", "row 3: has 1 values, the header names 2 columns"),
        ("a,b\n\n1,2\n\n1,2,3\n", "t.csv", "row 5: has 3 values"),
        ("a,b,a\n1,2,3\n", "t.csv", "column 'a' is there twice"),
        (b"a,b\n1,2\n3,caf\xe9\n", "t.csv", "line 3: byte 0xe9 is not UTF-8"),
        (b"a,caf\xe9\n1,2\n", "t.csv", "line 1: byte 0xe9 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv", "is UTF-16 text; save it as UTF-8"),
        (gzip.compress(b"a,b\n1,2\n")[:-4], "t.csv.gz", "damaged or cut off"),
        (gzip.compress(bytes(range(200)) * 99)[:150], "t.csv.gz", "t.csv.gz"),
        (b"PAR1 not really", "t.parquet", "is not a readable Parquet file"),
        (b"", "t.parquet", "is not a readable Parquet file"),
        ("a,b\n1,2\n", "t.xlsx", r"tables can be read from \.csv"),
        ("a,b\n1,2\n", "table", r"tables can be read from \.csv"),
    ],
)
def test_files_that_cannot_be_read(write, content, name, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(content, name))
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)


def test_two_parquet_columns_of_one_name(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 'a' is there twice"):
        read_table(tmp_path / "t.parquet")


def test_the_extra_is_named_without_pyarrow(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'backhand\[table\]'"):
        load_table(write("a,b\n1,2\n"), "b")


@given(st.binary(max_size=80))
@pytest.mark.filterwarnings("ignore:.* has no name")
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    for name in ("t.csv", "t.parquet"):
        path = tmp_path_factory.mktemp("any") / name
        path.write_bytes(content)
        try:
            table = read_table(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert table.num_rows


# Preparing


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
    assert data.feature_names == [
        *("size", "size is missing", "colour = green", "colour = red", "colour is missing"),
        *("colour is unseen", "ok = false", "ok = true", "ok is unseen", "day"),
    ]
    for part in (data.train, data.validation, data.test):
        assert part.x.shape[1] == 10
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
        assert part.t.dtype == np.int64
        assert np.isfinite(part.x).all()
    for column in ("size", "day"):
        values = data.train.x[:, data.feature_names.index(column)].astype(np.float64)
        assert abs(values.mean()) < 1e-6


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
    rows = [
        (i * 1.0, "uv"[i % 2], i % 2 if task == "classification" else i * 1.0) for i in range(100)
    ]
    before = load_table(write(lines(rows)), "y", task, seed=3)
    column = before.preparation.encoders[0]
    in_training = set(np.rint(before.train.x[:, 0] * column.std + column.mean).astype(int))
    assert len(in_training) == 60
    wild = [
        row if i in in_training else (1e9, "wild", row[2] if task == "classification" else -1e9)
        for i, row in enumerate(rows)
    ]
    after = load_table(write(lines(wild)), "y", task, seed=3)
    assert after.preparation == before.preparation
    assert after.target_mean == before.target_mean
    assert after.target_std == before.target_std
    np.testing.assert_array_equal(after.train.x, before.train.x)
    np.testing.assert_array_equal(after.train.t, before.train.t)
    assert after.test.x[:, 0].min() > 1e6


def test_the_leak_test_catches_statistics_of_all_rows(write, monkeypatch):
    from backhand.datasets.preparation import TablePreparation

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
        (made(), "y", "regression", "holds text; regression needs numbers"),
        (made(target=lambda i: i % 2 == 0), "y", "regression", "holds boolean; regression"),
        (made(), "y", "regresion", "unknown task 'regresion': did you mean"),
        (broken(2, 3, ""), "y", None, "target column 'y', row 5: the value is missing"),
        (broken(2, 3, "NaN"), "y", None, "target column 'y', row 5: the value is missing"),
        (broken(2, 3, "inf"), "y", None, "column 'y', row 5: inf is not a finite number"),
        (broken(0, 8, "-inf"), "y", None, "column 'a', row 10: -inf is not a finite number"),
        (broken(0, 8, "oops"), "a", "regression", "'a' holds text; regression needs"),
        (made(target=lambda i: f"n{i}"), "y", None, "200 distinct values in 200 rows, too many"),
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


def test_a_row_that_is_both_ragged_and_not_utf8_is_one_line(tmp_path, capfd):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,y\n1,2,3\n\xe4,1\n")
    with pytest.raises(InputError, match="line 3: byte 0xe4 is not UTF-8"):
        read_table(path)
    assert capfd.readouterr().err == ""  # the reader shows a traceback if it gets that far
