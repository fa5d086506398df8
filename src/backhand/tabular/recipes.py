"""Recipes: which networks a preset trains on a table, and how. They are data, found by measuring.

`benchmarks/tables.py` measures them, on tables of which some were never looked at before. They
begin from RealMLP (Holzmüller et al. 2024): robust scaling, embeddings of numbers, a learned scale
of the inputs, the NTK parametrisation, learned strengths of the activations, initialisation by
data, and schedules of learning rate, dropout and decay. What differs is that several networks of
two kinds are trained for fewer epochs, each on other rows, and weighed by rows that they have not
seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from ..errors import InputError, unknown_name

PERIODIC, PIECEWISE = "periodic", "piecewise"
"""How numbers are embedded: as waves of learned frequencies, or in bins of the training rows."""

LOG, RAW = "log", "raw"
"""What a network of a regression learns: the target itself, or its logarithm."""


@dataclasses.dataclass(frozen=True)
class NetworkRecipe:
    """One kind of network.

    Parameters
    ----------
    embedding : {"periodic", "piecewise"}
        Of numbers; see `backhand.layers.Periodic` and `backhand.layers.PiecewiseLinear`.
    embedding_width : int
        Columns that a number becomes.
    embedding_rate : float
        Factor of the learning rate, and of weight decay, of the embedding.
    frequencies, sigma : int, float
        Of periodic embeddings: waves of each column, and the spread of their frequencies.
    bins, distinct_bins : int
        Of piecewise embeddings, at most: of rows, and of distinct values.
    category_width : int
        Columns that an embedded category becomes.
    scale_rate : float
        Factor of the learning rate of the learned scale of the inputs; of decay, its square.
    hidden : tuple of int
        Units of the hidden layers.
    activation : str
    dropout, weight_decay : float
        Both follow the schedule "flat_cos".
    learning_rate : float
        It follows the schedule "coslog4".
    beta2 : float
        Of Adam.
    target : {"raw", "log"}
        The logarithm is for positive targets with a long tail only.
    members : int
        Networks of this kind, each on another fold.
    epochs : float
        Factor of the recipe's number of epochs.
    """

    embedding: str = PERIODIC
    embedding_width: int = 4
    embedding_rate: float = 0.1
    frequencies: int = 16
    sigma: float = 0.1
    bins: int = 48
    distinct_bins: int = 16
    category_width: int = 8
    scale_rate: float = 6.0
    hidden: tuple[int, ...] = (128, 128, 128)
    activation: str = "selu"
    dropout: float = 0.15
    weight_decay: float = 0.02
    learning_rate: float = 0.04
    beta2: float = 0.95
    target: str = RAW
    members: int = 2
    epochs: float = 1.0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The networks of a preset, and how they are trained.

    Parameters
    ----------
    networks : tuple of NetworkRecipe
        The kinds.
    fold : float
        Share of the rows that a network does not learn from: its validation rows.
    lengths : tuple of (int, int, int)
        The most training rows for which it holds, epochs, and rows a step; in increasing order.
    patience : float
        Training ends after this share of its epochs without an improvement.
    """

    networks: tuple[NetworkRecipe, ...]
    fold: float = 0.2
    lengths: tuple[tuple[int, int, int], ...] = ()
    patience: float = 0.5

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Recipe:
        """The recipe of what `dataclasses.asdict` made of one."""
        return cls(**{**d, "networks": tuple(NetworkRecipe(**kind) for kind in d["networks"])})

    @property
    def folds(self) -> int:
        """How many folds the members need."""
        return max(kind.members for kind in self.networks)

    def length(self, rows: int) -> tuple[int, int]:
        """Epochs, and rows a step, for a number of training rows."""
        for most, epochs, batch_size in self.lengths:
            if rows <= most:
                return epochs, batch_size
        return self.lengths[-1][1:]


MOST_MEMBERS = 1_000
"""The most networks that can be asked for; each takes a copy of the rows."""

WAVES = NetworkRecipe()
PIECES = NetworkRecipe(
    embedding=PIECEWISE,
    embedding_width=8,
    embedding_rate=1.0,
    dropout=0.0,
    learning_rate=0.02,
    epochs=1.5,
)
REGRESSION: dict[str, dict[str, Any]] = {
    PERIODIC: {"activation": "mish", "learning_rate": 0.1},
    PIECEWISE: {"activation": "silu", "learning_rate": 0.1},
}
"""What differs for regression, by the embedding."""

LENGTHS = ((2_000, 64, 64), (30_000, 32, 128), (100_000, 16, 256), (10**12, 8, 512))


def _with(kind: NetworkRecipe, members: int, **more: Any) -> NetworkRecipe:
    return dataclasses.replace(kind, members=members, **more)


PRESETS: dict[str, Recipe] = {
    "fast": Recipe((_with(PIECES, 2, epochs=1.0),), lengths=LENGTHS),
    "default": Recipe((_with(WAVES, 2), _with(PIECES, 4)), lengths=LENGTHS),
    "best": Recipe(
        (
            _with(WAVES, 5, hidden=(256, 256, 256)),
            _with(WAVES, 5, sigma=1.0),
            _with(PIECES, 10),
        ),
        lengths=LENGTHS,
    ),
}


def recipe_of(preset: str | Recipe, *, regression: bool, log_target: bool, members: Any) -> Recipe:
    """The recipe of a preset.

    Parameters
    ----------
    preset : {"fast", "default", "best"} or Recipe
    regression : bool
    log_target : bool
        Whether the logarithm of the target is worth trying: half of the last kind then learns it.
    members : int, optional
        Networks in all, instead of as many as the preset has.

    Raises
    ------
    InputError
        If there is no such preset, or a recipe lacks networks or lengths.
    """
    own = isinstance(preset, Recipe)
    if not own and (not isinstance(preset, str) or preset not in PRESETS):
        raise unknown_name("preset", preset, PRESETS)
    recipe = preset if isinstance(preset, Recipe) else PRESETS[preset]
    kinds = recipe.networks
    if not (kinds and recipe.lengths):
        raise InputError(f"preset: a Recipe needs networks and lengths, got {recipe!r:.60}")
    if members is not None:
        whole = isinstance(members, Integral) and not isinstance(members, bool)
        if not (whole and 1 <= members <= MOST_MEMBERS):
            raise InputError(
                f"n_members must be a whole number from 1 to {MOST_MEMBERS:,}, got {members!r:.60}"
            )
        each, more = divmod(int(members), len(kinds))
        shares = [each + (place < more) for place in range(len(kinds))]
        kinds = tuple(
            dataclasses.replace(kind, members=share)
            for kind, share in zip(kinds, shares, strict=True)
            if share
        )
    if own:  # which says all there is to say
        return dataclasses.replace(recipe, networks=kinds)
    if regression:
        kinds = tuple(dataclasses.replace(kind, **REGRESSION[kind.embedding]) for kind in kinds)
    if log_target and kinds[-1].members > 1:
        *others, last = kinds
        half = last.members // 2
        raw = dataclasses.replace(last, members=last.members - half)
        kinds = (*others, raw, dataclasses.replace(last, members=half, target=LOG))
    return dataclasses.replace(recipe, networks=kinds)
