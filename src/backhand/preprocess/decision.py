"""From what a model answers to what it predicts: a class, labels or numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any


@dataclasses.dataclass(frozen=True)
class Decision:
    """What answers y (N, K) stand for.

    Attributes
    ----------
    kind : {"numbers", "largest", "threshold", "largest_logit", "positive_logit", "labels"}
        ``numbers``: y is what is predicted. ``largest``: the class whose y is largest, of equals
        the first. ``threshold``: of two classes the second where ``y[1] >= threshold``, else the
        first. The others look at the logits of the only network, of which y may lose digits:
        ``largest_logit``: the class whose logit is largest, of equals the first.
        ``positive_logit``: of two classes the second where the one logit is above 0.
        ``labels``: each label where its logit is above 0.
    classes : tuple
        Labels in the order of y: texts, numbers or booleans.
    threshold : float
    target : str
        What is predicted, for people; may be empty.
    """

    kind: str
    classes: tuple[Any, ...] = ()
    threshold: float = 0.5
    target: str = ""

    @property
    def by_logits(self) -> bool:
        """Whether it looks at logits."""
        return self.kind in ("largest_logit", "positive_logit", "labels")

    def of(self, logits: Sequence[Array], y: Array) -> Array:
        """y itself; places of classes (N,); or which labels a row has (N, K)."""
        match self.kind:
            case "numbers":
                return y
            case "largest":
                return y.argmax(1)
            case "threshold":
                return (y[:, 1] >= self.threshold).astype(np.intp)
            case "largest_logit":
                return logits[0].argmax(1)
            case "positive_logit":
                return (logits[0][:, 0] > 0).astype(np.intp)
            case _:
                return logits[0] > 0
