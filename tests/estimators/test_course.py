from __future__ import annotations

import copy

import numpy as np
import pytest

from backhand import InputError, MLPRegressor
from backhand.estimators.course import Course
from backhand.train.state import Epoch
from backhand.train.stopping import Best


def line(loss):
    return Epoch(1, loss, None, None, 0.1, 1.0)


def test_a_course_that_goes_on_leaves_the_earlier_one_as_it_was():
    first = Course()
    first.begin(early_stopping=False, last=Best())
    first.note(line(3.0), Best(-3.0), early_stopping=False)
    first.settle()
    second = first.resumed()
    second.note(line(2.0), Best(-2.0), early_stopping=False)
    for _ in range(2):
        assert second.attributes()["loss_curve_"] == [3.0, 2.0]
        assert first.attributes()["loss_curve_"] == [3.0]
        assert (first.best_loss_, second.best_loss_) == (3.0, 2.0)
        second.settle()


def test_a_score_begins_anew_where_early_stopping_comes_later():
    course = Course()
    course.begin(early_stopping=False, last=Best())
    course.note(line(3.0), Best(-3.0), early_stopping=False)
    course.settle()
    assert course.begin(False, Best(waited=4)) == Best(-3.0, waited=4)
    assert course.begin(True, Best(waited=4)) == Best()
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
