"""The forward pass of a fitted estimator, compiled with its coefficients as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted, validate_data

from ..network import Network
from ..plan.step import Plan, forward_plan, logits
from ..run.arrays import parameter_buffers, walk
from ..run.namespaces import stored_rows
from . import parameters
from .descent import Params, parts

Array = Any


class Predicting:
    """The part of an estimator that predicts."""

    coefs_: list[Array]
    intercepts_: list[Array]
    n_features_in_: int
    engine: str | None

    def _network(self, widths: Sequence[int], dtype: str) -> Network:
        raise NotImplementedError

    def _logits(self, X: Array) -> Array:
        """The logits (N, K): float32 if X is, else float64 as scikit-learn gives."""
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        if not self._is_right(X):
            X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype="numeric", reset=False)
        return self._forwarded(X)

    def _is_right(self, X: Array) -> bool:
        """Whether X needs no validation: the quick way for a few rows at a time."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype.char in "fd"
            and X.shape[1] == self.n_features_in_
            and X.shape[0] > 0
            and "feature_names_in_" not in self.__dict__
            and bool(np.isfinite(X).all())
        )

    def predictor(self) -> Callable[[Array], Array]:
        """The compiled forward pass alone, for programs that predict one row at a time.

        It takes x (n_samples, n_features), unchecked, in C order and of the dtype of ``coefs_``,
        and gives the logits (n_samples, n_outputs) in that dtype; other arrays take it longer. It
        keeps the coefficients of now, and may be called from several threads at once.
        """
        check_is_fitted(self)
        network, _, _ = self._planned()
        return network.predictor(list(zip(self.coefs_, self.intercepts_, strict=True)))

    def _house(self) -> None:
        """Lay the coefficients where compiled code reads them in place: they may be written to."""
        self._kept: Any = None, None
        if parameters.engine_name(self.engine) != "llvm":
            return
        from ..run.llvm.runner import housed

        self.coefs_ = [housed(w) for w in self.coefs_]
        self.intercepts_ = [housed(b) for b in self.intercepts_]
        self._kept = (*self.coefs_, *self.intercepts_), [None]

    def _compiled(self) -> Callable[[Array], Array] | None:
        """The compiled forward pass with the coefficients as they are; None if none is to be had.

        Arrays that somebody put in the place of ours may lie in memory in any way.
        """
        ours, made = self._kept
        if ours is None or self.engine not in (None, "llvm"):
            return None
        now = (*self.coefs_, *self.intercepts_)
        if len(ours) != len(now) or not all(map(is_, ours, now)):
            return None
        if made[0] is None:  # room that was there before: predicting changes no attribute
            from ..run.llvm.engine import Forward

            params = list(zip(self.coefs_, self.intercepts_, strict=True))
            made[0] = Forward(self._planned()[0], params, shared=True)
        return made[0]  # type: ignore[no-any-return]

    def _forwarded(self, X: Array, params: Params | None = None) -> Array:
        sparse = type(X) is not np.ndarray and issparse(X)
        result = np.float32 if X.dtype == np.float32 else np.float64
        predict = None if sparse or params is not None else self._compiled()
        if predict is not None:
            dtype = self.coefs_[0].dtype
            z = predict(X if X.dtype is dtype or len(X) > 1 else X.astype(dtype, order="C"))
            return z if z.dtype == result else z.astype(result)
        network, plan, out = self._planned()
        if params is None:
            params = list(zip(self.coefs_, self.intercepts_, strict=True))
        buffers = parameter_buffers(params)
        pieces = []
        for _, x in parts(stored_rows(X) if sparse else X):
            buffers["x"] = x.astype(network.dtype, copy=False)
            pieces.append(walk(plan, buffers)[out])
        z = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return z.astype(result, copy=False)

    def _planned(self) -> tuple[Network, Plan, str]:
        """The forward pass; made again after a copy or a pickle."""
        kept = self.__dict__.get("_forward")
        if kept is not None:
            return kept  # type: ignore[no-any-return]
        widths = [len(w) for w in self.coefs_] + [len(self.intercepts_[-1])]
        network = self._network(widths, str(self.coefs_[0].dtype))
        self._forward = network, forward_plan(network), logits(network)
        return self._forward
