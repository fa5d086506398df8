from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from backhand import InputError, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def drawn(axes) -> dict[str, np.ndarray]:
    """What is to be seen, by its label."""
    every = [line for each in axes.figure.axes for line in each.get_lines()]
    assert len(axes.get_legend().get_texts()) == len(every)
    return {line.get_label(): np.array(line.get_data()) for line in every}


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_the_training_loss_alone(ours, axes):
    model = ours(max_iter=5, random_state=0).fit(X, Y)
    assert model.plot_history(axes) is axes
    lines = drawn(axes)
    assert list(lines) == ["training loss"]
    np.testing.assert_array_equal(lines["training loss"], [range(1, 6), model.loss_curve_])


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_what_early_stopping_saw(scoring, axes):
    model = MLPClassifier(early_stopping=True, scoring=scoring, max_iter=9, random_state=0)
    model.fit(X, Y).plot_history(axes)
    best = 1 + int(np.argmax(model.validation_scores_))
    lines = drawn(axes)
    np.testing.assert_array_equal(lines["validation loss"][1], model.validation_loss_curve_)
    assert list(lines[f"kept: epoch {best}"][0]) == [best, best]
    assert ("validation score" in lines) == (scoring is None)
    if scoring is None:
        np.testing.assert_array_equal(lines["validation score"][1], model.validation_scores_)


def test_a_warm_start_that_came_to_judge_later(axes):
    model = MLPClassifier(warm_start=True, max_iter=3, random_state=0).fit(X, Y)
    model.set_params(early_stopping=True).fit(X, Y).plot_history(axes)
    assert list(drawn(axes)["validation loss"][0]) == [4, 5, 6]


def test_new_axes():
    model = MLPClassifier(max_iter=2, random_state=0).fit(X, Y)
    import matplotlib

    with matplotlib.rc_context({"backend": "agg"}):
        from matplotlib import pyplot

        assert drawn(model.plot_history()).keys() == {"training loss"}
        pyplot.close("all")


def test_a_file_instead_of_axes():
    model = MLPClassifier(max_iter=2, random_state=0).fit(X, Y)
    with pytest.raises(InputError, match=r"must be matplotlib Axes, got str; to save .*savefig"):
        model.plot_history("history.png")


def test_nothing_to_draw():
    with pytest.raises(NotFittedError):
        MLPClassifier().plot_history()
    with pytest.raises(InputError, match="no epochs to draw"):
        MLPClassifier(solver="lbfgs", random_state=0).fit(X, Y).plot_history()
