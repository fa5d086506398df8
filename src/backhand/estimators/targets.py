"""What an estimator has learned to predict: its targets as numbers, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import unique_labels

from ..errors import InputError
from ..formulas.loss import TARGETS, Loss
from ..run.namespaces import NUMPY

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Classes:
    """Classes that exclude each other, or several labels a row.

    Parameters
    ----------
    binarizer : LabelBinarizer
        Fitted to the first targets.
    labels : ndarray
        The attribute `classes_`.
    """

    binarizer: LabelBinarizer
    labels: Array

    @classmethod
    def of(cls, y: Array) -> Classes:
        """The classes of targets. Raises ValueError if they are none."""
        binarizer = LabelBinarizer().fit(y)
        return cls(binarizer, binarizer.classes_)

    @classmethod
    def named(cls, labels: Array, several: bool) -> Classes:
        """Classes of these labels."""
        wanted = np.array([[0], [1]]).repeat(len(labels), 1) if several else labels
        return cls(LabelBinarizer().fit(wanted), labels)

    @property
    def several(self) -> bool:
        """Whether a row has several labels, which do not exclude each other."""
        return bool(self.binarizer.y_type_.startswith("multilabel"))

    @property
    def kind(self) -> str:
        """What is predicted: "several labels", "two classes" (or one) or "classes"."""
        if self.several:
            return "several labels"
        return "classes" if self.binarizer.y_type_ == "multiclass" else "two classes"

    def check(self, y: Array, name: str, all_of_them: bool = False) -> None:
        """Raise InputError unless targets are of these classes, and of their kind."""
        several = issparse(y) or y.ndim == 2
        if several != self.several:
            kinds = "one class a row", "several labels a row"
            raise InputError(
                f"{name} has {kinds[several]}, and the first call's y had {kinds[not several]}: "
                "call fit to begin anew"
            )
        if several:
            if y.shape[1] != len(self.labels):
                raise InputError(
                    f"{name} has {y.shape[1]} labels a row, and the first call's y had "
                    f"{len(self.labels)}: call fit to begin anew"
                )
            return
        classes = unique_labels(y)
        if all_of_them and set(classes) != set(self.labels):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {shown(self.labels)}, `y` has {shown(classes)}"
            )
        if not set(classes) <= set(self.labels):
            raise InputError(
                f"`{name}` has classes not in `self.classes_`. "
                f"`self.classes_` has {shown(self.labels)}. '{name}' has {shown(classes)}."
            )

    def encode(self, y: Array) -> Array:
        """Targets that were checked, as numbers: (N, labels) of 0 and 1, or (N, 1) places."""
        if self.several:
            return self.binarizer.transform(y)
        return np.searchsorted(self.labels, y).reshape(-1, 1).astype(np.int64)

    def decode(self, t: Array) -> Array:
        """The targets as they were given."""
        t = t.astype(np.intp)
        return t if self.several else self.labels[t[:, 0]]

    def choose(self, z: Array) -> Array:
        """The places of the likeliest classes, (N, 1), or which labels a row has, (N, labels)."""
        return z.argmax(1)[:, None] if z.shape[1] > 1 and not self.several else z > 0

    def score(self, z: Array, t: Array, weight: Array | None) -> float:
        """The accuracy of logits: what early stopping maximises if nothing else is asked for."""
        if not np.isfinite(z).all():
            return float("nan")
        return float(np.average((self.choose(z) == t).all(1), weights=weight))


def shown(labels: Array) -> str:
    """Labels as text in one line; of many, the first and the last."""
    return np.array2string(np.asarray(labels), max_line_width=10**9, threshold=20)


@dataclasses.dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers to predict.

    Parameters
    ----------
    count : int
        How many a row.
    levels : tuple of float
        Of the quantiles of one number, if that is what is predicted.
    """

    count: int
    levels: tuple[float, ...] = ()

    @classmethod
    def of(cls, y: Array, loss: Loss, name: Any) -> Numbers:
        """The kind of targets. Raises InputError if a loss, of that name, cannot have them."""
        count = 1 if y.ndim == 1 else y.shape[1]
        if loss.levels and count > 1:
            raise InputError(f"loss={name!r} is for one target, got {count} in y")
        return cls(count, loss.levels)

    def check(self, y: Array, name: str) -> None:
        """Raise InputError unless there are as many numbers a row."""
        count = 1 if y.ndim == 1 else y.shape[1]
        if count != self.count:
            raise InputError(
                f"{name} has {count} columns and y has {self.count}"
                if name != "y"
                else f"y has {count} targets a row, and the first call's had {self.count}: "
                "call fit to begin anew"
            )

    def encode(self, y: Array) -> Array:
        """Targets (N, count), or the one target once for each quantile."""
        t = y[:, None] if y.ndim == 1 else y
        return np.repeat(t, len(self.levels), axis=1) if self.levels else t

    def decode(self, t: Array) -> Array:
        """The targets as they were given."""
        return t[:, 0] if self.count == 1 else t

    def score(self, t: Array, y: Array, weight: Array | None) -> float:
        """R² of predictions y; of several quantiles, the mean of their D²."""
        from sklearn.metrics import d2_pinball_score, r2_score  # slow to import

        if not self.levels:
            return float(r2_score(t, y, sample_weight=weight))
        columns = zip(y.reshape(-1, len(self.levels)).T, self.levels, strict=True)
        scores = [d2_pinball_score(t, q, sample_weight=weight, alpha=level) for q, level in columns]
        return float(np.mean(scores))


def check_values(y: Array, loss: Loss, said: Any, name: str) -> None:
    """Raise InputError unless a loss, ``said`` as the user did, can have every target."""
    if loss.target == "real":  # y is finite
        return
    fits, wanted = TARGETS[loss.target]
    bad = ~fits(y)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise InputError(
            f"loss={said!r} needs targets {wanted}, got {y[bad].min()} in {name} "
            f"(the first such row is {row})"
        )


def predicted(loss: Loss, z: Array) -> Array:
    """What logits (N, K) mean: (N,) if there is one output."""
    y = loss.inverse_link(NUMPY, z)
    return y[:, 0] if y.shape[1] == 1 else y
