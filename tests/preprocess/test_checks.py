from __future__ import annotations

import pytest

from backhand.errors import InputError
from backhand.preprocess import checks


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "1", None, True, [1.0]])
def test_finite_refuses(value):
    with pytest.raises(InputError, match=r"^mean: "):
        checks.finite(value, "mean")


def test_finite_takes_integers_and_a_lower_bound():
    assert checks.finite(3, "std", above=0) == 3.0
    with pytest.raises(InputError, match="greater than 0, not -1"):
        checks.finite(-1, "std", above=0)
    with pytest.raises(InputError, match="greater than 0"):
        checks.finite(0, "std", above=0)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3"])
def test_positive_int_refuses(value):
    with pytest.raises(InputError, match="integer of at least 1"):
        checks.positive_int(value, "width")


def test_flag_text_and_one_of():
    assert checks.flag(False, "missing") is False
    assert checks.text("a", "name") == "a"
    assert checks.one_of("table", "kind", ("pixels", "table")) == "table"
    with pytest.raises(InputError, match="true or false"):
        checks.flag(1, "missing")
    with pytest.raises(InputError, match="must be text"):
        checks.text(1, "name")
    with pytest.raises(InputError, match="did you mean 'table'"):
        checks.one_of("tabel", "kind", ("pixels", "table"))
    with pytest.raises(InputError, match="unknown kind"):
        checks.one_of(["table"], "kind", ("pixels", "table"))


def test_entries_names_what_is_missing_and_what_is_too_much():
    with pytest.raises(InputError, match="'std' is missing"):
        checks.entries({"mean": 0}, "here", ("mean", "std"))
    with pytest.raises(InputError, match="'sdt' is not known"):
        checks.entries({"mean": 0, "std": 1, "sdt": 1}, "here", ("mean", "std"))
    with pytest.raises(InputError, match="must be a mapping, not list"):
        checks.entries([], "here", ())


def test_long_values_are_shortened():
    with pytest.raises(InputError) as caught:
        checks.flag("x" * 10_000, "missing")
    assert len(str(caught.value)) < 120
