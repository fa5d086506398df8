from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand.preprocess.categories import CategoryColumn
from backhand.preprocess.choice import ENCODERS, LeftOut, choose, encoder_from_dict
from backhand.preprocess.dates import DateColumn
from backhand.preprocess.numbers import NumberColumn


def chosen(values, rows=None, keep=False, embed=True, name="c"):
    return choose(pa.table({name: values}), name, rows, keep, embed)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5, 4.0], NumberColumn),
        (["1,5", "2,5", "4,25"], NumberColumn),
        (["2020-01-01", "2020-02-01"], DateColumn),
        (["a", "b"], CategoryColumn),
        (["007", "008"], CategoryColumn),
        ([True, False], CategoryColumn),
    ],
)
def test_each_kind_of_column_has_its_encoder(values, kind):
    encoder = chosen(values)
    assert type(encoder) is kind
    assert ENCODERS[encoder.kind] is kind
    assert encoder_from_dict(encoder.to_dict()) == encoder


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([[1]] * 3, LeftOut("c", "unusable", "values of type list<item: int64>")),
        ([None] * 3, LeftOut("c", "nothing", "no value in the training rows")),
        ([2, 2, 2], LeftOut("c", "numbers", "constant in the training rows")),
        (["2020-01-01"] * 3, LeftOut("c", "dates (Y-M-D)", "constant in the training rows")),
        (["a"] * 3, LeftOut("c", "text", "constant in the training rows")),
    ],
)
def test_what_is_left_out(values, left):
    assert chosen(values) == left


def test_identifiers_are_kept_if_asked():
    numbers, texts = np.arange(40), [f"t{i}" for i in range(40)]
    for values, kind in ((numbers, NumberColumn), (texts, CategoryColumn)):
        assert isinstance(chosen(values, name="id"), LeftOut)
        assert type(chosen(values, name="id", keep=True)) is kind


def test_row_numbers_are_found_among_training_rows():
    rows = np.random.default_rng(0).permutation(90)[:50]
    assert chosen(np.arange(90), rows, name="id").reason.startswith("row numbers")


def test_many_values_are_embedded_if_asked():
    values = list("abcdefghijkl") * 3
    assert chosen(values).embedded
    assert not chosen(values, embed=False).embedded


def test_a_heavy_share_of_strays_is_noted_once():
    values = [*map(str, range(0, 200, 2)), "n/k", "n/k"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: pytest.fail("told twice"))
        encoder = chosen(values)
    assert encoder.missing == 2
    assert "2 cells" in encoder.strays
