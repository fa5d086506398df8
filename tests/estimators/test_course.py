from __future__ import annotations

import copy

import numpy as np
import pytest

from backhand import InputError, MLPRegressor
from backhand.estimators.course import Course


def test_a_course_that_goes_on_leaves_the_earlier_one_as_it_was():
    first = Course()
    first.begin(early_stopping=False)
    first.record("loss_curve_", 3.0)
    first.settle()
    second = first.resumed()
    second.record("loss_curve_", 2.0)
    for _ in range(2):
        assert second.attributes()["loss_curve_"] == [3.0, 2.0]
        assert first.attributes()["loss_curve_"] == [3.0]
        assert (first.last("loss_curve_"), second.last("loss_curve_")) == (3.0, 2.0)
        second.settle()


def test_a_score_begins_anew_where_early_stopping_comes_later():
    course = Course()
    course.begin(early_stopping=False)
    course.record("loss_curve_", 3.0)
    course.settle()
    course.begin(early_stopping=True)
    assert course.attributes()["loss_curve_"] == [3.0]
    assert course.attributes()["validation_scores_"] == []
    assert course.best_loss_ is None


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"n_iter_": "many"}, "n_iter_ is 'many'"),
        ({"loss_curve_": [1.0, "x"]}, "loss_curve_ is"),
        ({"loss_curve_": 3.0}, "no 'loss_curve_'"),
        ({"best_loss_": [1.0]}, "best_loss_ is"),
        ({"coefs_": 1}, "no 'coefs_'"),
    ],
)
def test_attributes_that_make_no_course(attributes, message):
    with pytest.raises(InputError, match=message):
        Course.of(attributes)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_the_curve_of_a_copy_is_its_own(copied):
    X = np.zeros((5, 2))
    model = MLPRegressor(hidden_layer_sizes=(2,), random_state=0)
    shown = model.partial_fit(X, X[:, 0]).loss_curve_
    first = list(shown)
    other = copied(model)
    other.partial_fit(X, X[:, 0])
    assert model.loss_curve_ == shown == first
    assert len(other.loss_curve_) == 2
    model.loss_curve_.append(0.5)
    model.partial_fit(X, X[:, 0])
    assert len(model.loss_curve_) == len(other.loss_curve_)
    assert shown == [*first, 0.5]
