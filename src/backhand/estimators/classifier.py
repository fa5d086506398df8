"""`MLPClassifier`: a multi-layer perceptron that classifies."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels

from ..errors import InputError
from ..formulas.activations import logistic, softplus
from ..formulas.answers import opposite
from ..formulas.losses import Loss, softmax
from ..run.namespaces import NUMPY
from . import parameters
from .base import BaseMLP, can_learn_in_parts
from .entering import as_input_error
from .fitted import Fitted
from .targets import Classes, shown
from .weighing import weights_of_classes, weights_of_labels

Array = Any


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """Multi-layer perceptron classifier, in the place of scikit-learn's.

    It minimises the log loss: softmax over three or more classes; one logistic output for two
    classes; one logistic output a label for several labels, whose losses are added up.

    Parameters
    ----------
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
        (estimator, X, y), or "loss" for the negative of the validation loss. None: accuracy.
    callbacks : callable, list of callables or None, default=None
        Called after each epoch with a `backhand.train.callbacks.Progress`; one that returns
        True ends training. `backhand.ProgressBar` shows how far it is.
    clip_norm : float or None, default=None
        The longest that a step's gradient may be, all parameters together. Not for "lbfgs", nor
        sparse X.
    loss : str or Loss, default="log_loss"
        What is minimised: "log_loss", as scikit-learn, or "focal" (Lin 2017), which counts rows
        less the better they are classified; ``"focal:gamma=1"`` for another gamma than 2. A loss
        that was registered counts too: one of classes gives an output to each, one of
        probabilities is for two classes, in one output, and for several labels.
    label_smoothing : float, default=0.0
        Share of each label that is spread evenly over all classes, 0 up to 1, for "log_loss".
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class, by which the weights of its rows are multiplied; a class that is not
        in the dict weighs 1. "balanced": ``n_samples / (n_classes * n_samples_of_the_class)``. For
        several labels, a dict ``{0: weight, 1: weight}`` for each, in a list; a row has the product
        over its labels, as in `sklearn.utils.class_weight.compute_sample_weight`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for several labels, their numbers.
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
    out_activation_ : {"softmax", "logistic"}
        What makes probabilities of the logits.

    See Also
    --------
    MLPRegressor : The same for numbers.
    backhand.Network : The network underneath, without scikit-learn.

    Notes
    -----
    What differs from scikit-learn: float32 where ``dtype="auto"`` says so; rows of weight 0 are
    left out before batches are made; with sample weights, an epoch's loss is their mean; log
    losses are exact where scikit-learn clips probabilities; the L2 part of `loss_` is taken on the
    straight line between the ends of an epoch; there is a `decision_function`, which
    `CalibratedClassifierCV` takes rather than probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from backhand import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier((20, 20), solver="lbfgs",
    ...                                                       alpha=1.0, random_state=0))
    >>> model = model.fit(X_train, y_train)
    >>> bool(model.score(X_test, y_test) > 0.9)
    True
    >>> model.predict_proba(X_test[:2]).shape
    (2, 3)
    """

    _parameter_constraints = parameters.CLASSIFIER

    def __init__(
        self,
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
        loss: str = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: Any = None,
    ) -> None:
        self._set(locals())

    # targets --------------------------------------------------------------------------------------

    def _targets(self, y: Array, classes: Array | None) -> Classes:
        if classes is None or issparse(y) or y.ndim == 2:
            return Classes.of(y)
        targets = Classes.named(unique_labels(classes), several=False)
        targets.check(y, "y")
        return targets

    def _check_targets(self, targets: Classes, y: Array, classes: Array | None) -> None:
        if classes is not None:
            known = unique_labels(classes)
            binary = targets.several and set(known) <= {0, 1}
            if not binary and not np.array_equal(targets.labels, known):
                raise InputError(
                    f"`classes={shown(known)}` is not the same as on last call to partial_fit, "
                    f"was: {shown(targets.labels)}"
                )
        targets.check(y, "y", self.warm_start)

    def _loss(self, targets: Classes) -> tuple[Loss, None, int, str]:
        loss = parameters.class_loss(self, targets.kind)
        return loss, None, *self._outputs(loss, targets)

    def _outputs(self, loss: Loss, targets: Classes) -> tuple[int, str]:
        """How many outputs, and what makes probabilities of them."""
        if loss.by_row:
            return max(2, len(targets.labels)), "softmax"
        return len(targets.labels) if targets.several else 1, "logistic"

    def _score_logits(self, fitted: Fitted, z: Array, t: Array, weight: Array | None) -> float:
        return float(fitted.targets.score(z, t, weight))

    def _factors(self, targets: Classes, t: Array, incremental: bool) -> list[Array]:
        given = self.class_weight
        if given is None:
            return []
        if given == "balanced" and incremental:
            raise InputError(
                "class_weight='balanced' is not for partial_fit, whose rows are not all there are: "
                "pass as a dict what sklearn.utils.class_weight.compute_class_weight('balanced', "
                "classes=classes, y=y) gives for a large enough sample of y"
            )
        if targets.several:
            return weights_of_labels(given, t)
        return [weights_of_classes(given, targets.labels, t)]

    def _strata(self, fitted: Fitted, t: Array) -> Array | None:
        # only of two classes, as scikit-learn does; as labels, which its messages show
        return fitted.targets.decode(t) if fitted.targets.kind == "two classes" else None

    # learning in parts ----------------------------------------------------------------------------

    @available_if(can_learn_in_parts)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        classes: Array | None = None,
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Need not have all classes.
        sample_weight : array-like of shape (n_samples,), default=None
            As for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will come. The first call needs them, later calls may leave them out.
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
            If the classes are missing, or others than before, or early stopping has no X_val.
        """
        if classes is None and "_fitted" not in self.__dict__:
            raise InputError("classes must be passed on the first call to partial_fit.")
        judged = parameters.rows_to_judge(self, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, incremental=True, judged=judged, classes=classes)

    # predicting -----------------------------------------------------------------------------------

    def predict(self, X: Array) -> Array:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A dense float array goes in without further ado.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the type of `classes_`; for several labels, a matrix of 0 and 1.
        """
        z, fitted = self._logits(X)
        targets = fitted.targets
        if targets.several:
            return targets.binarizer.inverse_transform(targets.choose(z).astype(z.dtype))
        if len(targets.labels) == 1:
            return np.repeat(targets.labels, len(z))
        return targets.labels[targets.choose(z)[:, 0].astype(np.intp)]

    def decision_function(self, X: Array) -> Array:
        """The logits: probabilities before softmax or the logistic function.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes, the logit of the second; float32 if X is, else float64.
        """
        z, fitted = self._logits(X)
        if fitted.targets.kind != "two classes":
            return z
        return z[:, 0] if z.shape[1] == 1 else z[:, 1] - z[:, 0]

    def predict_proba(self, X: Array) -> Array:
        """The probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Classes in the order of `classes_`; float32 if X is, else float64. For several labels,
            the probability of each.
        """
        z, fitted = self._logits(X)
        if fitted.out_activation == "softmax":
            return softmax(NUMPY, z)
        if fitted.targets.several:
            return logistic(NUMPY, z)
        return logistic(NUMPY, np.concatenate([opposite(NUMPY, z), z], axis=1))

    def score(self, X: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The share of rows whose class, or whose labels, are all right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        with as_input_error("y"):
            return float(super().score(X, y, sample_weight))

    def predict_log_proba(self, X: Array) -> Array:
        """The logarithm of `predict_proba`, which stays finite where a probability is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        z, fitted = self._logits(X)
        if fitted.out_activation == "softmax":
            z = z - z.max(1, keepdims=True)
            return z - np.log(np.exp(z).sum(1, keepdims=True))
        if fitted.targets.several:
            return -softplus(NUMPY, -z)
        return np.concatenate([-softplus(NUMPY, z), -softplus(NUMPY, -z)], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
