"""Any text gives valid identifiers, strings and comments."""

from __future__ import annotations

import ctypes
import dataclasses
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backhand import InputError
from backhand.export.c.files import c_texts
from backhand.export.c.names import comment, near_identifier, string
from backhand.export.program import Decision

from ..programs import table_program
from .programs import compiled, needs_gcc

NASTY = [
    *("", " ", "int", "class", "2nd", "a*/b", "/* x", "??/", "??=", "\\", '"', "'", "\n", "\r\n"),
    *("*\\", "tree", "add", "network1", "w1"),
    *("größe", "年齢", "😀", "a b", "a-b", "a_b", "OTHER", "of_text", "row", "predict", "linux"),
    *(
        "x" * 300,
        "NULL",
        "\x01",
        "%s",
        "0",
        "-1",
        "1e5",
        "\u2028",
        "ß",
        "a\\",
        "//",
        "city_of_text",
    ),
]
TEXTS = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(exclude_characters="\0"), max_size=20)
)


def named(program, names, values, classes):
    """The program with other texts."""
    columns = [
        dataclasses.replace(column, name=name, values=tuple(values) if column.values else ())
        for column, name in zip(program.columns, names, strict=True)
    ]
    return dataclasses.replace(
        program, columns=tuple(columns), decision=Decision("largest", tuple(classes))
    )


@needs_gcc
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(TEXTS, min_size=4, max_size=4, unique=True),
    st.lists(TEXTS, min_size=3, max_size=3, unique=True),
    st.lists(TEXTS, min_size=3, max_size=3, unique=True),
)
def test_any_names_compile_and_texts_are_found(tmp_path, names, values, classes):
    program = named(table_program(), names, values, classes)
    header, source = c_texts(program, "net")
    (tmp_path / "net.h").write_text(header, "ascii")
    (tmp_path / "net.c").write_text(source, "ascii")
    number = len(list(tmp_path.glob("*.so")))
    compiled(tmp_path / "net.c", tmp_path / f"{number}.so", flags=("-O0", "-shared", "-fPIC"))
    lib = ctypes.CDLL(str(tmp_path / f"{number}.so"))
    lib.net_class_name.restype = ctypes.c_char_p
    assert [lib.net_class_name(i) for i in range(3)] == [c.encode() for c in classes]
    assert lib.net_class_name(3) == lib.net_class_name(-1) == b""
    functions = [
        line.split("(")[0].split()[-1]
        for line in header.splitlines()
        if "_of_text(" in line and line.startswith("int32_t")
    ]
    assert len(functions) == 2
    for function in functions:
        find = getattr(lib, function)
        assert [find(v.encode()) for v in values] == [k if v else -2 for k, v in enumerate(values)]
        assert find(b"\xff never") == -1
        assert find(None) == -2


@needs_gcc
def test_categories_called_as_functions_and_constants_of_the_file_compile(tmp_path):
    called = ["tree", "network1", "FLASH", "map"]
    values = ["add", "w1", "BYTES"]
    header, source = c_texts(named(table_program(), called, values, "abc"), "NET")
    for taken in ("#define NET_FLASH_BYTES ", " NET_tree_add_f64(", " NET_network1_w1["):
        assert taken in header + source
    (tmp_path / "NET.h").write_text(header, "ascii")
    (tmp_path / "NET.c").write_text(source, "ascii")
    compiled(tmp_path / "NET.c", tmp_path / "NET.so", flags=("-O0", "-shared", "-fPIC"))


@needs_gcc
@pytest.mark.parametrize("prefix", ["net", "NET"])
def test_categories_that_would_have_any_name_of_the_file_compile(tmp_path, prefix):
    program = table_program()
    own = set(re.findall(rf"\b{prefix}_(\w+)", "".join(c_texts(program, prefix))))
    for column in sorted({name.partition("_")[0] for name in own}):
        values = tuple(sorted(n.partition("_")[2] for n in own if n.startswith(f"{column}_")))
        last = dataclasses.replace(program.columns[-1], name=column, values=values)
        columns = (*program.columns[:-1], last)
        header, source = c_texts(dataclasses.replace(program, columns=columns), prefix)
        (tmp_path / f"{prefix}.h").write_text(header, "ascii")
        (tmp_path / f"{prefix}.c").write_text(source, "ascii")
        test = f"-D{prefix.upper()}_SELFTEST"
        compiled(tmp_path / f"{prefix}.c", tmp_path / "out", flags=("-O0", test))


@pytest.mark.parametrize("text", ["*\\", "a *\\ int x; /\\*", "**//", "/*/", "*/*/", "/**/"])
def test_comments_neither_end_nor_begin_in_a_text(text):
    assert not {"*/", "/*"} & {comment(text)[i : i + 2] for i in range(len(text) * 2)}


def test_comments_have_no_trigraphs():
    assert comment("????/") == "? ? ? ?/"


def test_identifiers_are_readable():
    assert near_identifier("Größe in m²", "c") == "Groe_in_m2"
    assert near_identifier("2nd", "c") == "n2nd"
    assert near_identifier("年齢", "column3") == "column3"


@pytest.mark.parametrize("text", ["x" * 4096, "a\0b"])
def test_texts_that_c_does_not_allow_are_refused(text):
    with pytest.raises(InputError, match="cannot be a text in C"):
        string(text)


def test_strings_hold_any_byte():
    assert string('a"?\n\\é') == r'"a\042\077\012\134\303\251"'
    assert np.all(np.array(list(string("".join(map(chr, range(1, 128)))).encode())) < 127)
