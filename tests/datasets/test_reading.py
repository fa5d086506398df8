from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.datasets.dialect import SEPARATORS
from backhand.datasets.reading import read_table
from backhand.datasets.tables import load_table
from backhand.errors import InputError
from backhand.preprocess import arrow, cells


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
        ("a\tb\n1\t2\n", "t.csv"),
        ("a|b\n1|2\n", "t.csv"),
        ("a;b\n1;2\n", "t.tsv"),
        ("a,b\n1,2\n", "t.tsv"),
        ("sep=;\na;b\n1;2\n", "t.csv"),
        ("\ufeffsep=\t\r\na\tb\r\n1\t2\r\n", "t.csv"),
        ("a,b\r1,2\r", "t.csv"),
        ("a,b\r1,2\r\r\r", "t.csv"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv"),
        ("a\tb\n1\t2\n".encode("utf-16"), "t.csv"),
        ("a,b\n1,2\n".encode("utf-32"), "t.csv"),
        (gzip.compress("a;b\n1;2\n".encode("utf-16")), "t.csv.gz"),
        ("a\tb\n1\t2\n", "t.tsv"),
        (gzip.compress(b"a,b\n1,2\n"), "t.csv.gz"),
        (bz2.compress(b"a,b\n1,2\n"), "t.csv.bz2"),
        (lzma.compress(b"a\tb\n1\t2\n"), "t.tsv.xz"),
    ],
)
def test_formats(write, content, name):
    assert read_table(write(content, name)).to_pydict() == {"a": ["1"], "b": ["2"]}


def test_options_say_what_a_file_does_not(write):
    path = write("a b;c\n1;2 3\n")
    assert read_table(path).column_names == ["a b", "c"]
    path = write("a b\n1 2\n")
    assert read_table(path).column_names == ["a b"]
    assert read_table(path, separator=" ").to_pydict() == {"a": ["1"], "b": ["2"]}
    path = write("a\tb\n1\t2\n")
    assert read_table(path, separator="tab").column_names == ["a", "b"]
    path = write("é,b\ncafé,2\n".encode("cp1252"))
    assert read_table(path, encoding="cp1252").to_pydict() == {"é": ["café"], "b": ["2"]}
    path = write("a,b\n1,2\n".encode("utf-16-le"))
    assert read_table(path, encoding="utf-16-le").to_pydict() == {"a": ["1"], "b": ["2"]}


def test_a_large_file_of_another_encoding_is_read_in_pieces(write):
    rows = [f"{i},{'é' * (i % 50)}" for i in range(60_000)]
    path = write("n,t\n".encode("cp1252") + "\n".join(rows).encode("cp1252"))
    table = read_table(path, encoding="latin-1")
    assert table.num_rows == 60_000
    assert [f"{n},{t}" for n, t in zip(*table.to_pydict().values(), strict=True)] == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "::"}, "separator '::': must be one ASCII character"),
        ({"separator": '"'}, "must be one ASCII character"),
        ({"separator": "§"}, "must be one ASCII character"),
        ({"separator": 3}, "separator 3: must be"),
        ({"decimal": ";"}, "decimal ';': must be '.' or ','"),
        ({"decimal": ",", "separator": ","}, "separator and decimal are both ','"),
        ({"encoding": "klingon"}, "unknown encoding 'klingon': name one such as utf-8"),
        ({"encoding": "base64"}, "unknown encoding 'base64'"),
        ({"encoding": 8}, "unknown encoding 8"),
        ({"encoding": "ascii"}, "line 3: byte 0xc3 is not ascii text; .* --encoding utf-8"),
        ({"separator": ";"}, "with separator ';' it has one column, 'a,b'; .*--separator ','"),
    ],
)
def test_options_that_are_wrong(write, options, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write("a,b\n1,2\n3,é\n"), **options)
    assert "\n" not in str(caught.value)


