"""The errors that people see."""

from __future__ import annotations

import pytest

from backhand.errors import (
    BackhandError,
    InputError,
    amount,
    first_line,
    printable,
    unknown_name,
)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Relu", "unknown thing 'Relu': did you mean 'relu'? valid: relu, tanh"),
        ("tan", "unknown thing 'tan': did you mean 'tanh'? valid: relu, tanh"),
        ("zzz", "unknown thing 'zzz': valid: relu, tanh"),
        (7, "unknown thing '7': valid: relu, tanh"),
    ],
)
def test_names_the_nearest_valid_name(name, said):
    error = unknown_name("thing", name, {"tanh": 1, "relu": 2})
    assert isinstance(error, InputError)
    assert str(error) == said


def test_people_can_catch_it_as_pythons_or_as_ours():
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, BackhandError)


def test_what_other_libraries_say_is_one_short_printable_line():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(ValueError("a\x1b[31mb")) == r"a\x1b[31mb"
    assert len(first_line(ValueError("x" * 1000))) == 200
    assert printable("сыр\t\x07") == r"сыр\t\x07"


def test_amounts_have_no_exponent_where_people_can_read_them():
    assert amount(0.0123456) == "0.01235"
    assert amount(-42063.4) == "-42,063"
    assert amount(1999.0) == "1999"  # a year
    assert amount(9999.6) == "10,000"
    assert amount(0.1234567, 6) == "0.123457"
    assert amount(2e12) == "2e+12"
    assert amount(float("nan")) == "nan"
