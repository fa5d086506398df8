"""`MLPRegressor`: a multi-layer perceptron that predicts numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if

from ..errors import InputError
from ..formulas.activations import Activation, choose_activation
from ..formulas.losses import Loss
from ..plan.ranges import as_numbers, check_range
from . import parameters
from .base import BaseMLP, can_learn_in_parts
from .fitted import Fitted
from .targets import Numbers, check_values, predicted

Array = Any


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """Multi-layer perceptron regressor, in the place of scikit-learn's.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        What is minimised, added up over the outputs of a row. "squared_error": half of it.
        "poisson": half the Poisson deviance with a log link, for targets >= 0. The others are not
        in scikit-learn: "absolute_error", "huber" (``"huber:delta=2"`` for another delta than 1),
        "quantile" (the median, or as in ``"quantile:level=0.9"``; several at once that never
        cross, a column each, as in ``"quantiles:0.1,0.5,0.9"``), and with a log link half the
        deviance of "gamma", for targets > 0, and of "tweedie", for targets >= 0
        (``"tweedie:power=1.2"`` for another power than 1.5, from 1.01 to 1.99). Any other loss of
        one value an output counts too, registered ones included: "binary_cross_entropy" for
        shares from 0 to 1.
    hidden_layer_sizes : int or array-like of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer; `()` gives a linear model.
    activation : str, Activation or a sequence of them, default="relu"
        Of the hidden layers: one for all, or one for each. Every name of
        `backhand.formulas.activations.ACTIVATIONS` counts: scikit-learn's "identity", "logistic",
        "tanh" and "relu", besides "gelu", "silu", "leaky_relu:slope=0.1", "selu", "mish" and more.
    solver : str or Optimiser, default="adam"
        "adam", "sgd" and "adamw", which is Adam with `weight_decay`, go by batches, and so does
        any other of `backhand.formulas.optimisers.OPTIMISERS`, with parameters after its name as
        in "momentum:momentum=0.8". "lbfgs" takes all rows at each step, in float64; it is often
        the best choice up to some thousand rows.
    alpha : float, default=0.0001
        L2 penalty on the weights: half of `alpha` times their squares, divided by the weight of
        the batch, is added to the loss.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is the smaller of 200 and the number of rows.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        For "sgd". "invscaling": after each epoch
        ``learning_rate_init / (rows seen + 1) ** power_t``. "adaptive": divided by 5 where
        training would otherwise stop for want of improvement.
    learning_rate_init : float, default=0.001
        The learning rate at first, for all but "lbfgs".
    power_t : float, default=0.5
        The exponent of "invscaling".
    max_iter : int, default=200
        Epochs at most; for "lbfgs", iterations.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Of the first weights, the order of rows, the split for early stopping and dropout. Numbers
        are drawn as scikit-learn draws them.
    tol : float, default=1e-4
        By how much the loss (with early stopping, the score) must get better to count as an
        improvement; for "lbfgs", the largest element of the gradient at which it is done.
    verbose : bool or int, default=False
        Whether to print the loss of each iteration.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last call. The widths of the layers, and what
        makes predictions of the last one's sums, are then those of the first call.
    momentum : float, default=0.9
        For "sgd", 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set rows aside, to stop when the score on them no longer improves, and to keep
        the weights of the best epoch. For "lbfgs" only with `scoring` or ``X_val``.
    validation_fraction : float, default=0.1
        The share of rows that early stopping sets aside.
    beta_1, beta_2 : float, default=0.9, 0.999
        How slowly Adam forgets gradients and their squares.
    epsilon : float, default=1e-8
        What Adam adds to the root of the squares.
    n_iter_no_change : int or inf, default=10
        Epochs without an improvement that are waited for.
    max_fun : int, default=15000
        Evaluations of the loss at most, for "lbfgs".
    initialiser : str, Initialiser or None, default=None
        How to draw the first weights, see `backhand.formulas.initialisers`; biases are then zero.
        None: as scikit-learn, from the same random numbers. Not in scikit-learn, like all below.
    schedule : str, Schedule or None, default=None
        For all but "lbfgs": how the learning rate goes over ``max_iter`` epochs, such as
        "cosine:warmup=0.1" or "one_cycle"; see `backhand.formulas.schedules`.
    dropout : float or sequence of float, default=0.0
        Share of each hidden layer's outputs that a training step drops: one for all, or one for
        each. Not for "lbfgs".
    dtype : {"auto", "float32", "float64"}, default="auto"
        Of weights and arithmetic. "auto": float64 for "lbfgs", and for a `fit` on at most 200 rows
        that are not float32 already, where it costs next to nothing; else float32. "float64" gives
        scikit-learn's numbers to rounding.
    engine : str or None, default=None
        Which executor trains, see `backhand.engines.ENGINES`. None: the default one.
    threads : int or None, default=None
        How many threads training by batches may use. None: as many as a step is worth. It never
        changes a bit of the result.
    weight_decay : float, default=0.01
        For "adamw": a step multiplies weights by one minus the learning rate times this, whatever
        the gradient. The penalty `alpha` is added to the loss there too: with ``alpha=0`` only
        decay acts.
    scoring : str, callable or None, default=None
        The score that early stopping goes by: the name of one of scikit-learn's, a function of
        (estimator, X, y), or "loss" for the negative of the validation loss. None: R².
    callbacks : callable, list of callables or None, default=None
        Called after each epoch with a `backhand.train.callbacks.Progress`; one that returns
        True ends training. `backhand.ProgressBar` shows how far it is.
    clip_norm : float or None, default=None
        The longest that a step's gradient may be, all parameters together. Not for "lbfgs", nor
        sparse X.
    out_activation : str, Activation or None, default=None
        What maps the network's last sums to predictions, before the loss: any activation, such as
        "softplus" for what is never negative or "logistic" for shares. None: the identity. For
        losses of any real numbers; "poisson", "gamma" and "tweedie" have a log link of their own.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of each layer.
    intercepts_ : list of ndarray of shape (fan_out,)
        The biases of each layer.
    loss_ : float
        The loss of the last epoch, penalty included: the mean over its batches by weight, while
        the weights were changing. For "lbfgs", the loss where it ended.
    loss_curve_ : list of float
        `loss_` after each epoch; of "lbfgs" only where it stops early, as the next four.
    best_loss_ : float or None
        The smallest of them; None with early stopping.
    validation_scores_ : list of float or None
        The score on the rows set aside after each epoch; None without early stopping.
    best_validation_score_ : float or None
        The best of them.
    validation_loss_curve_ : list of float or None
        The loss on those rows, without the penalty.
    stopped_ : bool
        Only of `partial_fit` with early stopping: whether it has stopped.
    n_iter_ : int
        Epochs, or iterations, of the last fit.
    t_ : int
        Rows seen in all epochs together.
    n_layers_ : int
        Layers, inputs and outputs included.
    n_outputs_ : int
        Units of the last layer.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they all are strings.
    out_activation_ : str
        What makes predictions of the logits: "identity", "exp", or the name of `out_activation`.

    See Also
    --------
    MLPClassifier : The same for classes.
    backhand.Network : The network underneath, without scikit-learn.

    Notes
    -----
    What differs from scikit-learn: float32 where ``dtype="auto"`` says so; rows of weight 0 are
    left out before batches are made; with sample weights, an epoch's loss is their mean; log
    losses are exact where scikit-learn clips probabilities; the L2 part of `loss_` is taken on the
    straight line between the ends of an epoch.

    With several outputs, `loss_` and `loss_curve_` show the mean over the outputs, as in
    scikit-learn (for Poisson the sum), while the sum is what is minimised.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.model_selection import train_test_split
    >>> from backhand import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
    >>> model = MLPRegressor(solver="lbfgs", activation="silu", alpha=1.0, max_iter=2000,
    ...                      tol=0.1, random_state=1)
    >>> model = model.fit(X_train, y_train)
    >>> model.predict(X_test[:2]).shape
    (2,)
    >>> bool(model.score(X_test, y_test) > 0.9)
    True
    """

    _parameter_constraints = parameters.REGRESSOR

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        initialiser: Any = None,
        schedule: Any = None,
        dropout: Any = 0.0,
        dtype: str = "auto",
        engine: str | None = None,
        threads: int | None = None,
        weight_decay: float = 0.01,
        scoring: Any = None,
        callbacks: Any = None,
        clip_norm: float | None = None,
        out_activation: Any = None,
    ) -> None:
        self._set(locals())

    # targets --------------------------------------------------------------------------------------

    def _targets(self, y: Array, classes: Array | None) -> Numbers:
        return Numbers.of(y, parameters.regression_loss(self.loss), self.loss)

    def _check_values(self, y: Array, dtype: str, name: str) -> None:
        check_range(y, dtype, name)
        if y.dtype.kind == "f" and not np.isfinite(y).all():  # None among objects became NaN
            row = int(np.argwhere(~np.isfinite(y))[0][0])
            raise InputError(f"{name} is {y[row]} in row {row}: every target must be finite")
        check_values(y, parameters.regression_loss(self.loss), self.loss, name)

    def _loss(self, targets: Numbers) -> tuple[Loss, Activation | None, int, str]:
        loss = parameters.regression_loss(self.loss)
        link = None if self.out_activation is None else choose_activation(self.out_activation)
        outputs = len(loss.levels) if loss.levels else targets.count
        return loss, link, outputs, self._out_activation(loss, link)

    def _out_activation(self, loss: Loss, link: Activation | None) -> str:
        """What makes predictions of the logits."""
        return parameters.LINKS.get(loss.target, "identity") if link is None else link.name

    def _outputs_averaged(self, targets: Numbers) -> int:
        loss = parameters.regression_loss(self.loss)
        return 1 if loss.name == "poisson" else len(loss.levels) or targets.count

    def _score_logits(self, fitted: Fitted, z: Array, t: Array, weight: Array | None) -> float:
        y = predicted(fitted.network.loss, z)
        if not np.isfinite(y).all():
            return float("nan")
        return float(fitted.targets.score(fitted.targets.decode(t), y, weight))

    def score(self, X: Array, y: Array, sample_weight: Array | None = None) -> float:
        """R² of the predictions; of several quantiles, the mean of their D².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
            At most 1. D² is the share of the pinball loss of a constant that is saved, as
            `sklearn.metrics.d2_pinball_score`.
        """
        y = as_numbers(y, "y")
        predictions = self.predict(X)
        return float(self._fitted.targets.score(y, predictions, sample_weight))

    # learning in parts ----------------------------------------------------------------------------

    @available_if(can_learn_in_parts)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        X_val: Array | None = None,
        y_val: Array | None = None,
        sample_weight_val: Array | None = None,
    ) -> Any:
        """Train one epoch on these rows, from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As for `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As for `fit`.
        X_val, y_val, sample_weight_val : as for `fit`, default=None
            With early stopping, which each call judges its epoch by: give the same rows to every
            call. It needs them, since rows set aside from one call may be learnt from in another.

        Returns
        -------
        self : object
            With early stopping, `stopped_` says after each call whether this was the last: more
            than `n_iter_no_change` calls in a row were no improvement, or a callback asked for it,
            and `coefs_` are the best by validation score (until then, those of the last call).
            Further calls leave everything as it is, unless early_stopping=False is set.

        Raises
        ------
        InputError
            If early stopping has no X_val, or the data are not what the first call had.
        """
        judged = parameters.rows_to_judge(self, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, incremental=True, judged=judged)

    # predicting -----------------------------------------------------------------------------------

    def predict(self, X: Array) -> Array:
        """The expected target of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A dense float array goes in without further ado.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of several quantiles, a column each. float32 if X is, else float64.
        """
        z, fitted = self._logits(X)
        return predicted(fitted.network.loss, z)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
