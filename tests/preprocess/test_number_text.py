from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.preprocess import number_text
from backhand.preprocess.number_text import NumberSpelling, wide

POINT, COMMA = wide("."), wide(",")


def read(cells, spelling):
    return number_text.as_floats(number_text.plain_characters(pa.array(cells)), spelling)


@pytest.mark.parametrize(
    ("cell", "spelling", "value"),
    [
        ("1", POINT, 1),
        ("+.5", POINT, 0.5),
        ("7.", POINT, 7),
        ("-3E2", POINT, -300),
        ("1,234.5", POINT, 1234.5),
        ("12,345,678", POINT, 12345678),
        ("1.234,5", COMMA, 1234.5),
        ("0,532", COMMA, 0.532),
        ("1 234 567,25", COMMA, 1234567.25),
        ("1\u00a0234,5", COMMA, 1234.5),
        ("1\u202f234", POINT, 1234),
        ("1'234.5", POINT, 1234.5),
        ("1\u2019234", POINT, 1234),
        ("\u22121.5", POINT, -1.5),
        ("12 %", POINT, 12),
        ("-0,5%", COMMA, -0.5),
        ("$1,200", POINT, 1200),
        ("-$5", POINT, -5),
        ("$-5", POINT, -5),
        ("$ 5.50", POINT, 5.5),
        ("1.200 €", COMMA, 1200),
        ("EUR 5", POINT, 5),
        ("5 eur", POINT, 5),
        ("(1,200)", POINT, -1200),
        ("($5)", POINT, -5),
        ("inf", POINT, np.inf),
        ("-Infinity", POINT, -np.inf),
        ("1e999", POINT, np.inf),
    ],
)
def test_numbers(cell, spelling, value):
    assert read([cell], spelling).tolist() == [value]


@pytest.mark.parametrize(
    ("cell", "spelling"),
    [
        *((cell, POINT) for cell in ("1,5", "0,532", "1,2345", "12,34,567", "1.2.3", "1,234,5")),
        *((cell, POINT) for cell in ("", "-", ".", "0x10", "1_000", "2x", "nan", "1 2", "$", "%")),
        *(
            (cell, POINT)
            for cell in ("+-5", "-$-5", "(-5)", "(5", "5)", "5 %%", "1e", "e5", "$5€€")
        ),
        *((cell, COMMA) for cell in ("1.5", "1,5,5", "1,234.5")),
        ("1,234", NumberSpelling(".")),
        ("1.234", NumberSpelling(",")),
    ],
)
def test_what_is_no_number(cell, spelling):
    assert np.isnan(read([cell], spelling)).all()


def test_nothing_is_no_number():
    assert np.isnan(number_text.as_floats(pa.array([None], pa.string()), POINT)).all()
    assert len(number_text.as_floats(pa.array([], pa.string()), POINT)) == 0


@pytest.mark.parametrize(
    ("cells", "likely", "expected"),
    [
        (["1", "2"], ".", NumberSpelling(".")),
        (["1", "2"], ",", NumberSpelling(",")),
        (["1,5", "2"], ".", NumberSpelling(",")),
        (["1.5", "2"], ",", NumberSpelling(".")),
        # Three digits after each comma are thousands, after each point they are decimals.
        (["1,234", "2,345"], ".", POINT),
        (["1.234", "2.345"], ".", NumberSpelling(".")),
        # but not where the rest of the file has decimal commas
        (["1,234", "2,345"], ",", NumberSpelling(",")),
        (["1.234", "2.345"], ",", COMMA),
        (["1,234", "0,345"], ".", NumberSpelling(",")),
        (["1,234.5", "1"], ",", POINT),
        (["1.234,5", "1"], ".", COMMA),
        (["1,234", "1.5", "2.5"], ",", POINT),
        (["a", "b"], ".", NumberSpelling(".")),
    ],
)
def test_the_column_decides_how_it_is_spelt(cells, likely, expected):
    counts = np.ones(len(cells), dtype=np.int64)
    found = number_text.spelling_of(pa.array(cells), counts, None, likely)
    assert found == expected


def test_most_cells_decide_and_a_named_mark_decides_alone():
    cells, counts = pa.array(["1,5", "1.5"]), np.array([3, 2])
    assert number_text.spelling_of(cells, counts, None, ".").decimal == ","
    assert number_text.spelling_of(cells, counts[::-1], None, ",").decimal == "."
    assert number_text.spelling_of(cells, counts, ".", ",").decimal == "."


def test_evidence_is_of_cells_that_have_one_meaning():
    assert number_text.evidence(pa.array(["1,5", "2,25", "1.5", "1,234", "7", "a"])) == 1


def test_signs():
    assert number_text.sign_of(pa.array(["5", "7 %"])) == "%"
    assert number_text.sign_of(pa.array(["1 eur"])) == "eur"
    assert number_text.sign_of(pa.array(["5", "1e5"])) == ""


@st.composite
def spelt(draw):
    """A number and one of the ways to write it."""
    spelling = draw(st.sampled_from([POINT, COMMA]))
    digits = draw(st.integers(0, 6))
    value = draw(st.integers(-(10**9), 10**9)) / 10**digits
    between = draw(st.sampled_from(["", " ", "'", "\u00a0", spelling.thousands]))
    text = f"{abs(value):,.{digits}f}".replace(",", "t").replace(".", "d")
    text = text.replace("t", between).replace("d", spelling.decimal)
    text += draw(st.sampled_from(["", " %", "%", " €", "CHF"]))
    minus = draw(st.sampled_from(["-{}", "\u2212{}", "({})", "- {}"]))
    # What is printed of the value is what is read back.
    value = float(f"{value:.{digits}f}")
    return spelling, value, minus.format(text) if value < 0 else text


@given(spelt())
def test_what_is_written_is_read(case):
    spelling, value, text = case
    assert read([text], spelling).tolist() == [value]


@given(st.lists(st.text(max_size=8)), st.sampled_from([POINT, COMMA, NumberSpelling(".")]))
def test_any_text_is_a_number_or_none(cells, spelling):
    text = number_text.plain_characters(pa.array(cells, pa.string()))
    values = number_text.as_floats(text, spelling)
    np.testing.assert_array_equal(~np.isnan(values), number_text.matches(text, spelling))
