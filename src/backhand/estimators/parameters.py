"""The legal values of the estimators' parameters, in one table, and what they mean together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ..engines import checked_engine
from ..errors import InputError, unknown_name
from ..formulas.activations import Activation
from ..formulas.entry import choose
from ..formulas.initialisers import Initialiser, choose_initialiser
from ..formulas.losses import LOSSES, Loss, choose_loss
from ..formulas.optimisers import OPTIMISERS, Optimiser, choose_optimiser, clipping
from ..formulas.quantiles import QUANTILES
from ..formulas.schedules import Schedule, choose_schedule
from ..network import Network, Params
from ..plan.description import DTYPES

SKLEARN_SOLVERS = ("adam", "sgd", "adamw")
"""The update rules that parameters such as `beta_1` and `momentum` belong to."""

DEFAULT_BATCH = 200
"""Rows of a batch for ``batch_size="auto"``, as in scikit-learn."""

COMMON: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [str, Activation, "array-like"],
    "solver": [str, Optimiser],  # names are looked up when fitting begins: see `solvers`
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


REGRESSOR: dict[str, list[Any]] = {
    **COMMON,
    "loss": [str, Loss],
    "out_activation": [str, Activation, None],
}

CLASSIFIER: dict[str, list[Any]] = {
    **COMMON,
    "loss": [str, Loss],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}

ALIASES = {"squared_error": "half_squared_error", "absolute_error": "mean_absolute_error"}
"""scikit-learn's names of losses for numbers."""

CLASS_ALIASES = {
    "log_loss": ("binary_cross_entropy", "softmax_cross_entropy"),
    "focal": ("binary_focal", "focal"),
}
"""The losses of one name: an output for each label, and classes that exclude each other."""

LINKS = {"count": "exp", "positive": "exp", "probability": "logistic", "class": "softmax"}
"""What makes predictions of logits, by what a loss has for targets; else the identity."""


def _summed(loss: Loss) -> Loss:
    """A loss that adds up the outputs of a row, as scikit-learn's gradients do."""
    return loss if loss.by_row else dataclasses.replace(loss, outputs="sum")


def regression_losses() -> dict[str, Loss]:
    """The regressor's losses by name: all of one value an output, registered ones included.

    A parameter may follow the name, as in "huber:delta=2".
    """
    losses = {name: _summed(loss) for name, loss in LOSSES.items() if not loss.by_row}
    return losses | {alias: losses[name] for alias, name in ALIASES.items()}


def regression_loss(value: Any) -> Loss:
    """The regressor's loss of a name. Raises InputError if there is none."""
    if isinstance(value, str) and value.startswith(QUANTILES):
        return choose_loss(value)
    loss = choose(regression_losses(), value, Loss.kind)
    if loss.by_row:
        raise InputError(f"loss={loss.name!r} is for classes: MLPClassifier takes it")
    return _summed(loss)


def class_losses(kind: str) -> dict[str, Loss]:
    """The classifier's losses by name for "classes", "two classes" or "several labels"."""
    wanted = {"classes": ("class",), "several labels": ("probability",)}
    targets = wanted.get(kind, ("probability", "class"))
    losses = {name: _summed(loss) for name, loss in LOSSES.items() if loss.target in targets}
    aliases = {alias: pair[kind == "classes"] for alias, pair in CLASS_ALIASES.items()}
    return losses | {alias: _summed(LOSSES[name]) for alias, name in aliases.items()}


def class_loss(estimator: Any, kind: str) -> Loss:
    """The classifier's loss of logits for "classes", "two classes" or "several labels".

    Raises InputError if there is none of that name, or it does not go with label smoothing.
    """
    losses, value = class_losses(kind), estimator.loss
    if isinstance(value, str) and value.partition(":")[0] not in losses:
        name = value.partition(":")[0]
        if name in LOSSES:
            fitting = ", ".join(sorted(losses))
            raise InputError(f"loss={value!r} is not for {kind}, which take {fitting}")
        raise unknown_name(Loss.kind, name, losses)
    loss = _summed(choose(losses, value, Loss.kind))
    if loss.target not in {loss.target for loss in losses.values()}:
        raise InputError(f"loss={loss.name!r} has targets that are {loss.target}: not for {kind}")
    smoothing = float(estimator.label_smoothing)
    if smoothing == 0:
        return loss
    if value != "log_loss":
        raise InputError(f"label_smoothing={smoothing:g} needs loss='log_loss', got loss={value!r}")
    smoothed = "smoothed_cross_entropy" if loss.by_row else "smoothed_binary_cross_entropy"
    return _summed(LOSSES[smoothed]).with_(label_smoothing=smoothing)


def solvers() -> list[str]:
    """The names of all solvers; those of registered optimisers are among them."""
    return sorted({*SKLEARN_SOLVERS, "lbfgs", *OPTIMISERS})


