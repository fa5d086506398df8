"""Names that nothing else in a file has."""

from __future__ import annotations

from backhand.export.free_names import free_name


def test_a_name_is_given_once():
    taken = {"int"}
    given = [free_name(name, taken) for name in ("int", "a", "a", "a_2")]
    assert given == ["int_2", "a", "a_2", "a_2_2"]
    assert taken == {"int", *given}
    assert free_name("a", taken, ".") == "a.2"
