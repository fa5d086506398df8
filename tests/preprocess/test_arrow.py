from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from backhand.errors import InputError
from backhand.preprocess import arrow


def one(values, **kwargs):
    return pa.table({"c": pa.array(values, **kwargs)})


def test_rows_are_numbered_as_in_the_file():
    table = one(["a", "b", "c", "d"])
    assert [arrow.row_number(table, i) for i in range(4)] == [1, 2, 3, 4]
    noted = table.replace_schema_metadata({arrow.FIRST_ROW: b"2"})
    assert [arrow.row_number(noted, i) for i in range(4)] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_text_has_one_form(kind):
    column = arrow.plain(one(["1", "2", None]).cast(pa.schema([("c", kind)])), "c")
    assert column.type == pa.string()
    assert column.to_pylist() == ["1", "2", None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_and_times_of_day_are_seconds(unit):
    ticks = pa.array([90, None, 3]).cast(pa.duration("s")).cast(pa.duration(unit))
    assert arrow.plain(one(ticks), "c").to_pylist() == [90, None, 3]
    clock = pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    times = pa.array([datetime.time(0, 1, 30), None], clock)
    assert arrow.plain(one(times), "c").to_pylist() == [90, None]


def test_columns_in_several_pieces_are_one():
    table = pa.concat_tables([one(["1"]), one(["2"]), one(["3"])])
    assert arrow.plain(table, "c").to_pylist() == ["1", "2", "3"]


def test_what_cannot_be_used_is_named():
    with pytest.raises(InputError, match="column 'c' holds list<"):
        arrow.plain(one([[1]]), "c")
    assert arrow.type_of(one([b"a"]), "c") == "binary"
    unread = pa.schema([pa.field("c", pa.null(), metadata=arrow.mark(pa.field("c", pa.binary())))])
    table = pa.table([pa.nulls(2)], schema=unread)
    assert arrow.type_of(table, "c") == "binary"
    assert not arrow.is_usable_column(table, "c")
