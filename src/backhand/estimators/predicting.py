"""The forward pass of a fitted estimator, compiled with its coefficients as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from ..export.exportable import Exportable
from ..network import Params
from ..plan.ranges import check_range, squares_within
from .entering import validated
from .fitted import Fitted

if TYPE_CHECKING:
    from ..export.program import Program

Array = Any


class Predicting(Exportable):
    """The part of an estimator that predicts."""

    coefs_: list[Array]
    intercepts_: list[Array]
    _fitted: Fitted

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in self.__dict__

    def _record(self) -> Fitted:
        """What the last fit left behind. Raises NotFittedError if there was none."""
        fitted: Fitted | None = self.__dict__.get("_fitted")
        if fitted is None:
            check_is_fitted(self)
        return fitted  # type: ignore[return-value]  # it was raised

    def _params(self, fitted: Fitted) -> Params:
        """The parameters now, which somebody may have replaced."""
        return fitted.params_of(self.coefs_, self.intercepts_)

    def _logits(self, X: Array) -> tuple[Array, Fitted]:
        """The logits (N, K): float32 if X is, else float64 as scikit-learn gives."""
        fitted = self._record()
        if not is_right(X, fitted):
            X = validated(self, X, reset=False)
            check_range(X, fitted.network.dtype, "X")
        return self._forwarded(X, fitted), fitted

    def predictor(self) -> Callable[[Array], Array]:
        """The compiled forward pass by itself, for programs that predict one row at a time.

        It takes x (n_samples, n_features), unchecked, in C order and of the dtype of ``coefs_``,
        and gives the logits (n_samples, n_outputs) in that dtype; other arrays take it longer. It
        keeps the coefficients of now, and may be called from several threads at once.
        """
        fitted = self._record()
        return fitted.network.predictor(self._params(fitted))

    def to_program(self) -> Program:
        """The fitted network as straight-line programs, from which exports are written."""
        from .programs import program_of_fitted

        fitted = self._record()
        return program_of_fitted(fitted, self._params(fitted))

    def _forwarded(self, X: Array, fitted: Fitted) -> Array:
        sparse = type(X) is not np.ndarray and issparse(X)
        result = np.float32 if X.dtype == np.float32 else np.float64
        predict = None if sparse else fitted.compiled(self.coefs_, self.intercepts_)
        if predict is None:
            with np.errstate(over="ignore", invalid="ignore"):  # as machine code does
                z = fitted.forward(X, self._params(fitted))
        else:
            dtype = fitted.dtype
            z = predict(X if X.dtype is dtype or len(X) > 1 else X.astype(dtype, order="C"))
        if not squares_within(z, sys.float_info.max):  # else all are finite
            fitted.check_logits(z, X, self._params(fitted))
        if z.dtype == result:
            return z
        with np.errstate(over="ignore"):
            return z.astype(result)


def is_right(X: Array, fitted: Fitted) -> bool:
    """Whether X needs no further check: the quick way for a few rows at a time.

    A sum of squares within the limit says at once that every value is finite, in the network too.
    """
    if (
        type(X) is not np.ndarray
        or X.ndim != 2
        or X.shape[1] != fitted.inputs
        or X.shape[0] == 0
        or fitted.names is not None
    ):
        return False
    limit = fitted.limits.get(X.dtype.char)
    return limit is not None and squares_within(X, limit)
