"""Rows of a stream for a plain network, whose inputs are numbers as they are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from backhand import InputError, Network, Rows, Stream, TrainConfig, fit
from backhand.train.blocks import RereadRows
from backhand.train.stored import StoredRows

N = 600
RNG = np.random.default_rng(0)
NUMBERS = {
    "a": RNG.normal(size=N),
    "b": RNG.integers(-5, 5, N),
    "c": RNG.normal(size=N).astype(np.float32),
    "d": RNG.random(N) < 0.5,
}
LABELS = (NUMBERS["a"] + NUMBERS["c"] > 0).astype(int)
TABLE = pa.table({"a": NUMBERS["a"], "y": LABELS, **{n: NUMBERS[n] for n in "bcd"}})
X = np.column_stack([*NUMBERS.values()]).astype(np.float32)


@pytest.fixture(params=["parquet", "csv"])
def folder(request, tmp_path):
    for number in range(3):
        some = TABLE.slice(200 * number, 200)
        if request.param == "csv":
            pa.csv.write_csv(some, tmp_path / f"{number}.csv")
        else:
            pq.write_table(some, tmp_path / f"{number}.parquet", row_group_size=50)
    return tmp_path


@pytest.mark.parametrize(("disk", "kind"), [(None, StoredRows), (0, RereadRows)])
def test_a_folder_trains_a_network_like_its_rows_in_memory(folder, disk, kind):
    rows = Stream(folder, disk=disk).rows("y")
    assert isinstance(rows, kind)
    assert len(rows) == N
    with rows.epoch(0, 0, N, shuffle=False) as blocks:
        (found,) = [*blocks]
    np.testing.assert_array_equal(found.x, X)
    np.testing.assert_array_equal(found.t.ravel(), LABELS)
    net = Network((4, 8, 2), loss="softmax_cross_entropy")
    config = TrainConfig(epochs=3, batch_size=50, shuffle=False)
    start = net.init("lecun_normal", 0)
    one = fit(net, start, rows, config).params
    other = fit(net, start, Rows(X, LABELS), config).params
    assert all(np.array_equal(one[name], other[name]) for name in other)


def test_numbers_are_learned_as_such():
    table = TABLE.append_column("v", pa.array(NUMBERS["a"] / 2))
    rows = Stream(lambda: iter([table]), columns=["a", "v"]).rows("v", regression=True)
    net = Network((1, 1), loss="mean_squared_error")
    config = TrainConfig(epochs=50, batch_size=50, optimiser="adam", learning_rate=0.02)
    found = fit(net, net.init("lecun_normal", 0), rows, config)
    assert found.params["w1"].item() == pytest.approx(0.5, abs=1e-3)


def targets(values, regression=False):
    table = pa.table({"a": np.arange(float(len(values))), "y": values})
    rows = Stream(lambda: iter([table])).rows("y", regression=regression)
    with rows.epoch(0, 0, 1, shuffle=False) as blocks:
        (found,) = [*blocks]
    return found.t.ravel()


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 1],
        [0.0, 1.0, 1.0],
        [False, True, True],
        ["false", "true", "true"],
        pa.array([0, 1, 1], pa.uint8()),
        pa.array([0, 1, 1], pa.int32()).cast(pa.decimal128(12, 1)),
    ],
    ids=["integers", "floats", "booleans", "text", "bytes", "decimals"],
)
def test_classes_are_whole_numbers_of_any_type(values):
    assert targets(values).tolist() == [0, 1, 1]
    assert targets(values).dtype == np.int64
    assert targets(values, regression=True).dtype == np.float64


def test_whole_numbers_of_a_sample_do_not_make_a_regression_s_target_whole(tmp_path):
    for number, some in enumerate(([1, 2], [2.5])):
        pq.write_table(
            pa.table({"a": np.ones(len(some)), "y": some}), tmp_path / f"{number}.parquet"
        )
    assert len(Stream(tmp_path).rows("y", regression=True)) == 3
    with pytest.raises(InputError, match=r"1\.parquet: column 'y', row 1: 2\.5 is no class; regr"):
        Stream(tmp_path).rows("y")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"a": ["u", "v", "w"]}, "column 'a' holds text, or integers of .* leave it out, or fit"),
        ({"a": [1, 2, 2**60]}, "column 'a' holds text, or integers of 2..53 and more"),
        ({"a": np.array([1, 2, 3], "M8[D]")}, "column 'a' holds dates, and a plain network"),
        ({"a": pa.nulls(3)}, "column 'a' holds no values in a sample"),
        ({"a": [[1], [2], [3]]}, "column 'a' holds what is neither numbers nor booleans"),
        ({"a": [1.0, None, 2.0]}, "column 'a', row 2: has no value, and a plain network"),
        ({"a": [True, None, False]}, "column 'a', row 2: has no value, and a plain network"),
        ({"a": [1.0, np.inf, 2.0]}, "column 'a', row 2: inf is not a finite number"),
        ({"a": [1.0, 2.0, -1e39]}, "column 'a', row 3: -1e.39 is more than float32 holds"),
        ({"y": [0, None, 1]}, "column 'y', row 2: has no value"),
        ({"y": [0, -1, 1]}, "column 'y', row 2: -1 is no class"),
        ({"y": ["n", "y", "n"]}, "column 'y' holds text, .*: write the classes as 0, 1, "),
        ({"y": [[1], [2], [3]]}, "column 'y' holds what is neither numbers nor booleans"),
    ],
)
def test_what_a_plain_network_does_not_take(more, message):
    table = pa.table({"a": [1.0, 2.0, 3.0], "y": [0, 1, 0], **more})
    with pytest.raises(InputError, match=message):
        Stream(lambda: iter([table])).rows("y")


@pytest.mark.parametrize(
    ("cell", "message"), [("", "has no value"), ("abc", "'abc' is not a number")]
)
@pytest.mark.parametrize("column", ["a", "y"])
def test_cells_that_are_no_numbers_later_are_named_with_their_file(tmp_path, column, cell, message):
    for number in range(2):
        lines = [f"{place % 7}.5,{place % 2}" for place in range(100)]
        if number:
            lines[50] = f"{cell},1" if column == "a" else f"1.5,{cell}"
        (tmp_path / f"{number}.csv").write_text("\n".join(["a,y", *lines]) + "\n")
    with pytest.raises(InputError, match=rf"1\.csv: column '{column}', row 52: {message}"):
        Stream(tmp_path).rows("y")


def test_columns_are_needed():
    one = Stream(lambda: iter([TABLE]), columns=["y"])
    with pytest.raises(InputError, match="no column besides the target 'y'"):
        one.rows("y")
    with pytest.raises(InputError, match="no column 'z'"):
        one.rows("z")
    with pytest.raises(InputError, match="a column's name is text, got None"):
        one.rows(None)
