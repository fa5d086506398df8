"""How much a score loses where the values of one column change places (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = Any


def shuffled_losses(
    x: Array,
    places: Mapping[str, Sequence[int]],
    score: Callable[[Array], float],
    repeats: int,
    rng: Any,
) -> dict[str, Array]:
    """What the score of rows loses, column by column, most first.

    Parameters
    ----------
    x : array (N, D)
        Prepared rows. They are changed on the way, and at the end as they were.
    places : mapping of str to sequence of int
        Which columns of x belong together.
    score : callable
        From rows x to a number, of which greater is better.
    repeats : int
    rng : RandomState or Generator

    Returns
    -------
    dict of str to array (repeats,)
    """
    best, lost = score(x), {}
    for name, columns in places.items():
        kept, scores = x[:, columns], []
        for _ in range(repeats):
            x[:, columns] = kept[rng.permutation(len(x))]
            scores.append(best - score(x))
        x[:, columns] = kept
        lost[name] = np.array(scores)
    return dict(sorted(lost.items(), key=lambda item: -item[1].mean()))
