"""`TabularClassifier` and `TabularRegressor`: networks for tables, in scikit-learn's manner."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from ..errors import InputError
from ..plan.ranges import as_numbers
from .base import BaseTabular
from .fitting import Fitted

Array = Any


class TabularClassifier(ClassifierMixin, BaseTabular):  # type: ignore[misc]  # scikit-learn has no types
    """Networks that predict the class of each row of a table.

    Parameters
    ----------
    preset : {"fast", "default", "best"} or Recipe, default="default"
        How much time to spend; see `backhand.tabular.recipes`.
    n_members : int, default=None
        How many networks, instead of as many as the preset has.
    time_limit : float, default=None
        Seconds that a fit may take. Where the preset needs more, fewer epochs, networks or rows
        are learned from.
    metric : str, default=None
        What to make as good as possible: one of `sklearn.metrics.get_scorer_names`, or "log_loss",
        "auc" and the like. It decides which epoch of each network is kept, and how much each kind
        of network counts; by default the log-loss. Of two classes, a metric of classes such as
        "f1" or "balanced_accuracy" also decides from which probability on the second is predicted.
    class_weight : dict or "balanced", default=None
        What each class counts, by its label.
    random_state : int, RandomState or None, default=None
        Of initial weights, order of rows, dropout, and which rows are held out. The same number
        gives the same bits, on any number of threads.
    threads : int, default=None
        How many networks are trained at a time; by default as many as the machine grants.
    callbacks : sequence of callable, default=()
        Each is called with a `MemberProgress` after every epoch of every network, one call at a
        time; one that returns True ends the fit. If it has a method ``prepared``, that is called
        first, with the `TablePreparation` that says how the columns are treated.
    drop, keep : sequence of str, default=()
        Columns to leave out, and columns to use though they look like identifiers.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : TableModel
        All that predicts.
    members_ : list of Member
        The networks that were trained, with the history of each in ``result``.
    held_out_ : HeldOut or None
        Rows that were held out, with what the networks that had not learned from them predict.
        None if there were too few rows to hold any out, and of an estimator that was loaded.
    held_out_score_ : float
        The metric of these rows, of which greater is better.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only where the columns have names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from backhand import TabularClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = TabularClassifier(preset="fast", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        preset: Any = "default",
        *,
        n_members: int | None = None,
        time_limit: float | None = None,
        metric: str | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        threads: int | None = None,
        callbacks: Any = (),
        drop: Any = (),
        keep: Any = (),
    ) -> None:
        self._set(locals())

    def _numbered(self, y: Array, classes: Array | None, name: str) -> tuple[Array, Array | None]:
        try:
            found, numbers = np.unique(y, return_inverse=True)
        except TypeError:
            kinds = sorted({type(value).__name__ for value in y})
            raise InputError(
                f"{name} has classes of several types, {', '.join(kinds)}: make all of them text"
            ) from None
        check_classification_targets(y)
        if classes is None:
            return numbers.reshape(-1), found
        places = np.searchsorted(classes, found).clip(max=len(classes) - 1)
        strange = classes[places] != found
        if strange.any():
            raise InputError(
                f"{name} has the class {found[strange].tolist()[0]!r}, which y does not have"
            )
        return places[numbers.reshape(-1)], classes

    def _attributes(self, fitted: Fitted, classes: Array | None) -> dict[str, Any]:
        return {**super()._attributes(fitted, classes), "classes_": classes}

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, calibrated by rows that were held out.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As for `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Raises
        ------
        InputError
            If a column is missing, or a value makes no sense.
        """
        rows = self._rows(X)  # which raises if it is not fitted
        return self.model_.predict_proba(rows)


class TabularRegressor(RegressorMixin, BaseTabular):  # type: ignore[misc]  # as above
    """Networks that predict a number for each row of a table.

    Parameters
    ----------
    preset, n_members, time_limit, random_state, threads, callbacks, drop, keep
        As of `TabularClassifier`.
    metric : str, default=None
        What to make as good as possible: one of `sklearn.metrics.get_scorer_names`, or "rmse",
        "mae" and the like. It decides which epoch of each network is kept, and how much each kind
        of network counts; by default the root mean squared error.

    Attributes
    ----------
    model_, members_, held_out_, held_out_score_, n_features_in_, feature_names_in_
        As of `TabularClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from backhand import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(preset="fast", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    >>> low, high = model.predict_interval(X, coverage=0.9).T
    """

    def __init__(
        self,
        preset: Any = "default",
        *,
        n_members: int | None = None,
        time_limit: float | None = None,
        metric: str | None = None,
        random_state: Any = None,
        threads: int | None = None,
        callbacks: Any = (),
        drop: Any = (),
        keep: Any = (),
    ) -> None:
        self._set(locals())

    def _numbered(self, y: Array, classes: Array | None, name: str) -> tuple[Array, Array | None]:
        y = as_numbers(y, name).astype(np.float64)
        return y, None

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """An interval for each row, in which the share ``coverage`` of values lies.

        Its half width is the same for all rows: a quantile of the errors of rows that no network
        had learned from (split conformal prediction, Lei et al. 2018). Rows like the training rows
        are covered as promised, on average over all of them.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As for `predict`.
        coverage : float
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_samples, 2)
            The least and the largest value; infinite if too few rows were held out to promise so
            much coverage.

        Raises
        ------
        InputError
            If coverage is not between 0 and 1, or the fit had too few rows to hold any out.
        """
        rows = self._rows(X)  # which raises if it is not fitted
        return self.model_.predict_interval(rows, coverage)
