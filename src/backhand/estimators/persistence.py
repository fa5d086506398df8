"""Fitted estimators as files that run nothing when loaded, and out of and into scikit-learn's."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError
from ..sealed import LARGEST_HEADER, read_sealed, usable, write_sealed
from ..train.state import TrainState
from .course import LISTS, NUMBERS, Course
from .fitted import Fitted, restored
from .targets import Classes, Numbers
from .to_sklearn import to_sklearn

Array = Any
L = TypeVar("L", bound="Loadable")
Self = TypeVar("Self", bound="Persistent")

STATE = "state."
"""Begins the names of arrays in a file that say where training stands."""


class Loadable:
    """`load` of every estimator that has a `from_file`."""

    @classmethod
    def load(cls: type[L], path: str | os.PathLike[str]) -> L:
        """Read what `save` wrote; it predicts the same bits. Nothing in the file is executed.

        Raises
        ------
        InputError
            If there is no such file, or it is damaged, foreign, or another estimator's.
        """
        tensors, about = read_sealed(path)
        with usable(path, "estimator"):
            return cls.from_file(tensors, about)

    @classmethod
    def from_file(cls: type[L], tensors: Mapping[str, Array], about: Mapping[str, Any]) -> L:
        """The estimator of a file's content. Raises InputError, or an error of `UNFIT`."""
        raise NotImplementedError

    @classmethod
    def unfitted(cls: type[L], about: Mapping[str, Any]) -> L:
        """An estimator with the parameters of a file. Raises InputError if it holds another."""
        if about["holds"] != cls.__name__:
            raise InputError(f"it holds {about['holds']!r:.60}; backhand.load reads every kind")
        return cls(**{name: read_plain(value) for name, value in about["parameters"].items()})


