"""Networks whose logits become answers, with a say for each network in each row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...network import Network, Params
from ...train.rows import parts

Array = Any

STEP = 1e-4
"""Of central differences, in logits: their error is below 1e-8, and that of float64 1e-12."""


@dataclasses.dataclass(frozen=True, eq=False)
class Answering:
    """How prepared rows are answered.

    Attributes
    ----------
    networks : sequence of (Network, parameters)
    decode : sequence of callable
        Of each network, from logits (N, K) to its answers, probabilities (N, K) or values (N,).
    weights : array (M, 1) or (M, N)
        What each network counts in each of N rows; the sum over networks is 1. A network that has
        learned from a row has no say in it.
    finish : callable
        From the mean of answers to the model's.
    """

    networks: Sequence[tuple[Network, Params]]
    decode: Sequence[Callable[[Array], Array]]
    weights: Array
    finish: Callable[[Array], Array] = lambda mean: mean

    @functools.cached_property
    def _predictors(self) -> list[Callable[[Array], Array]]:
        return [network.predictor(params) for network, params in self.networks]

    def weights_of(self, rows: Array) -> Array:
        """What each network counts in some rows, (M, N)."""
        if self.weights.shape[1] == 1:
            return np.broadcast_to(self.weights, (len(self.weights), len(rows)))
        return self.weights[:, rows]

    def __call__(self, x: Array, rows: Array) -> Array:
        """Answers for inputs x (N, D), each by the networks that may answer the row ``rows`` (N,).

        Returns
        -------
        array (N, K) or (N,)
            Probabilities, or values.
        """
        pieces = [self.of_logits(self.logits(some, rows[at]), rows[at]) for at, some in parts(x)]
        return np.concatenate(pieces) if pieces else np.empty(0)

    def logits(self, x: Array, rows: Array) -> list[Array]:
        """Of each network, (N, K) in float64: zeros where it has no say."""
        found = []
        for (network, _), predict, weight in zip(
            self.networks, self._predictors, self.weights_of(rows), strict=True
        ):
            z = np.zeros((len(x), network.outputs))
            said = weight > 0
            if said.all():
                z[:] = predict(np.ascontiguousarray(x, network.dtype))
            elif said.any():
                z[said] = predict(np.ascontiguousarray(x[said], network.dtype))
            found.append(z)
        return found

    def of_logits(self, logits: Sequence[Array], rows: Array) -> Array:
        """Answers of the logits of each network."""
        total: Array = 0.0
        for z, decode, weight in zip(logits, self.decode, self.weights_of(rows), strict=True):
            answers = decode(z)
            total = total + (weight if answers.ndim == 1 else weight[:, None]) * answers
        return self.finish(total)

    def gradients(self, x: Array, rows: Array, k: Array) -> Array:
        """The derivative of an answer by the inputs, dx (N, D) in float64.

        From logits to the answer by central differences, from inputs to logits by the compiled
        derivatives of the networks.

        Parameters
        ----------
        x : array (N, D)
        rows : array of int (N,)
        k : array of int (N,)
            Which of the probabilities of each row; of values, anything.
        """
        logits, each = self.logits(x, rows), np.arange(len(x))
        dx = np.zeros(x.shape)

        def answer(changed: list[Array]) -> Array:
            found = self.of_logits(changed, rows)
            return found if found.ndim == 1 else found[each, k]

        for place, ((network, params), weight) in enumerate(
            zip(self.networks, self.weights_of(rows), strict=True)
        ):
            said = np.flatnonzero(weight > 0)
            if not len(said):
                continue
            dz = np.zeros_like(logits[place])
            for output in range(network.outputs):
                moved = [z.copy() if other == place else z for other, z in enumerate(logits)]
                moved[place][:, output] += STEP
                above = answer(moved)
                moved[place][:, output] -= 2 * STEP
                dz[:, output] = (above - answer(moved)) / (2 * STEP)
            for at, some in parts(said):
                del at
                given = np.ascontiguousarray(x[some], network.dtype)
                dx[some] += network.input_gradients(params, given, dz[some].astype(network.dtype))
        return dx