def hidden_widths(value: Any) -> list[int]:
    """The widths of the hidden layers. Raises InputError if one is not a whole number over 0."""
    if isinstance(value, (str, Mapping, set)):
        raise InputError(f"hidden_layer_sizes must be whole numbers such as (50,), got {value!r}")
    widths = list(value) if isinstance(value, Iterable) else [value]
    for width in widths:
        if isinstance(width, (bool, np.bool_)) or not isinstance(width, Integral):
            raise InputError(f"hidden_layer_sizes must be whole numbers, got {width!r} in {widths}")
    if any(width <= 0 for width in widths):
        raise InputError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return [int(width) for width in widths]


def optimiser_of(estimator: Any) -> Optimiser:
    """The update rule that an estimator's parameters ask for."""
    rule = _rule_of(estimator)
    return rule if estimator.clip_norm is None else clipping(rule, estimator.clip_norm)


def _rule_of(estimator: Any) -> Optimiser:
    solver = estimator.solver
    if solver not in SKLEARN_SOLVERS:
        return choose_optimiser(solver)
    if solver == "sgd":
        return _sgd_of(estimator)
    adam = OPTIMISERS["adam_epsilon_hat" if solver == "adam" else solver].with_(
        beta1=float(estimator.beta_1),
        beta2=float(estimator.beta_2),
        epsilon=float(estimator.epsilon),
    )
    return adam if solver == "adam" else adam.with_(weight_decay=float(estimator.weight_decay))


def _sgd_of(estimator: Any) -> Optimiser:
    if estimator.momentum == 0:
        return OPTIMISERS["sgd"]
    rule = "nesterov" if estimator.nesterovs_momentum else "momentum"
    return OPTIMISERS[f"{rule}_rate_inside"].with_(momentum=float(estimator.momentum))


def engine_name(value: str | None) -> str:
    """The executor to train with. Raises InputError if there is none of that name."""
    return checked_engine(value)


def check_together(estimator: Any) -> None:
    """Raise InputError if parameters contradict each other, or a name is not known."""
    solver = estimator.solver
    if isinstance(solver, str) and solver != "lbfgs":
        if solver.partition(":")[0] not in solvers():
            raise unknown_name("solver", solver, solvers())
        if solver not in SKLEARN_SOLVERS:
            choose_optimiser(solver)
    if estimator.schedule is not None:
        choose_schedule(estimator.schedule)
    if estimator.initialiser is not None:
        choose_initialiser(estimator.initialiser)
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


def check_goes_on(before: Any, network: Network, out_activation: str, incremental: bool) -> None:
    """Raise InputError if training cannot go on from a fitted network to another one.

    Activations, dropout, dtype, and losses that predict by the same function may change.
    """
    anew = "call fit to begin anew" if incremental else "set warm_start=False to begin anew"
    was, now = before.network.widths, network.widths
    if was[1:-1] != now[1:-1]:
        raise InputError(
            f"hidden_layer_sizes={now[1:-1]}, but the network was fitted with {was[1:-1]}: set it "
            f"back, or {anew}"
        )
    if was[-1] != now[-1]:
        raise InputError(
            f"loss={network.loss.name!r} needs {now[-1]} outputs, but the network was fitted with "
            f"{was[-1]}: set it back, or {anew}"
        )
    if out_activation != before.out_activation:
        raise InputError(
            f"loss={network.loss.name!r} predicts by {out_activation!r}, but the network was "
            f"fitted to predict by {before.out_activation!r}: set it back, or {anew}"
        )


def rows_to_judge(estimator: Any, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any] | None:
    """The rows that are given to judge by, their targets and weights; None if there are none.

    Raises InputError if they are not whole, or nothing would judge by them.
    """
    given = validation_rows(X, y, weight)
    if given is not None and not estimator.early_stopping:
        raise InputError(
            "X_val and y_val are what early stopping judges by: they need early_stopping=True"
        )
    return given


def validation_rows(X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any] | None:
    """X_val, y_val and sample_weight_val; None if all are. Raises InputError if one is missing."""
    if X is None and y is None and weight is None:
        return None
    if X is None and y is None:
        raise InputError("sample_weight_val is for rows of X_val and y_val, which are not given")
    if X is None or y is None:
        raise InputError("X_val and y_val go together: give both of them or none")
    return X, y, weight


def draw(network: Network, rng: np.random.RandomState, alone: str = "relu") -> Params:
    """Weights and biases as scikit-learn draws them, from the same random numbers.

    Glorot and Bengio 2010: uniform up to ``sqrt(6 / (fan_in + fan_out))``, with 2 in the place
    of 6 for logistic units. The output layer goes by the layer before it, or by the activation
    ``alone`` if there is none.
    """
    units = [activation.name for activation in network.activations]
    units.append(units[-1] if units else alone)
    params, names = {}, iter(network.shapes)
    for (fan_in, fan_out), unit in zip(itertools.pairwise(network.widths), units, strict=True):
        bound = np.sqrt((2.0 if unit == "logistic" else 6.0) / (fan_in + fan_out))
        for shape in ((fan_in, fan_out), (fan_out,)):
            name = next(names)
            params[name] = rng.uniform(-bound, bound, shape).astype(network.dtype, copy=False)
    return params
