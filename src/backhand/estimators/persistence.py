"""Fitted estimators as files that run nothing when they are loaded, and out of scikit-learn's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError

Array = Any
Self = TypeVar("Self", bound="Persistent")

FORMAT = "backhand estimator 1"

FITTED = (
    *("n_features_in_", "n_outputs_", "n_layers_", "out_activation_", "n_iter_", "t_", "_targets"),
    *("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"),
    *("validation_loss_curve_", "stopped_"),
)
"""What fitting leaves behind and JSON can say; a fit sets some of them."""


class Persistent:
    """`save`, `load` and `from_sklearn` of both estimators."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a safetensors file, whole or not at all.

        The optimiser's state is not in it, so `partial_fit` begins with a new one; nor are
        callbacks.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        InputError
            If a parameter is no plain value (a function, a random generator), or the folder cannot
            be written to.
        """
        from ..export import sealed

        check_is_fitted(self)
        estimator: Any = self
        tensors = {}
        layers = zip(estimator.coefs_, estimator.intercepts_, strict=True)
        for number, (w, b) in enumerate(layers, 1):
            tensors[f"w{number}"], tensors[f"b{number}"] = map(np.ascontiguousarray, (w, b))
        given = {**estimator.get_params(deep=False), "callbacks": None}
        kept: dict[str, Any] = {
            "class": type(self).__name__,
            "parameters": {name: _plain(name, value) for name, value in given.items()},
            "fitted": {n: _plain(n, getattr(self, n)) for n in FITTED if hasattr(self, n)},
        }
        if hasattr(self, "classes_"):
            kept["classes"] = [estimator.classes_.dtype.str, estimator.classes_.tolist()]
            kept["several"] = _several(estimator)
        if hasattr(self, "feature_names_in_"):
            kept["features"] = estimator.feature_names_in_.tolist()
        sealed.write_sealed(path, tensors, json.dumps(kept, sort_keys=True), FORMAT)

    @classmethod
    def load(cls: type[Self], path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; it predicts the same bits. Nothing in the file is executed.

        Raises
        ------
        InputError
            If there is no such file, or it is damaged, foreign, or another estimator's.
        """
        from ..export import sealed

        path = Path(path)
        tensors, text = sealed.read_sealed(path, FORMAT)
        try:
            kept = json.loads(text)
            if kept["class"] != cls.__name__:
                raise InputError(f"it holds an {kept['class']}: {kept['class']}.load reads it")
            made: Any = cls(**{name: _read(value) for name, value in kept["parameters"].items()})
            for name, value in kept["fitted"].items():
                if name not in FITTED:
                    raise InputError(f"an estimator has no {name!r}")
                setattr(made, name, _read(value))
            if "classes" in kept:
                dtype, labels = kept["classes"]
                made.classes_ = np.array(labels, np.dtype(dtype))
                wanted = np.eye(len(labels), dtype=int) if kept["several"] else made.classes_
                made._label_binarizer = LabelBinarizer().fit(wanted)
            if "features" in kept:
                made.feature_names_in_ = np.array(kept["features"], object)
            numbers = range(1, len(tensors) // 2 + 1)
            _arrange(made, [(tensors[f"w{n}"], tensors[f"b{n}"]) for n in numbers])
        except InputError as error:
            raise InputError(f"{path} is not a usable estimator: {error}") from None
        except sealed.UNFIT as error:
            raise InputError(f"{path} is not a usable estimator: {error!r}") from None
        return made  # type: ignore[no-any-return]

    @classmethod
    def from_sklearn(cls: type[Self], fitted: Any) -> Self:
        """Scikit-learn's fitted estimator as one of ours, with the same weights and parameters.

        It predicts in the dtype of those weights. The optimiser's state stays behind.

        Parameters
        ----------
        fitted : sklearn.neural_network.MLPClassifier or MLPRegressor
            Of the same name as this class.

        Raises
        ------
        InputError
            If it is something else.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        from sklearn import neural_network

        if not isinstance(fitted, getattr(neural_network, cls.__name__)):
            raise InputError(
                f"{cls.__name__}.from_sklearn takes sklearn.neural_network.{cls.__name__}, "
                f"got {type(fitted).__name__}"
            )
        check_is_fitted(fitted)
        made: Any = cls(**fitted.get_params(deep=False))
        others = ("classes_", "_label_binarizer", "feature_names_in_")
        for name in (*FITTED, *others):
            if hasattr(fitted, name):
                setattr(made, name, getattr(fitted, name))
        if not hasattr(fitted, "classes_"):
            made._targets = fitted.n_outputs_
        _arrange(made, list(zip(fitted.coefs_, fitted.intercepts_, strict=True)))
        return made  # type: ignore[no-any-return]


def _several(estimator: Any) -> bool:
    return bool(estimator._label_binarizer.y_type_.startswith("multilabel"))


def _arrange(made: Any, layers: list[tuple[Array, Array]]) -> None:
    """Give an estimator its weights. Raises InputError if they do not fit the rest."""
    widths = [len(w) for w, _ in layers] + [len(layers[-1][1])]
    ends = made.n_features_in_, made.n_outputs_
    if (widths[0], widths[-1]) != ends or made.n_layers_ != len(widths):
        raise InputError(
            f"its layers have the widths {widths}, but it has {ends[0]} features, {ends[1]} "
            f"outputs and {made.n_layers_} layers"
        )
    if not all(np.isfinite(a).all() for layer in layers for a in layer):
        raise InputError("its weights are not all finite")
    network = made._network(widths, str(layers[0][0].dtype))
    network.check_parameters(layers)
    made._descent = None
    made._keep(network, layers)


def _plain(name: str, value: Any) -> Any:
    """A value as JSON that `_read` turns back. Raises InputError if there is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_plain(name, item) for item in value]}
    if isinstance(value, np.ndarray):
        return {"list": [_plain(name, item) for item in value.tolist()]}
    if isinstance(value, dict):
        return {"dict": [[_plain(name, k), _plain(name, v)] for k, v in value.items()]}
    raise InputError(
        f"cannot save {name}={value!r}: it is no plain value; set it to one or to None"
    )


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind == "dict":
        return {_read(key): _read(item) for key, item in items}
    return {"list": list, "tuple": tuple}[kind](_read(item) for item in items)
