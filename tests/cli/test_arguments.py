from __future__ import annotations

import pytest

from backhand.cli.arguments import columns, spelt


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (None, ()),
        ([], ()),
        ([""], ()),
        (["a"], ("a",)),
        ([" a b ,c,"], ("a b", "c")),
        (["a,b", "c", "a"], ("a", "b", "c")),
        (['"a, b",c'], ("a, b", "c")),
    ],
)
def test_columns_may_be_repeated_or_separated_by_commas(texts, found):
    assert columns(texts) == found


def test_options_are_spelt_as_on_the_command_line():
    assert spelt("class_weight") == "--class-weight"
