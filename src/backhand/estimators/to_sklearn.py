"""Fitted estimators as those of scikit-learn, or what keeps them from it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..errors import InputError
from . import parameters
from .fitted import Fitted
from .targets import Classes

Array = Any

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SOLVERS = ("lbfgs", "sgd", "adam")

LOSSES = {
    ("binary_cross_entropy", "logistic"): "log_loss",
    ("softmax_cross_entropy", "softmax"): "log_loss",
    ("half_squared_error", "identity"): "squared_error",
    ("poisson", "exp"): "poisson",
}
"""By a network's loss and what makes predictions of its logits: scikit-learn's name."""

WITHOUT_EFFECT = ("dtype", "engine", "threads", "callbacks", "weight_decay", "out_activation")
"""Parameters that scikit-learn has not and that change no result. Weight decay belongs to a solver
that it has not, and what makes predictions of the logits is looked at together with the loss."""

BEFORE_EPOCHS = {"best_loss_": np.inf, "best_validation_score_": None, "validation_scores_": None}
"""What a fit without epochs has not, and `partial_fit` of scikit-learn begins with."""


def to_sklearn(estimator: Any, fitted: Fitted, params: dict[str, Array]) -> Any:
    """See `Persistent.to_sklearn`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    fitted : Fitted
        Of it.
    params : dict of str to array
        Its weights and biases by now.
    """
    from sklearn import neural_network

    classifies = isinstance(fitted.targets, Classes)
    made: Any = neural_network.MLPClassifier() if classifies else neural_network.MLPRegressor()
    theirs = made.get_params(deep=False)
    own = {
        name: value for name, value in estimator.get_params(deep=False).items() if name != "loss"
    }
    defaults = type(estimator)().get_params(deep=False)
    for name, value in own.items():
        if name not in theirs and name not in WITHOUT_EFFECT and value is not defaults[name]:
            if isinstance(value, type(defaults[name])) and value == defaults[name]:
                continue
            raise _unknown(name, value, repr(defaults[name]))
    if own["solver"] not in SOLVERS:
        raise _unknown("solver", own["solver"], "'adam'")
    given = {name: value for name, value in own.items() if name in theirs}
    given["activation"] = _activation(fitted, own["activation"])
    if parameters.hidden_widths(own["hidden_layer_sizes"]) != list(fitted.network.widths[1:-1]):
        given["hidden_layer_sizes"] = tuple(fitted.network.widths[1:-1])
    loss = _loss(fitted, classifies)
    if "loss" in theirs:
        given["loss"] = loss
    elif loss != made.loss:
        raise InputError(f"this scikit-learn has no loss={loss!r}: version 1.7 or later has it")
    made.set_params(**given)
    _fit(made, estimator, fitted, params)
    return made


def _unknown(name: str, value: Any, default: str) -> InputError:
    return InputError(
        f"scikit-learn has no {name}={value!r:.60}: if only predictions are needed, call "
        f"set_params({name}={default}) before to_sklearn"
    )


def _activation(fitted: Fitted, given: Any) -> str:
    """The one name of the activations of all hidden layers. Raises InputError if there is none."""
    names = {activation.spec for activation in fitted.network.activations}
    if not names:
        return given if isinstance(given, str) and given in ACTIVATIONS else "relu"
    if len(names) > 1 or not names <= {*ACTIVATIONS}:
        raise InputError(
            f"scikit-learn has one activation for all hidden layers, of {', '.join(ACTIVATIONS)}; "
            f"the network has {', '.join(sorted(names))}"
        )
    return names.pop()


def _loss(fitted: Fitted, classifies: bool) -> str:
    """Scikit-learn's name of the loss. Raises InputError if it has no such loss."""
    found = LOSSES.get((fitted.loss.spec, fitted.out_activation))
    if classifies and found:
        multiclass = fitted.targets.kind == "classes"
        found = found if multiclass == (fitted.out_activation == "softmax") else None
    if found is None:
        raise InputError(
            f"scikit-learn has no network with the loss {fitted.loss.spec!r} that predicts "
            f"{fitted.targets.kind if classifies else 'numbers'} by {fitted.out_activation!r}"
        )
    return found


def _fit(made: Any, estimator: Any, fitted: Fitted, params: dict[str, Array]) -> None:
    """Have scikit-learn's estimator be fitted."""
    arrays = [np.array(a, order="C") for a in params.values()]
    course = fitted.course.attributes()
    kept = {
        name: a for name, a in course.items() if name not in ("stopped_", "validation_loss_curve_")
    }
    made.__dict__.update({**BEFORE_EPOCHS, "loss_curve_": [], **kept})
    made.coefs_, made.intercepts_ = arrays[::2], arrays[1::2]
    made._best_coefs, made._best_intercepts = ([a.copy() for a in arrays[k::2]] for k in (0, 1))
    made._no_improvement_count = 0
    for name in ("n_features_in_", "n_outputs_", "n_layers_", "out_activation_"):
        setattr(made, name, getattr(estimator, name))
    if fitted.names is not None:
        made.feature_names_in_ = fitted.names.copy()
    if isinstance(fitted.targets, Classes):
        made._label_binarizer = copy.deepcopy(fitted.targets.binarizer)
        made.classes_ = fitted.targets.labels.copy()
