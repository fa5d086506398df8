from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.datasets.dialect import SEPARATORS, checked_text, find_dialect, open_text
from backhand.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "usual", "separator"),
    [
        ("a\n1\n", ",", ","),
        ("a\n1\n", "\t", "\t"),
        ("a,b\n1;2,3\n", ",", ","),
        ("a,b;c\n1,5;2\n", ",", ","),  # both divide the rows alike
        ("a,b;c\n1;2\n", ",", ";"),
        ("a,b|c\n1,2|3\n", "\t", ","),
        ("a|b;c;d\n1|2;3;4\n", ",", ";"),
        ("a;b\n1,5;2,5\n", ",", ";"),
        ('"a,b";c\n"1,2";3\n', ",", ";"),
        ("a;b\n\n1;2\n\n3;4\n", ",", ";"),
        ("text\nwell; so, it is\n", ",", ","),
        ("a,b\n1,2\n1,2,3\n", ",", ","),  # a ragged row is no other separator
        ("a;b\n1;" + "2" * 200_000, ",", ";"),  # too long for Python's reader
        ("a\tb\n" + "1\t2\n" * 400_000, ",", "\t"),  # more than is looked at
    ],
)
def test_separators(write, text, usual, separator):
    assert find_dialect(write(text), None, None, usual).separator == separator


def test_a_line_for_excel(write):
    path = write("sep=|\na;x|b\n1|2\n")
    assert find_dialect(path, None, None) == (("a;x", "b"), "|", "utf-8", 2)
    assert find_dialect(path, ";", None).separator == ";"
    with pytest.raises(InputError, match="is empty"):
        find_dialect(write("sep=;\n"), None, None)
    with pytest.raises(InputError, match="first line is blank"):
        find_dialect(write("sep=;\n\na;b\n"), None, None)


@given(
    st.lists(
        st.lists(st.text("ab1.5 ", max_size=4), min_size=3, max_size=3), min_size=1, max_size=10
    ),
    st.sampled_from(SEPARATORS),
)
def test_what_csv_writes_is_divided_as_it_was(tmp_path_factory, rows, mark):
    text = io.StringIO()
    csv.writer(text, delimiter=mark).writerows([("a", "b", "c"), *rows])
    path = tmp_path_factory.mktemp("dialect") / "t.csv"
    path.write_text(text.getvalue(), newline="")
    assert find_dialect(path, None, None) == (("a", "b", "c"), mark, "utf-8", 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "cp1252", "shift_jis"])
def test_any_encoding_becomes_utf8(write, encoding):
    text = "a,b\n" + "x y,z\r\n" * 500_000
    path = write(text.encode(encoding))
    with open_text(path, encoding) as file:
        assert file.read() == text.encode()


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"a\n" * 3_000_000 + b"\xe9", "utf-8", "line 3000001: byte 0xe9 is not UTF-8 text"),
        (b"a\n" * 3_000_000 + b"\xe9", "ascii", "line 3000001: byte 0xe9 is not ascii text"),
        ("a\nb".encode("utf-16")[:-1], "utf-16", "line 2: byte 0x62 is not utf-16 text"),
        (b"a\n\x81\n", "cp1252", "line 2: byte 0x81 is not cp1252 text"),
    ],
)
def test_bytes_that_an_encoding_does_not_have(write, content, encoding, message):
    with pytest.raises(InputError, match=message):
        checked_text(write(content), encoding, 1)


def test_blank_lines_at_the_end_are_counted(write):
    for end in ("\n", "\r\n", "\r"):
        for blank in range(4):
            path = write(f"a{end}1{end}{end * blank}")
            assert checked_text(path, "utf-8", 1) == blank