def test_parquet_needs_no_options(tmp_path):
    path = parquet(tmp_path / "t.parquet", {"a": ["1,5", "2"]})
    for name, value in {"separator": ";", "encoding": "utf-8"}.items():
        with pytest.raises(InputError, match=f"a Parquet file has no {name}; leave it out"):
            read_table(path, **{name: value})
    table = read_table(path, decimal=",")
    np.testing.assert_array_equal(cells.numbers(table, "a", cells.look(table, "a")), [1.5, 2])


@pytest.mark.parametrize(
    ("content", "options", "values"),
    [
        ("a;b\n1,234;x\n2,345;y\n", {}, [1.234, 2.345]),
        ("a;b\n1,234;0.5\n2,345;1.25\n", {}, [1234, 2345]),
        ("a;b\n1.234;0,5\n2.345;1,25\n", {}, [1234, 2345]),
        ("a;b\n1.234;0.5\n2.345;1.25\n", {}, [1.234, 2.345]),
        ('a,b\n"1,234",x\n"2,345",y\n', {}, [1234, 2345]),
        ('a,b\n"1,234","1,5"\n"2,345",y\n', {}, [1.234, 2.345]),
        ('a,b\n"1,234",x\n"2,345",y\n', {"decimal": ","}, [1.234, 2.345]),
        ("a;b\n1,234;x\n2,345;y\n", {"decimal": "."}, [1234, 2345]),
    ],
)
def test_what_a_comma_means(write, content, options, values):
    table = read_table(write(content), **options)
    found = cells.numbers(table, "a", cells.look(table, "a"))
    np.testing.assert_array_equal(found, values)


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
        ("a,b\n\n\n", "t.csv", "has a header but no rows"),
        ("a,b\n1,2\n3\n", "t.csv", "row 3: has 1 values, the header names 2 columns"),
        ("a,b\n\n1,2\n\n1,2,3\n", "t.csv", "row 5: has 3 values"),
        ("a,b,a\n1,2,3\n", "t.csv", "column 'a' is there twice"),
        (b"a,b\n1,2\n3,caf\xe9\n", "t.csv", "line 3: byte 0xe9 is not UTF-8"),
        (b"a,caf\xe9\n1,2\n", "t.csv", "line 1: byte 0xe9 is not UTF-8.* --encoding cp1252"),
        ("sep=;\na;b\n\n3\n", "t.csv", "row 4: has 1 values, .*separated by ';'.* --separator"),
        ("a\n1\n1,5\n", "t.csv", "row 3: has 2 values, the header names 1 column .*--separator"),
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
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 'a' is there twice"):
        read_table(tmp_path / "t.parquet")


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


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('dose\n1\n""\n3\n', [["1"], [""], ["3"]]),
        ("dose\n1\n\n3\n", [["1"], [""], ["3"]]),
        ("dose\r\n1\r\n\r\n", [["1"], [""]]),
        ("dose\n\n\n", [[""], [""]]),
        ("a,b\n1,p\n,\n3,q\n", [["1", "p"], ["", ""], ["3", "q"]]),
        ("a,b\n1,p\n\n3,q\n", [["1", "p"], ["", ""], ["3", "q"]]),
        ('a,b\n"",""\n\n', [["", ""]]),
        ("a,b\r\n1,p\r\n,\r\n\r\n\r\n", [["1", "p"], ["", ""]]),
        ("a,b\n1,p\n\n\n", [["1", "p"]]),
    ],
)
def test_a_row_without_values_is_a_row(write, content, rows):
    table = read_table(write(content))
    assert [list(row.values()) for row in table.to_pylist()] == rows


@given(
    rows=st.lists(
        st.one_of(
            st.just(None), st.tuples(st.integers(), st.sampled_from(["", "p", "a b", '","']))
        ),
        min_size=1,
        max_size=20,
    ),
    mark=st.sampled_from(SEPARATORS),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_every_value_belongs_to_its_row(tmp_path_factory, rows, mark, end, encoding):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator=end)
    writer.writerow(("n", "kind"))
    for row in (*rows, (7, "last")):
        text.write(end) if row is None else writer.writerow(row)
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    table = read_table(path, encoding="latin-1" if encoding == "latin-1" else None)
    assert table.column_names == ["n", "kind"]
    expected = [("", "") if row is None else (str(row[0]), row[1]) for row in rows]
    assert list(zip(*table.to_pydict().values(), strict=True)) == [*expected, ("7", "last")]
    assert arrow.row_number(table, len(rows)) == len(rows) + 2