class Persistent(Loadable):
    """`save`, `from_sklearn` and `to_sklearn` of both estimators."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a safetensors file, whole or not at all.

        Where the optimiser stands is in it too, so that `partial_fit` goes on with the bits of an
        estimator that was never saved. Callbacks are not.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        InputError
            If a parameter is no plain value (a function, a random generator), or the folder cannot
            be written to.
        """
        estimator: Any = self
        fitted: Fitted = estimator._record()
        given = {**estimator.get_params(deep=False), "callbacks": None}
        kept: dict[str, Any] = {
            "holds": type(self).__name__,
            "parameters": {name: plain(name, value) for name, value in given.items()},
            "network": {name: plain(name, value) for name, value in fitted.portable().items()},
            "fitted": {name: plain(name, a) for name, a in fitted.course.attributes().items()},
            "engine": fitted.engine,
            "solver": plain("solver", fitted.solver),
            "scoring": plain("scoring", fitted.scoring),
        }
        if isinstance(fitted.targets, Classes):
            labels = fitted.targets.labels
            _check_size(labels.dtype, len(labels))
            kept["classes"] = [labels.dtype.str, plain("classes_", labels)]
            kept["several"] = fitted.targets.several
        if fitted.names is not None:
            kept["features"] = fitted.names.tolist()
        tensors = dict(estimator._params(fitted))
        if fitted.state is not None:
            kept["state"] = fitted.state.described()
            tensors |= {f"{STATE}{name}": a for name, a in fitted.state.tensors().items()}
        write_sealed(path, tensors, kept)

    @classmethod
    def from_file(cls: type[Self], tensors: Mapping[str, Array], about: Mapping[str, Any]) -> Self:
        """The estimator of a file's content. Raises InputError, or an error of `UNFIT`."""
        made: Any = cls.unfitted(about)
        portable = {name: read_plain(value) for name, value in about["network"].items()}
        targets: Any = Numbers(portable["widths"][-1])
        if "classes" in about:
            dtype, labels = np.dtype(about["classes"][0]), read_plain(about["classes"][1])
            _check_size(dtype, len(labels))
            targets = Classes.named(np.array(labels, dtype), bool(about["several"]))
        others = {name: read_plain(about[name]) for name in ("engine", "solver", "scoring")}
        of_state = {n.removeprefix(STATE): a for n, a in tensors.items() if n.startswith(STATE)}
        state = about.get("state")
        others["state"] = None if state is None else TrainState.restored(of_state, state)
        tensors = {name: a for name, a in tensors.items() if not name.startswith(STATE)}
        names = np.array(about["features"], object) if "features" in about else None
        course = Course.of({name: read_plain(value) for name, value in about["fitted"].items()})
        _arrange(made, portable, tensors, targets, course, names, others)
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
        if hasattr(fitted, "classes_"):
            targets: Any = Classes(fitted._label_binarizer, fitted.classes_)
        else:
            targets = Numbers(fitted.n_outputs_)
        loss, link, _, _ = made._loss(targets)
        weights = fitted.coefs_
        params = {}
        for number, layer in enumerate(zip(weights, fitted.intercepts_, strict=True), 1):
            params[f"w{number}"], params[f"b{number}"] = layer
        portable = {
            "widths": [len(w) for w in weights] + [weights[-1].shape[1]],
            "activation": made.activation,
            "loss": loss,
            "outputs": loss.outputs,
            "link": link,
            "dropout": made.dropout,
            "dtype": str(weights[0].dtype),
        }
        seen = {n: getattr(fitted, n) for n in (*NUMBERS, *LISTS) if hasattr(fitted, n)}
        names = getattr(fitted, "feature_names_in_", None)
        others = {"engine": made.engine, "solver": made.solver, "scoring": made.scoring}
        _arrange(made, portable, params, targets, Course.of(seen), names, others)
        return made  # type: ignore[no-any-return]

    def to_sklearn(self) -> Any:
        """Scikit-learn's estimator of the same name, with these weights, parameters and curves.

        It predicts the same within rounding, and needs nothing of backhand. The optimiser's state
        stays behind.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        InputError
            If there is something that scikit-learn has not: another activation, loss or solver, or
            parameters such as dropout and class weights.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        estimator: Any = self
        fitted: Fitted = estimator._record()
        return to_sklearn(self, fitted, dict(estimator._params(fitted)))


def _arrange(
    made: Any,
    portable: dict[str, Any],
    params: Mapping[str, Array],
    targets: Any,
    course: Course,
    names: Array | None,
    others: dict[str, Any],
) -> None:
    """Have an estimator be fitted. Raises InputError if the parts do not fit each other."""
    known = {"course": course, "names": names, "targets": targets, "state": None, **others}
    fitted = restored(portable, {**known, "out_activation": ""})
    loss, network = fitted.loss, fitted.network
    if loss.by_row or isinstance(targets, Classes):
        outputs, out_activation = made._outputs(loss, targets)
    else:
        targets = Numbers(1 if loss.levels else network.outputs, loss.levels)
        outputs, out_activation = network.outputs, made._out_activation(loss, fitted.link)
    if outputs != network.outputs:
        raise InputError(f"its targets need {outputs} outputs, but it has {network.outputs}")
    if names is not None and names.shape != (network.inputs,):
        raise InputError(f"it has {network.inputs} columns, but {len(names)} names of them")
    network.check_parameters(params)
    if fitted.state is not None and fitted.state.best.params is not None:
        network.check_parameters(fitted.state.best.params)
    for name, a in params.items():
        if a.dtype != network.dtype:
            raise InputError(f"{name} is in {a.dtype}, but the network in {network.dtype}")
        if not np.isfinite(a).all():
            raise InputError("its weights are not all finite")
    fitted = dataclasses.replace(fitted, targets=targets, out_activation=out_activation)
    fitted = fitted.with_params({name: params[name] for name in network.shapes})
    made._hand_over(fitted.attributes(course.attributes()))


def _check_size(dtype: np.dtype[Any], labels: int) -> None:
    """Raise InputError for a dtype of class labels that takes more memory than a file warrants."""
    if dtype.itemsize * labels > LARGEST_HEADER or dtype.kind not in "biufUO":
        raise InputError(
            f"its {labels} class labels of dtype {dtype} take {dtype.itemsize * labels:,} bytes of "
            f"at most {LARGEST_HEADER:,}: they must be numbers or shorter texts"
        )


def plain(name: str, value: Any) -> Any:
    """A value as JSON that `read_plain` turns back. Raises InputError if there is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # JSON has no infinity
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [plain(name, item) for item in value]}
    if isinstance(value, np.ndarray):
        return {"list": [plain(name, item) for item in value.tolist()]}
    if isinstance(value, dict):
        return {"dict": [[plain(name, k), plain(name, v)] for k, v in value.items()]}
    raise InputError(
        f"cannot save {name}={value!r}: it is no plain value; set it to one or to None"
    )


def read_plain(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind == "float":
        return float(items)
    if kind == "dict":
        return {read_plain(key): read_plain(item) for key, item in items}
    return {"list": list, "tuple": tuple}[kind](read_plain(item) for item in items)
