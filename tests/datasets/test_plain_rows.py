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
    table = TABLE.drop_columns("d") if request.param == "csv" else TABLE
    for number in range(3):
        some = table.slice(200 * number, 200)
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
    x = X[:, : found.x.shape[1]]
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.t.ravel(), LABELS)
    net = Network((x.shape[1], 8, 2), loss="softmax_cross_entropy")
    config = TrainConfig(epochs=3, batch_size=50, shuffle=False)
    start = net.init("lecun_normal", 0)
    one = fit(net, start, rows, config).params
    other = fit(net, start, Rows(x, LABELS), config).params
    assert all(np.array_equal(one[name], other[name]) for name in other)


def test_numbers_are_learned_as_such():
    table = TABLE.append_column("v", pa.array(NUMBERS["a"] / 2))
    rows = Stream(lambda: iter([table]), columns=["a", "v"]).rows("v")
    net = Network((1, 1), loss="mean_squared_error")
    config = TrainConfig(epochs=50, batch_size=50, optimiser="adam", learning_rate=0.02)
    found = fit(net, net.init("lecun_normal", 0), rows, config)
    assert found.params["w1"].item() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"a": ["u", "v", "w"]}, "column 'a' holds text; a plain network takes numbers: leave"),
        ({"a": ["true", "false", "true"]}, "column 'a' holds boolean; a plain network"),
        ({"a": np.array([1, 2, 3], "M8[D]")}, "column 'a' holds date; a plain network"),
        ({"a": [1.0, None, 2.0]}, "column 'a', row 2: has no value, and a plain network"),
        ({"a": [1.0, np.inf, 2.0]}, "column 'a', row 2: inf is not a finite number"),
        ({"y": [0, None, 1]}, "column 'y', row 2: has no value"),
        (
            {"y": ["n", "y", "n"]},
            "target column 'y' holds text; a plain network takes the classes'",
        ),
        ({"y": [[1], [2], [3]]}, "target column 'y' holds list"),
    ],
    ids=["text", "boolean", "date", "missing", "infinite", "no target", "classes", "list"],
)
def test_what_a_plain_network_does_not_take(more, message):
    table = pa.table({"a": [1.0, 2.0, 3.0], "y": [0, 1, 0], **more})
    with pytest.raises(InputError, match=message):
        Stream(lambda: iter([table])).rows("y")


def test_a_value_that_is_missing_later_is_named_with_its_file(tmp_path):
    pq.write_table(TABLE, tmp_path / "0.parquet")
    gap = TABLE.set_column(0, "a", pa.array([1.0] * 7 + [None] + [2.0] * (N - 8)))
    pq.write_table(gap, tmp_path / "1.parquet")
    with pytest.raises(InputError, match=r"1\.parquet: column 'a', row 8: has no value"):
        Stream(tmp_path).rows("y")


def test_columns_are_needed():
    one = Stream(lambda: iter([TABLE]), columns=["y"])
    with pytest.raises(InputError, match="no column besides the target 'y'"):
        one.rows("y")
    with pytest.raises(InputError, match="no column 'z'"):
        one.rows("z")