# What a file may ask for


def test_a_csv_that_unpacks_to_too_much_is_refused(write, monkeypatch):
    monkeypatch.setenv("BACKHAND_MEMORY", "1M")
    few = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert read_table(write(few, "t.csv.gz")).num_rows == 1000
    for many in (b"1,2\n" * 200_000, b'"' + b"x" * 2_000_000):
        with pytest.raises(InputError, match=r"unpacks to .*more than 1 MB.*BACKHAND_MEMORY=\d+M$"):
            read_table(write(gzip.compress(b"a,b\n" + many), "t.csv.gz"))


def test_a_parquet_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_MEMORY", "1M")
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), ["x" * 1000])
    for name, column in {
        "zeros": pa.array(np.zeros(300_000)),
        "nothing": pa.nulls(3_000_000),
        "long texts": texts.cast(pa.string()),
        "coded texts": texts,
    }.items():
        path = parquet(tmp_path / f"{name}.parquet", {"a": column})
        assert path.stat().st_size < 20_000
        with pytest.raises(InputError, match=r"unpacks to more than 1 MB of memory"):
            read_table(path)


def test_columns_of_no_use_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_MEMORY", "1M")
    lists = pa.array([[0.0] * 1000] * 1000)  # 8 MB
    table = read_table(parquet(tmp_path / "t.parquet", {"a": [1] * 1000, "l": lists}))
    assert table.column_names == ["a", "l"]
    assert cells.look(table, "l").kind == "unusable"
    with pytest.raises(InputError, match="column 'l' holds list<"):
        cells.numbers(table, "l")


def test_a_header_of_commas_is_refused(write):
    with pytest.raises(InputError, match=r"has 200,001 columns; at most 100,000"):
        read_table(write(",".join(f"c{i}" for i in range(200_001)) + "\n1\n"))


# Damage


def test_text_that_is_not_utf8_in_parquet_is_named(tmp_path):
    raw = pa.array([b"\xff\xfe"])
    text = pa.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    path = parquet(tmp_path / "t.parquet", {"c": text})
    with pytest.raises(InputError, match=r"t.parquet, column 'c': cannot be read: .*UTF8"):
        read_table(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.bz2", "t.csv.xz", "t.parquet"])
def test_a_damaged_file_is_read_or_refused_in_one_line(write, name):
    rng = np.random.default_rng(0)
    table = {
        "n": rng.normal(size=40),
        "k": rng.choice(["u", "v"], 40),
        "d": pa.array(range(40), pa.date32()),
        "l": pa.array([[1]] * 40),
        "y": [0, 1] * 20,
    }
    if name.endswith("parquet"):
        whole = parquet(write(b"", name), table).read_bytes()
    else:
        rows = zip(table["n"], table["k"], table["y"], strict=True)
        text = "n,k,y\n" + "".join(f"{n},{k},{y}\n" for n, k, y in rows)
        pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
        whole = pack.get(name.rpartition(".")[2], bytes)(text.encode())
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=rng.integers(1, 5)):
            content[place] = rng.integers(256)
        if rng.random() < 0.2:
            del content[rng.integers(len(content)) :]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                load_table(write(bytes(content), name), "y")
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017


def test_a_row_that_is_both_ragged_and_not_utf8_is_one_line(tmp_path, capfd):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,y\n1,2,3\n\xe4,1\n")
    with pytest.raises(InputError, match="line 3: byte 0xe4 is not UTF-8"):
        read_table(path)
    assert capfd.readouterr().err == ""  # the reader shows a traceback if it gets that far
