from __future__ import annotations

import numpy as np
import pytest

from backhand import InputError, MLPRegressor
from backhand.estimators.course import Course


def test_a_course_that_goes_on_leaves_the_earlier_one_as_it_was():
    first = Course()
    first.begin(early_stopping=False)
    first.record("loss_curve_", 3.0)
    shown = first.settled()["loss_curve_"]
    second = first.resumed()
    second.record("loss_curve_", 2.0)
    assert second.attributes()["loss_curve_"] == [3.0, 2.0]
    assert (shown, first.last("loss_curve_"), second.last("loss_curve_")) == ([3.0], 3.0, 2.0)
    assert second.settled()["loss_curve_"] is shown  # the list that the user has grows
    assert shown == second.attributes()["loss_curve_"] == [3.0, 2.0]


def test_a_score_begins_anew_where_early_stopping_comes_later():
    course = Course()
    course.begin(early_stopping=False)
    course.record("loss_curve_", 3.0)
    course.settled()
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


def test_a_part_costs_the_same_however_long_the_curve():
    X = np.zeros((5, 2))
    model = MLPRegressor(hidden_layer_sizes=(2,), random_state=0)
    curve = model.partial_fit(X, X[:, 0]).loss_curve_
    for _ in range(3):
        model.partial_fit(X, X[:, 0])
    assert model.loss_curve_ is curve
    assert len(curve) == 4
