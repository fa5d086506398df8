"""What the classifier and the regressor share."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context, is_regressor
from sklearn.utils import check_random_state, column_or_1d

from ..errors import InputError
from ..formulas.losses import Loss
from ..network import Network, Params
from ..plan.ranges import check_range
from ..report.walk.explorable import Explorable
from ..run.namespaces import stored_rows
from ..train.rows import CheckedRows, Rows, parts
from . import fitting, parameters
from .course import BY_EPOCHS, Course
from .curves import draw_curves
from .entering import as_input_error, validated
from .fitted import Fitted, composed
from .persistence import Persistent
from .predicting import Predicting
from .shown import Shown
from .task import Task
from .watching import Watchable, watch_of
from .weighing import checked_weight, product

if TYPE_CHECKING:
    from ..report.page.report import Report
    from ..report.walk.subjects import Subject

Array = Any

AS_THEY_ARE = "bBhHiIlLqQfd"
"""Type codes of X that training gathers from as they are."""

OF_A_FIT = ("feature_names_in_", "stopped_", *BY_EPOCHS)
"""The attributes that only some fits leave behind."""


def _scratch(estimator: Any) -> Any:
    """An estimator of the same parameters that knows nothing of any data."""
    scratch = object.__new__(type(estimator))
    scratch.__dict__.update(estimator.__dict__)
    for name in ("n_features_in_", "feature_names_in_"):
        scratch.__dict__.pop(name, None)
    return scratch


def can_learn_in_parts(estimator: Any) -> bool:
    """True for the stochastic solvers; AttributeError for another, as `available_if` asks."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseMLP(Shown, Watchable, Predicting, Explorable, Persistent, BaseEstimator):  # type: ignore[misc]  # no types
    """Fitting and prediction of both estimators; see `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints = parameters.COMMON

    def _set(self, values: dict[str, Any]) -> None:
        """Set every parameter, from the constructor's `locals()`."""
        for name in self._get_param_names():
            setattr(self, name, values[name])

    # what the two kinds differ in -----------------------------------------------------------------
    # Both define those that raise. An abstract base would take scikit-learn's ``clone`` and tests
    # no further: nobody makes a BaseMLP.

    def _targets(self, y: Array, classes: Array | None) -> Any:
        """What is to be learned, from the first targets."""
        raise NotImplementedError

    def _check_targets(self, targets: Any, y: Array, classes: Array | None) -> None:
        """Raise InputError unless further targets are like the first."""
        targets.check(y, "y")

    def _check_values(self, y: Array, dtype: str, name: str) -> None:
        """Raise InputError unless the loss and the dtype can have every target."""

    def _loss(self, targets: Any) -> tuple[Loss, Any, int, str]:
        """The loss, the activation before it or None, the number of outputs, `out_activation_`."""
        raise NotImplementedError

    def _score_logits(self, fitted: Fitted, z: Array, t: Array, weight: Array | None) -> float:
        """What early stopping maximises; t (N, K) or (N, 1), weight (N,)."""
        raise NotImplementedError

    def _strata(self, fitted: Fitted, t: Array) -> Array | None:
        """What the split for early stopping keeps the shares of."""
        return None

    def _factors(self, targets: Any, t: Array, incremental: bool) -> list[Array]:
        """Factors of each row's weight (N,), by its class."""
        return []

    def _outputs_averaged(self, targets: Any) -> int:
        """The loss that is shown is the one that is minimised divided by this."""
        return 1

    # fitting --------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # as above
    def fit(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        X_val: Array | None = None,
        y_val: Array | None = None,
        sample_weight_val: Array | None = None,
    ) -> Any:
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Every value must be finite. A dense array of any real type is used where it lies; of a
            sparse one, CSR or CSC, the first layer reads only the stored entries.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels or an indicator matrix of several labels; for the regressor, numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, at least 0. A row of weight 0 is as if it were not there.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows for early stopping to judge by, instead of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights; `class_weight` leaves them as they are.

        Returns
        -------
        self : object

        Raises
        ------
        InputError
            A ``ValueError``: if a parameter or the data make no sense, or training diverges.
        """
        judged = parameters.rows_to_judge(self, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, incremental=False, judged=judged)

    def _fit(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None,
        *,
        incremental: bool,
        judged: tuple[Array, Array, Array | None] | None = None,
        classes: Array | None = None,
    ) -> Any:
        """Fit, and hand over what has come of it at the very end: an error changes nothing."""
        if incremental and self.early_stopping and judged is None:
            raise InputError(
                "partial_fit with early_stopping=True needs X_val and y_val, rows to judge by: "
                "rows set aside from one call may be learnt from in another"
            )
        if incremental:  # scikit-learn looks at parameters in the first part only
            self._validate_params()
        parameters.check_together(self)
        before = self.__dict__.get("_fitted") if self.warm_start or incremental else None
        X, y, seen = self._checked(X, y, self if before else _scratch(self))
        course = Course() if before is None else before.course.resumed()
        if not (incremental and self.early_stopping):
            course.stopped_ = None
        elif course.stopped_:
            return self
        tasks = 0 if incremental else self.max_iter + (self.solver == "lbfgs")
        watch = watch_of(self, X, y, sample_weight, tasks)
        with as_input_error("y"):
            if before is None:
                targets = self._targets(y, classes)
            else:
                targets = before.targets
                self._check_targets(targets, y, classes)
        rng = check_random_state(self.random_state)
        fitted = self._described(X, targets, before, course, incremental, seen)
        network = fitted.network
        data, rows, exponent = self._data(X, y, sample_weight, fitted, incremental=incremental)
        if before is None:
            params = self._first_params(network, X, rng)
        else:
            params = before.params_of(self.coefs_, self.intercepts_)
            params = {name: a.astype(network.dtype) for name, a in params.items()}
        validation = None if judged is None else self._judged(fitted, *judged)
        with np.errstate(over="ignore"):
            alpha = float(np.ldexp(float(self.alpha), exponent))
        averaged = self._outputs_averaged(targets)
        task = Task(self, fitted, params, data, rows, validation, alpha, averaged, rng, incremental)
        params, state, live = fitting.train(task, before, watch)
        if watch is not None:
            watch.close(lambda: task.attributes(params))
        fitted = dataclasses.replace(fitted, state=state, live=live).with_params(params)
        course.settle()
        self._hand_over(fitted.attributes(course.attributes()))
        return self

    def _hand_over(self, attributes: dict[str, Any]) -> None:
        """Have the attributes of a new fit, and none of an earlier one."""
        kept = {name: value for name, value in self.__dict__.items() if name not in OF_A_FIT}
        self.__dict__ = kept | attributes  # at once, for whoever predicts in another thread

    def _checked(self, X: Array, y: Array, seen: Any) -> tuple[Array, Array, Any]:
        """Checked rows and targets; ``seen`` knows the columns, or learns of them."""
        X, y = validated(
            seen,
            X,
            y,
            multi_output=True,
            y_numeric=is_regressor(self),
            reset="n_features_in_" not in seen.__dict__,
        )
        if issparse(y) and (is_regressor(self) or y.shape[1] == 1):
            y = y.toarray()
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y, seen

    def _described(
        self,
        X: Array,
        targets: Any,
        before: Fitted | None,
        course: Course,
        incremental: bool,
        seen: Any,
    ) -> Fitted:
        """What is to be fitted. Raises InputError if a fit cannot go on with it."""
        loss, link, outputs, out_activation = self._loss(targets)
        widths = (X.shape[1], *parameters.hidden_widths(self.hidden_layer_sizes), outputs)
        network = Network(
            widths,
            activation=self.activation,
            loss=composed(loss, link),
            dropout=self.dropout,
            dtype=self._arithmetic(X, before, incremental),
        )
        if before is not None:
            parameters.check_goes_on(before, network, out_activation, incremental)
            if network == before.network:
                network = before.network  # whose hash and plans are known
        return Fitted(
            network,
            loss,
            link,
            out_activation,
            targets,
            self.engine,
            self.solver,
            self.scoring,
            seen.__dict__.get("feature_names_in_"),
            course,
            None,
        )

    def _judged(self, fitted: Fitted, X: Array, y: Array, weight: Array | None) -> Rows:
        """The rows to judge by that count."""
        seen = _scratch(self)
        seen.n_features_in_ = fitted.network.inputs
        if fitted.names is not None:
            seen.feature_names_in_ = fitted.names
        X, y, _ = self._checked(X, y, seen)
        fitted.targets.check(y, "y_val")
        data, rows, _ = self._data(X, y, weight, fitted, "_val")
        return data if len(rows) == X.shape[0] else data.take(rows)

    def _arithmetic(self, X: Array, before: Fitted | None, incremental: bool) -> str:
        """The dtype to train in."""
        if self.dtype != "auto":
            return str(self.dtype)
        if before is not None:
            return before.network.dtype
        small = X.shape[0] <= parameters.DEFAULT_BATCH and not incremental
        exact = self.solver == "lbfgs" or (small and X.dtype != np.float32)
        return "float64" if exact else "float32"

    def _first_params(self, network: Network, X: Array, rng: np.random.RandomState) -> Params:
        if self.initialiser is None:
            return parameters.draw(network, rng, str(self.activation))
        some = next(parts(X))[1]
        return network.init(self.initialiser, int(rng.randint(2**31 - 1)), some)

    def _data(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None,
        fitted: Fitted,
        which: str = "",
        incremental: bool = False,
    ) -> tuple[CheckedRows, Array, int]:
        """The data, the rows of it that count, and a power of 2 that weights were multiplied by."""
        network, dtype = fitted.network, fitted.network.dtype
        check_range(X, dtype, f"X{which}")
        self._check_values(y, dtype, f"y{which}")
        t = fitted.targets.encode(y)
        factors = [] if which else self._factors(fitted.targets, t, incremental)
        if not network.loss.by_row:
            t = t.astype(dtype, copy=False)
        rows = X.shape[0]
        if sample_weight is not None:
            factors.append(checked_weight(sample_weight, X, f"sample_weight{which}"))
        if issparse(X):
            X = stored_rows(X)
        elif X.dtype.char not in AS_THEY_ARE or not X.dtype.isnative:
            X = X.astype(dtype, order="C")
        elif X.strides[1] != X.itemsize:  # once here, not again in each epoch
            X = np.ascontiguousarray(X)
        if not factors:
            return CheckedRows(X, t, None), np.arange(rows), 0
        weight, exponent = product(factors, dtype, f"sample_weight{which}")
        counted = np.flatnonzero(weight > 0)
        return CheckedRows(X, t, weight[:, None]), counted, exponent

    def _learned(self) -> str:
        fitted: Fitted | None = self.__dict__.get("_fitted")
        if fitted is None:
            return ""
        network, course = fitted.network, fitted.course
        parameters = f"{network.n_parameters:,} parameters"
        loss = "" if course.loss_ is None else f"; loss {course.loss_:.4g}"
        return f"Fitted: {network.summary}, {parameters}, {course.n_iter_} iterations{loss}"

    def explored(self, rows: Any, y: Any) -> Subject:
        """The networks, rows and targets that `explore` shows."""
        from ..report.walk.subjects import of_fitted

        fitted = self._record()
        x = validated(self, rows, reset=False)
        return of_fitted(fitted, self._params(fitted), x, y, type(self).__name__)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        X: Array | None = None,
        y: Array | None = None,
    ) -> Report:
        """Everything that can be seen of the network, as one HTML file; a notebook shows it.

        Parameters
        ----------
        path : path-like, default=None
            The file to write.
        X : array-like of shape (n_samples, n_features), default=None
            Rows that were not learned from. Without any, only training is shown.
        y : array-like of shape (n_samples,), default=None

        Returns
        -------
        Report

        Raises
        ------
        InputError
            If rows or targets do not fit, there are several targets, or the file cannot be written.
        """
        from ..report.page.reports import of_estimator

        fitted = self._record()
        if X is not None:
            X = validated(self, X, reset=False)
        found = of_estimator(self, fitted, self._params(fitted), X, y)
        if path is not None:
            found.save(path)
        return found

    def plot_history(self, ax: Any = None) -> Any:
        """Draw the losses and the validation score of each epoch.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None: into a new figure of pyplot's.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If the solver was "lbfgs", which has no epochs.
        """
        return draw_curves(self._record(), ax)

    # copies, pickles and tags ---------------------------------------------------------------------

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        fitted = self.__dict__.get("_fitted")
        if fitted is not None:
            self._arrange(fitted)

    def _arrange(self, fitted: Fitted) -> None:
        """Have the parameters where compiled code reads them; leave alone what does not fit."""
        try:
            fitted = fitted.with_params(self._params(fitted))
        except InputError:  # which predicting will raise again
            fitted = fitted.without_params()
        else:
            self.coefs_, self.intercepts_ = fitted.coefs, fitted.intercepts
        self._fitted = fitted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
