"""`DaskTabularClassifier` and `DaskTabularRegressor`, in the manner of LightGBM's."""

from __future__ import annotations

import dataclasses
import functools
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError
from ..tabular.base import BaseTabular
from ..tabular.estimators import TabularClassifier, TabularRegressor
from ..tabular.streaming import fit_passes
from .partitions import parts_of
from .passes import Passes

Array = Any

AT_ONCE = 32
"""Networks that are trained at a time, at most, where nobody says how many."""


class DaskTabular(BaseTabular):
    """What both estimators share."""

    _local: Any
    client: Any
    shards: Any
    steps: Any

    def _connected(self) -> Any:
        from distributed import default_client

        try:
            client = default_client() if self.client is None else self.client
        except ValueError:
            raise InputError(
                "there is no cluster: start one, such as distributed.Client(), or name a client"
            ) from None
        if client.asynchronous or client.status != "running":
            how = "asynchronous" if client.asynchronous else client.status
            raise InputError(f"client={client!r:.60} is {how}: give one that waits for results")
        return client

    def __getstate__(self) -> dict[str, Any]:
        """All but the client, which belongs to this process."""
        return {**super().__getstate__(), "client": None}

    def fit(  # type: ignore[override]  # collections of Dask's
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        checkpoint: Any = None,
    ) -> Any:
        """Fit the networks to a table on the workers of a cluster.

        Parameters
        ----------
        X : dask.dataframe.DataFrame or dask.array.Array, of shape (n_samples, n_features)
            Read twice if it is not persisted.
        y, sample_weight : collections of Dask's, of shape (n_samples,)
            With the partitions of X.
        eval_set : list of one pair (X, y), default=None
            Rows to choose epochs and weights by, instead of some of X.
        eval_sample_weight : list of one collection, default=None
        checkpoint : path-like or Checkpoint, default=None
            As of `TabularClassifier.fit`: a folder of the client's.

        Returns
        -------
        self : object

        Raises
        ------
        InputError
            If a parameter or the data make no sense, or training diverges.
        LostError
            If the cluster has lost what it cannot make again, or all of its workers.
        """
        settings = self._settings(checkpoint)
        settings = dataclasses.replace(settings, threads=self.threads or AT_ONCE)
        held = _pair(eval_set, eval_sample_weight)
        passes = Passes(
            self._connected(),
            X,
            y,
            sample_weight,
            held,
            is_regressor(self),
            _whole(self.shards, "shards"),
            _whole(self.steps, "steps"),
        )
        fitted, classes, names = fit_passes(
            passes.labelled,
            passes.first,
            passes.second,
            settings,
            getattr(self, "class_weight", None),
            held is not None,
        )
        if not hasattr(X, "columns"):  # an array, and so is what will be predicted
            model = fitted.model
            unnamed = dataclasses.replace(model.preparation, has_names=False)
            fitted = fitted._replace(model=dataclasses.replace(model, preparation=unnamed))
        self.__dict__ |= self._attributes(fitted, classes)
        self.n_features_in_ = len(names)
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.array(names, dtype=object)
        return self

    def to_local(self) -> Any:
        """The fitted estimator for tables in memory, which knows nothing of Dask."""
        check_is_fitted(self)
        given = {name: getattr(self, name) for name in self._local._get_param_names()}
        local = self._local(**given)
        local.__dict__ |= {n: v for n, v in vars(self).items() if n.endswith("_")}
        return local

    def save(self, path: Any) -> None:
        """As `to_local().save`."""
        self.to_local().save(path)

    def predict(self, X: Any) -> Any:
        """The class of each row, or its value, when it is asked for.

        Parameters
        ----------
        X : dask.dataframe.DataFrame or dask.array.Array, of shape (n_samples, n_features)

        Returns
        -------
        dask.array.Array of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._mapped(X, self._local.predict, (), self._dtype)

    @property
    def _dtype(self) -> Any:
        classes = getattr(self, "classes_", None)
        return np.dtype(np.float64) if classes is None else classes.dtype

    def _mapped(self, X: Any, method: Any, more: tuple[int, ...], dtype: Any) -> Any:
        """What a method of the local estimator returns for each partition."""
        import dask.array as da
        from dask.delayed import delayed

        parts = parts_of(X, "X")
        sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(parts)
        local = delayed(self.to_local(), traverse=False)
        call = delayed(_predicted, pure=False)
        found = [
            da.from_delayed(call(local, method, part, more, dtype), (size, *more), dtype)
            for part, size in zip(parts, sizes, strict=True)
        ]
        return da.concatenate(found, allow_unknown_chunksizes=True)


def _predicted(local: Any, method: Any, x: Any, more: tuple[int, ...], dtype: Any) -> Array:
    return method(local, x) if len(x) else np.empty((0, *more), dtype)


def _whole(number: Any, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
        raise InputError(f"{name} must be a whole number above 0, got {number!r:.60}")
    return int(number)


def _pair(eval_set: Any, weights: Any) -> tuple[Any, Any, Any] | None:
    """Validation rows: X, y and weights. Raises InputError if it is no list of one pair."""
    if eval_set is None:
        return None
    for given, size, name in ((eval_set, 2, "eval_set"), (weights, 0, "eval_sample_weight")):
        if given is None:
            continue
        listed = isinstance(given, (list, tuple)) and len(given) == 1
        if not listed or (size and len(given[0]) != size):
            raise InputError(f"{name} must be a list of one entry, such as [(X, y)]")
    return (*eval_set[0], None if weights is None else weights[0])


class DaskTabularClassifier(DaskTabular, TabularClassifier):
    """`TabularClassifier` for tables that lie on many machines.

    The same partitions, parameters and ``random_state`` give the same bits, on any number of
    workers, whichever of them is faster or lost.

    Parameters
    ----------
    preset, n_members, time_limit, metric, class_weight, random_state, callbacks, drop, keep
        As of `TabularClassifier`.
    threads : int, default=None
        How many networks are trained at a time; by default up to 32.
    client : distributed.Client, default=None
        By default the one that was made last.
    shards : int, default=4
        How many parts of the table are trained on by themselves between two exchanges: at least as
        many as workers, if one network is to use all of them. More of them learn a little less from
        the same rows.
    steps : int, default=50
        How many steps each shard takes between two exchanges.

    Attributes
    ----------
    classes_, model_, members_, held_out_, held_out_score_, n_features_in_, feature_names_in_
        As of `TabularClassifier`.
    """

    _local = TabularClassifier

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
        client: Any = None,
        shards: int = 4,
        steps: int = 50,
    ) -> None:
        self._set(locals())

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, when it is asked for.

        Parameters
        ----------
        X : dask.dataframe.DataFrame or dask.array.Array, of shape (n_samples, n_features)

        Returns
        -------
        dask.array.Array of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self._mapped(
            X, TabularClassifier.predict_proba, (len(self.classes_),), np.dtype(np.float64)
        )


class DaskTabularRegressor(DaskTabular, TabularRegressor):
    """`TabularRegressor` for tables that lie on many machines.

    Parameters
    ----------
    preset, n_members, time_limit, metric, random_state, callbacks, drop, keep
        As of `TabularRegressor`.
    threads, client, shards, steps
        As of `DaskTabularClassifier`.

    Attributes
    ----------
    model_, members_, held_out_, held_out_score_, n_features_in_, feature_names_in_
        As of `TabularRegressor`.
    """

    _local = TabularRegressor

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
        client: Any = None,
        shards: int = 4,
        steps: int = 50,
    ) -> None:
        self._set(locals())

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Any:
        """As `TabularRegressor.predict_interval`, when it is asked for: (n_samples, 2)."""
        check_is_fitted(self)
        bounds = functools.partial(TabularRegressor.predict_interval, coverage=coverage)
        return self._mapped(X, bounds, (2,), np.dtype(np.float64))
