"""Rows and parameters as people give them; what a fit makes of them is in `test_base`."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import InputError, TabularClassifier
from backhand.tabular.entering import generator, is_list_of_dicts, is_whole, sequence, table_of


def test_rows_with_names_are_told_from_rows_without():
    assert is_list_of_dicts([{"a": 1}])
    assert not any(map(is_list_of_dicts, ([], [[1]], {"a": [1]}, np.ones((1, 1)))))


def test_an_array_and_a_dict_of_columns_are_tables():
    estimator = TabularClassifier()
    assert table_of(estimator, np.ones((3, 2)), True, "X").names == ["x0", "x1"]
    assert estimator.n_features_in_ == 2
    assert table_of(estimator, {"a": [1, 2]}, True, "X").rows == 2


@pytest.mark.parametrize("X", [None, "rows", 1, np.ones(3), np.ones((0, 2)), np.ones((2, 0)), [1j]])
def test_what_is_no_table_is_refused_by_name(X):
    with pytest.raises(InputError, match="X_val"):
        table_of(TabularClassifier(), X, True, "X_val")


def test_parameters():
    assert sequence(None, "drop", "columns") == ()
    assert sequence("a", "drop", "columns") == ("a",)
    assert sequence(["a", "b"], "drop", "columns") == ("a", "b")
    with pytest.raises(InputError, match="drop must be a list of columns, got 1"):
        sequence(1, "drop", "columns")
    with pytest.raises(InputError, match="random_state='x'"):
        generator("x")
    assert is_whole(np.int64(2))
    assert not is_whole(True)
