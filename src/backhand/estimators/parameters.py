"""The legal values of the estimators' parameters, in one table, and what they mean together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ..errors import InputError
from ..formulas.activations import Activation, choose_activation
from ..formulas.entry import choose
from ..formulas.initialisers import Initialiser
from ..formulas.loss import through
from ..formulas.losses import LOSSES, QUANTILES, Loss, choose_loss
from ..formulas.schedules import Schedule
from ..network import Network, checked_engine
from ..plan.description import DTYPES

CURVES = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "validation_loss_curve_",
)
"""The attributes that record a course by epochs."""

STOCHASTIC_SOLVERS = ("adam", "sgd", "adamw")

DEFAULT_BATCH = 200
"""Rows of a batch for ``batch_size="auto"``, as in scikit-learn."""

COMMON: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [str, Activation, "array-like"],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC_SOLVERS})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    # ours: names are looked up when fitting begins, so that registered formulas count
    "initialiser": [str, Initialiser, None],
    "schedule": [str, Schedule, None],
    "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
    "dtype": [StrOptions({"auto", *DTYPES})],
    "engine": [str, None],
    "threads": [Interval(Integral, 1, None, closed="left"), None],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "scoring": [str, callable, None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "callbacks": [callable, list, tuple, None],
}
"""What both estimators take."""


def _summed(name: str) -> Loss:
    """A loss that adds up the outputs of a row, as scikit-learn's gradients do."""
    return dataclasses.replace(LOSSES[name], outputs="sum")


REGRESSION_LOSSES: dict[str, Loss] = {
    "squared_error": _summed("half_squared_error"),
    "poisson": _summed("poisson"),
    "absolute_error": _summed("mean_absolute_error"),
    "huber": _summed("huber"),
    "quantile": _summed("quantile"),
    "gamma": _summed("gamma"),
    "tweedie": _summed("tweedie"),
}
"""The regressor's losses by name. A parameter may follow, as in "huber:delta=2"."""

REGRESSOR: dict[str, list[Any]] = {
    **COMMON,
    "loss": [str],
    "out_activation": [str, Activation, None],
}

CLASSIFIER: dict[str, list[Any]] = {
    **COMMON,
    "loss": [str],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}

BINARY = {"log_loss": _summed("binary_cross_entropy"), "focal": _summed("binary_focal")}
MULTICLASS = {"log_loss": LOSSES["softmax_cross_entropy"], "focal": LOSSES["focal"]}


def regression_loss(value: str, out_activation: Any = None) -> Loss:
    """The regressor's loss of a name. Raises InputError if there is none, or no such activation."""
    several = isinstance(value, str) and value.startswith(QUANTILES)
    loss = choose_loss(value) if several else choose(REGRESSION_LOSSES, value, Loss.kind)
    return loss if out_activation is None else through(loss, choose_activation(out_activation))


def class_loss(estimator: Any, several: bool) -> Loss:
    """The classifier's loss, of logits for ``several`` classes that exclude each other or not.

    Raises InputError if there is none of that name, or it does not go with label smoothing.
    """
    loss = choose(MULTICLASS if several else BINARY, estimator.loss, Loss.kind)
    smoothing = float(estimator.label_smoothing)
    if smoothing == 0:
        return loss
    if estimator.loss != "log_loss":
        raise InputError(
            f"label_smoothing={smoothing:g} needs loss='log_loss', got loss={estimator.loss!r}"
        )
    smoothed = (
        LOSSES["smoothed_cross_entropy"] if several else _summed("smoothed_binary_cross_entropy")
    )
    return smoothed.with_(label_smoothing=smoothing)


def hidden_widths(value: Any) -> list[int]:
    """The widths of the hidden layers. Raises InputError if one is not a whole number over 0."""
    widths = list(value) if isinstance(value, Iterable) else [value]
    for width in widths:
        if isinstance(width, (bool, np.bool_)) or not isinstance(width, Integral):
            raise InputError(f"hidden_layer_sizes must be whole numbers, got {width!r} in {widths}")
    if any(width <= 0 for width in widths):
        raise InputError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return [int(width) for width in widths]


def engine_name(value: str | None) -> str:
    """The executor to train with. Raises InputError if there is none of that name."""
    return checked_engine(value)


def check_together(estimator: Any) -> None:
    """Raise InputError if parameters contradict each other."""
    if estimator.schedule is not None and estimator.learning_rate != "constant":
        raise InputError(
            f"schedule={estimator.schedule!r} and learning_rate={estimator.learning_rate!r} both "
            "steer the learning rate: leave learning_rate at 'constant' or schedule at None"
        )
    if estimator.solver == "lbfgs" and np.any(np.asarray(estimator.dropout) != 0):
        raise InputError(
            f"dropout={estimator.dropout!r} needs solver 'adam', 'adamw' or 'sgd': 'lbfgs' takes "
            "the loss to be the same function at every step"
        )
    if estimator.solver == "lbfgs" and estimator.clip_norm is not None:
        raise InputError(
            f"clip_norm={estimator.clip_norm!r} needs solver 'adam', 'adamw' or 'sgd': 'lbfgs' "
            "chooses the length of its steps itself"
        )
    if isinstance(estimator.callbacks, (list, tuple)):
        for callback in estimator.callbacks:
            if not callable(callback):
                raise InputError(f"callbacks must be functions, got {callback!r} among them")


def rows_to_judge(estimator: Any, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any] | None:
    """The rows that are given to judge by, their targets and weights; None if there are none.

    Raises InputError if they are not whole, or nothing would judge by them.
    """
    if X is None and y is None and weight is None:
        return None
    if X is None or y is None:
        raise InputError("X_val and y_val go together: give both of them or none")
    if not estimator.early_stopping:
        raise InputError(
            "X_val and y_val are what early stopping judges by: they need early_stopping=True"
        )
    return X, y, weight


def draw(
    network: Network, rng: np.random.RandomState, alone: str = "relu"
) -> list[tuple[Any, Any]]:
    """Weights and biases as scikit-learn draws them, from the same random numbers.

    Glorot and Bengio 2010: uniform up to ``sqrt(6 / (fan_in + fan_out))``, with 2 in the place
    of 6 for logistic units. The output layer goes by the layer before it, or by the activation
    ``alone`` if there is none.
    """
    units = [activation.name for activation in network.activations]
    units.append(units[-1] if units else alone)
    params = []
    for (fan_in, fan_out), unit in zip(network.shapes, units, strict=True):
        bound = np.sqrt((2.0 if unit == "logistic" else 6.0) / (fan_in + fan_out))
        w = rng.uniform(-bound, bound, (fan_in, fan_out))
        b = rng.uniform(-bound, bound, fan_out)
        params.append((w.astype(network.dtype, copy=False), b.astype(network.dtype, copy=False)))
    return params
