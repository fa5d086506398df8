"""From a recipe and the inputs of a table to a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layers import (
    Activate,
    Columns,
    Concat,
    Dropout,
    Embedding,
    Layer,
    Linear,
    Periodic,
    PiecewiseLinear,
    Scale,
)
from ..network import Network, Params
from ..plan.nodes import Lookup
from ..plan.step import forward_plan
from ..preprocess.preparation import TablePreparation
from .recipes import PERIODIC, NetworkRecipe

Array = Any

SLOW = 0.1
"""Factor of the learning rate of biases and of learned strengths. As RealMLP."""

QUANTILED = 50_000
"""Bins are made of fewer than twice as many rows, evenly spaced; more would hardly move edges."""


def network_of(
    recipe: NetworkRecipe, preparation: TablePreparation, x: Array, outputs: int, loss: Any
) -> Network:
    """The network of a recipe.

    Parameters
    ----------
    recipe : NetworkRecipe
    preparation : TablePreparation
        It says which columns of x are what.
    x : array of float32 (N, D)
        Prepared training rows, of which bins are made.
    outputs : int
    loss : str or Loss
    """
    inputs = preparation.inputs
    numbers, indicators = len(inputs.numbers), len(inputs.indicators)
    branches: list[Layer] = []
    if numbers:
        embedding: Layer
        shared: dict[str, Any] = {
            "learning_rate": recipe.embedding_rate,
            "decay": recipe.embedding_rate,
        }
        if recipe.embedding == PERIODIC:
            embedding = Periodic(
                "pbld", recipe.frequencies, recipe.embedding_width, recipe.sigma, **shared
            )
        else:
            some = x[:: max(1, len(x) // QUANTILED), :numbers]
            sizes = recipe.bins, recipe.distinct_bins
            embedding = PiecewiseLinear.from_quantiles(
                some, *sizes, width=recipe.embedding_width, **shared
            )
        branches.append(Columns(0, numbers, [embedding]))
    if indicators:
        branches.append(Columns(numbers, indicators))
    for place, counts in enumerate(preparation.frequencies, start=numbers + indicators):
        table = Embedding(len(counts), recipe.category_width)
        branches.append(Columns(place, 1, [table]))
    layers = [Concat(branches), Scale(recipe.scale_rate, recipe.scale_rate)]
    for units in recipe.hidden:
        layers.append(Linear(units, ntk=True, bias_learning_rate=SLOW))
        activate = Activate(recipe.activation, strength=True, learning_rate=SLOW, decay=SLOW)
        layers += [activate, Dropout(recipe.dropout)]
    layers.append(Linear(outputs, ntk=True, bias_learning_rate=SLOW))
    return Network(layers, inputs=x.shape[1], loss=loss)


def code_counts(preparation: TablePreparation, x: Array) -> list[Array]:
    """How many rows of x (N, D) have each code of each embedded column."""
    known = preparation.frequencies
    codes = x[:, preparation.width - len(known) :].astype(np.int64)
    return [
        np.bincount(column, minlength=len(counts))
        for column, counts in zip(codes.T, known, strict=True)
    ]


def with_unseen(
    network: Network,
    params: Params,
    rows: Sequence[Array],
    frequencies: Sequence[Sequence[int]],
) -> Params:
    """Parameters in which a code that no training row has is the mean of those that some have.

    Parameters
    ----------
    network : Network
    params : dict of str to array
    rows : sequence of array of int
        `code_counts` of the rows that they were trained on.
    frequencies : sequence of sequence of int
        Of each embedded column, as `TablePreparation.frequencies`: a code with 0 counts as if no
        row had it.
    """
    plan, params = forward_plan(network), dict(params)
    found = (n for n in plan.nodes if isinstance(n, Lookup) and n.index.home == plan.x)
    for node, known, of_rows in zip(found, frequencies, rows, strict=True):
        table = params[node.table.name]
        counts = np.array(of_rows, np.float64)
        counts[np.array(known) == 0] = 0
        if counts.all():
            continue
        table = table.copy()
        table[counts == 0] = (counts / counts.sum()) @ table
        params[node.table.name] = table
    return params
