"""What the classifier and the regressor share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context, is_regressor
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..callbacks import entered
from ..errors import InputError
from ..formulas.losses import Loss
from ..network import Network
from ..plan.step import Plan, forward_plan, logits
from ..run.namespaces import stored_rows
from . import lbfgs, parameters, stochastic
from .curves import draw_curves
from .descent import Data, Descent, Params, parts
from .judging import functions_of
from .persistence import Persistent
from .predicting import Predicting
from .watching import Watchable, watch_of

Array = Any

AS_THEY_ARE = "bBhHiIlLqQfd"
"""Type codes of X that training gathers from as they are."""


def can_learn_in_parts(estimator: Any) -> bool:
    """True for the stochastic solvers; AttributeError for another, as `available_if` asks."""
    if estimator.solver not in parameters.STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseMLP(Watchable, Predicting, Persistent, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fitting and prediction of both estimators; see `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints = parameters.COMMON

    def _set(self, values: dict[str, Any]) -> None:
        """Set every parameter, from the constructor's `locals()`."""
        for name in self._get_param_names():
            setattr(self, name, values[name])

    # what the two kinds differ in -----------------------------------------------------------------
    # Both define those that raise. An abstract base would take scikit-learn's ``clone`` and tests
    # no further: nobody makes a BaseMLP.

    def _enter(self, y: Array, *, incremental: bool) -> Array:
        """The targets to learn, (N, K) or (N, 1)."""
        raise NotImplementedError

    def _enter_judged(self, y: Array) -> Array:
        """The targets to judge by, which must be such as were entered to learn."""
        raise NotImplementedError

    def _loss(self) -> tuple[Loss, int, str]:
        """The loss, the number of outputs, and what maps logits to predictions."""
        raise NotImplementedError

    def _score_logits(self, z: Array, t: Array, weight: Array | None) -> float:
        """What early stopping maximises; t (N, K) or (N, 1), weight (N,)."""
        raise NotImplementedError

    def _decoded(self, t: Array) -> Array:
        """The targets as they were given."""
        raise NotImplementedError

    def _strata(self, t: Array) -> Array | None:
        """What the split for early stopping keeps the shares of."""
        return None

    def _weights(self, t: Array, weight: Array | None, *, incremental: bool) -> Array | None:
        """The weight of each row (N,), those of classes included."""
        return weight

    def _outputs_averaged(self) -> int:
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
            sparse one, CSR or CSC, the first layer reads the stored entries alone.
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
    ) -> Any:
        if incremental and self.early_stopping and judged is None:
            raise InputError(
                "partial_fit with early_stopping=True needs X_val and y_val, rows to judge by: "
                "rows set aside from one call may be learnt from in another"
            )
        hidden = parameters.hidden_widths(self.hidden_layer_sizes)
        parameters.check_together(self)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._checked(X, y, reset=first)
        if not (incremental and self.early_stopping):
            self.__dict__.pop("stopped_", None)
        elif getattr(self, "stopped_", False):
            return self
        tasks = 0 if incremental else self.max_iter + (self.solver == "lbfgs")
        watch = watch_of(self, X, y, sample_weight, tasks)
        t = self._enter(y, incremental=incremental)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        sample_weight = self._weights(t, sample_weight, incremental=incremental)
        _, outputs, self.out_activation_ = self._loss()
        widths = (X.shape[1], *hidden, outputs)
        network = self._network(widths, self._arithmetic(X, first, incremental))
        rng = check_random_state(self.random_state)
        self.n_outputs_, self.n_layers_ = outputs, len(network.widths)
        if first:
            self._begin(network, X, rng)
        self._keep(network, zip(self.coefs_, self.intercepts_, strict=True))
        data, rows = self._rows(network, X, t, sample_weight)
        validation = None if judged is None else self._judged(network, t.shape[1], *judged)
        with entered(functions_of(self.callbacks)):
            if self.solver == "lbfgs":
                params = lbfgs.descend(self, network, data, rows, validation, rng, watch)
            else:
                params = stochastic.descend(
                    self, network, data, rows, validation, rng, incremental, watch
                )
        self._keep(network, params)
        lost = self.solver != "lbfgs" and self._descent is not None and self._descent.lost
        if lost or not all(np.isfinite(a).all() for a in (*self.coefs_, *self.intercepts_)):
            raise InputError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed, or learning_rate_init be smaller; training "
                f"was in {network.dtype}."
            )
        if watch is not None:
            watch.close()
        return self

    def _checked(self, X: Array, y: Array, *, reset: bool) -> tuple[Array, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=is_regressor(self),
            reset=reset,
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _judged(
        self, network: Network, columns: int, X: Array, y: Array, weight: Array | None
    ) -> Data:
        """The rows to judge by that count."""
        X, y = self._checked(X, y, reset=False)
        t = self._enter_judged(y)
        if t.shape[1] != columns:
            raise InputError(f"y_val has {t.shape[1]} columns and y has {columns}")
        if weight is not None:
            weight = _check_sample_weight(weight, X, ensure_non_negative=True)
        data, rows = self._rows(network, X, t, weight, "sample_weight_val")
        return data if len(rows) == X.shape[0] else data.take(rows)

    def _network(self, widths: Sequence[int], dtype: str) -> Network:
        return Network(
            widths,
            activation=self.activation,
            loss=self._loss()[0],
            dropout=self.dropout,
            dtype=dtype,
        )

    def _arithmetic(self, X: Array, first: bool, incremental: bool) -> str:
        """The dtype to train in."""
        if not first:
            return str(self.coefs_[0].dtype)
        if self.dtype != "auto":
            return str(self.dtype)
        small = X.shape[0] <= parameters.DEFAULT_BATCH and not incremental
        exact = self.solver == "lbfgs" or (small and X.dtype != np.float32)
        return "float64" if exact else "float32"

    def _begin(self, network: Network, X: Array, rng: np.random.RandomState) -> None:
        if self.initialiser is None:
            params: Params = parameters.draw(network, rng, str(self.activation))
        else:
            some = next(parts(X))[1]
            params = network.init(self.initialiser, int(rng.randint(2**31 - 1)), some)
        self._keep(network, params)
        self.n_iter_ = self.t_ = 0
        self._descent: Descent | None = None
        for name in parameters.CURVES:
            self.__dict__.pop(name, None)  # of an earlier fit, with another solver maybe

    def _keep(self, network: Network, params: Any) -> None:
        layers = [(np.asarray(w), np.asarray(b)) for w, b in params]
        self.coefs_ = [w for w, _ in layers]
        self.intercepts_ = [b for _, b in layers]
        self._house()
        self._forward: tuple[Network, Plan, str] = network, forward_plan(network), logits(network)

    def _rows(
        self,
        network: Network,
        X: Array,
        t: Array,
        sample_weight: Array | None,
        name: str = "sample_weight",
    ) -> tuple[Data, Array]:
        """The data, and the rows of it that count."""
        if issparse(X):
            X = stored_rows(X)
        elif X.dtype.char not in AS_THEY_ARE or not X.dtype.isnative:
            X = X.astype(network.dtype, order="C")
        elif X.strides[1] != X.itemsize:  # once here, not again in each epoch
            X = np.ascontiguousarray(X)
        t = t if network.loss.by_row else t.astype(network.dtype, copy=False)
        rows = np.arange(X.shape[0])
        if sample_weight is None:
            return Data(X, t, None), rows
        rows = rows[sample_weight > 0]
        if not len(rows):
            raise InputError(f"{name} is 0 for every row: give a positive weight to some")
        return Data(X, t, sample_weight.astype(network.dtype)[:, None]), rows

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
        MissingExtraError
            Without matplotlib.
        """
        check_is_fitted(self)
        return draw_curves(self, ax)

    # copies, pickles and tags ---------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_forward", "_kept"):
            state.pop(name, None)  # functions, which a pickle would have to find again
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in self.__dict__:
            self._house()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
