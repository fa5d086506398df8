"""What goes on in a session with an estimator: the estimator, its twin, and its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from backhand import MLPClassifier, MLPRegressor

from .ingredients import (
    Dice,
    Given,
    contained,
    dense,
    nothing,
    numbers_in,
    plain,
    shaped,
    spoil,
)

SHOWN = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "identity": lambda z: z,
    "logistic": lambda z: 0.5 * (1 + np.tanh(z / 2)),
}
LABELS: dict[str, Any] = {
    "two": [0, 1],
    "three": [0, 1, 2],
    "texts": ["ham", "spam", "egg"],
    "booleans": [False, True],
    "numbers": [-1.0, 2.0, 7.0],
    "one": [5],
    "large": [2**53, 2**60, -(2**62)],
}
BETWEEN: dict[str, tuple[Any, ...]] = {
    "hidden_layer_sizes": ((6, 6), (2000,), (4,), (), (5,), 0, "x", [3, 2.5], np.array([7])),
    "activation": ("tanh", "relu", "no", None, ["relu"], ["relu", "tanh", "tanh"]),
    "solver": ("sgd", "adam", "lbfgs", "adamw", "no"),
    "alpha": (0.0, 1.0, -1, np.nan, 1e39, 1e300),
    "batch_size": (1, 7, 10**9, "auto", 0, 2.5),
    "learning_rate": ("constant", "invscaling", "adaptive", None),
    "learning_rate_init": (0.1, 1e-3, 0, -1, np.nan, 1e39, 1e300, "1"),
    "max_iter": (1, 2, 0, -1, 2.5),
    "shuffle": (True, False, None, "yes"),
    "random_state": (0, None, -1, 2**40, "x", np.random.RandomState(0)),
    "tol": (0.0, 1e300, np.nan, -1),
    "warm_start": (True, False),
    "momentum": (0.0, 1.0, 0.5, 2, np.nan),
    "early_stopping": (True, False, None),
    "validation_fraction": (0.5, 0.0, 0.999, 1, np.nan),
    "beta_1": (0.0, 0.5, 1, np.nan),
    "epsilon": (1e-300, 1e-8, 0, np.inf, 1e300),
    "n_iter_no_change": (1, np.inf, 0, 2.5),
    "max_fun": (1, 0),
    "initialiser": ("kaiming_normal", "lsuv", "no", 3),
    "schedule": ("cosine", "no", 3, "cosine:warmup=5"),
    "dropout": (0.5, [0.5], 1, np.nan, [[0.5]], [0.1] * 9, 0.999999),
    "dtype": ("float32", "float64", "float16", None),
    "engine": ("llvm", "numpy", "no", 3),
    "threads": (1, 2, None, 0, 2.5, 33),
    "clip_norm": (1.0, 1e-300, 0, np.inf, None),
    "loss": ("no", "focal", "poisson", "huber", 3, "quantiles:0.1,0.9"),
    "callbacks": (3, [3], ["x"], None, print),
    "scoring": ("no", "r2", "accuracy", 3, "loss", lambda *a: np.nan),
    "label_smoothing": (0.1, 1, np.nan),
    "class_weight": ({0: 2.0}, "balanced", {0: -1}, {0: np.nan}, [1], {"x": 1e300}),
    "out_activation": ("softplus", "no", 3),
    "weight_decay": (-1, np.nan, 1e300),
}
LIVE = {"alpha", "batch_size", "shuffle", "callbacks", "verbose", "tol", "max_iter", "threads"}


class Session:
    """An estimator, its twin, and what it was fitted with."""

    def __init__(self, dice: Dice, memory: Any) -> None:
        self.dice, self.memory = dice, memory
        self.classifies = dice.chance(0.5)
        self.columns, self.outputs = dice.whole(2, 5), dice.one((1, 1, 2))
        self.labels = dice.one(list(LABELS))
        self.activation = dice.one(list(SHOWN))
        self.chosen: dict[str, Any] = {
            "hidden_layer_sizes": dice.one(((), (6,), (7, 5), (300,))),
            "activation": self.activation,
            "solver": dice.one(("sgd", "sgd", "adam", "lbfgs")),
            "max_iter": dice.whole(1, 3),
            "random_state": dice.whole(0, 3),
            "alpha": dice.one((0.0, 1e-4)),
            "learning_rate_init": 0.01,
            "dtype": dice.one(("auto", "auto", "float32", "float64")),
            "engine": dice.one((None, None, "numpy")),
            "warm_start": dice.chance(0.3),
        }
        self.odd = dice.chance(0.2)
        if self.odd:
            name = dice.one(self.names())
            self.chosen[name] = dice.one(BETWEEN[name])
        self.kind = MLPClassifier if self.classifies else MLPRegressor
        self.model = self.kind(**self.chosen)
        self.twin: Any = None
        self.pending: set[str] = set()  # parameters set since the last fit
        self.tampered, self.replaced, self.fresh = False, False, True

    def names(self) -> list[str]:
        known = (MLPClassifier if self.classifies else MLPRegressor)._get_param_names()
        return [name for name in BETWEEN if name in known]

    def state(self) -> dict[str, Any]:
        """What a refused call must leave as it was: what is fitted, and what it predicts."""
        fitted = vars(self.model)
        if "coefs_" not in fitted:
            return _frozen(fitted.get("classes_"))
        kept = {
            k: _frozen(v) for k, v in fitted.items() if k.endswith("_") and not k.endswith("__")
        }
        return {**kept, "predictions": self.predictions()}

    def predictions(self) -> Any:
        probe = np.random.default_rng(0).standard_normal((3, self.model.n_features_in_))
        try:
            return repr(self.model.predict(probe).tolist())
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def targets(self, rows: int, peril: float = 1.0) -> Given:
        """What `fit` takes for y, or not."""
        dice, chance = self.dice, self.dice.rng.random() / peril
        base = plain(dice, (rows, 3 if dice.chance(0.1 * peril) else self.outputs))
        if chance < 0.04:
            return nothing(dice, base)
        if chance < 0.1:
            given = dense(dice, self.memory, plain(dice, shaped(dice, base.shape)), 0)
            t = given.truth
            good = (
                t is not None
                and not self.classifies
                and t.ndim in (1, 2)
                and len(t) == rows
                and t.size
            )
            return Given(given.value, t if good else None, given.note)
        if self.classifies:
            if dice.chance(0.1):
                several = dice.rng.integers(0, 2, (rows, 3))
                return Given(several, several, f"{several.shape} labels")
            own = not dice.chance(0.1 * peril)
            known = np.array(LABELS[self.labels if own else dice.one(list(LABELS))])
            y = known[np.arange(rows) % len(known)]
            y = y.astype(dice.one((object, y.dtype, y.dtype)))
            if dice.chance(0.1 * peril) and y.dtype.kind in "ifO":
                note = spoil(dice, y)
                return Given(y, numbers_in(y), f"{self.labels} labels, {note}")
            easy = (
                own
                and len(known) > 1
                and rows >= 4
                and (y.dtype != object or self.labels == "texts")
            )
            return Given(y, y, f"{self.labels} labels, {y.dtype}", easy)
        return contained(dice, base) if chance < 0.16 else dense(dice, self.memory, base, peril)

    def plain_model(self) -> Any:
        """A twin that is still to be fitted."""
        return self.kind(
            **{
                **self.model.get_params(deep=False),
                "engine": "numpy",
                "dtype": "float64",
                "threads": None,
                "callbacks": None,
            }
        )


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (
            value.shape,
            str(value.dtype),
            value.tobytes() if value.dtype != object else repr(value),
        )
    if isinstance(value, (list, tuple)):
        return [_frozen(item) for item in value]
    return repr(value)


def said(model: Any) -> str:
    return " ".join(repr(model).split())


def logits_of(model: Any, activation: str, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits by the textbook, and what rounding may do."""
    z, size, terms = X, np.abs(X), 8
    with np.errstate(all="ignore"):
        for layer, (w, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
            z = (SHOWN[activation](z) if layer else z) @ numbers_in(w) + numbers_in(b)
            size, terms = (
                size @ np.abs(numbers_in(w)) + np.abs(numbers_in(b)) + 1,
                terms + len(w) + 16,
            )
    kinds = [a.dtype for a in (*model.coefs_, *model.intercepts_, X)]
    eps = max(np.finfo(kind if kind.kind == "f" else "f4").eps for kind in kinds)
    return z, terms * size * eps
