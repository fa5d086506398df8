"""What the layers of a network look like while it is trained, looked at now and then.

A look takes milliseconds, and the monitor takes no more of them than `SHARE` of the time that has
gone by. So a short training has a few looks, and a long one has one after each epoch.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..network import Network, Params
from ..plan.nodes import Product
from ..plan.step import forward_plan
from ..run.blas import one_blas_thread
from .callbacks import Progress
from .rows import Rows

Array = Any

SHARE = 0.04
"""Of the time that has gone by, at most, for looks."""

GUESS = 0.01
"""Seconds of a processor that a look takes, until one has been taken."""

ROWS = 64
"""Rows of a look; means and spreads of a layer are then known to a few per cent."""

MOST_LOOKS = 100
"""Of one training; where there are more, every other one goes."""

EDGES = np.sinh(np.linspace(-4.0, 4.0, 41))
"""Of the histograms of outputs: -27 to 27, finest at 0. What is beyond counts in the last bins."""

FLAT = 0.01
"""A unit is flat at a row if less than this share of the gradient passes its activation."""

MOST_FLAT = 0.95
"""A unit counts as flat if it is so at this share of the rows."""


@dataclasses.dataclass(frozen=True)
class LayerLook:
    """A layer at one moment, over some rows.

    Attributes
    ----------
    layer : int
        The linear layer, which count from 1.
    units : int
    z_mean, z_std : float
        Of pre-activations.
    y_mean, y_std : float
        Of outputs.
    dead : int
        Units whose output is the same for every row.
    zeros : float
        Share of outputs that are exactly 0.
    flat : float
        Share of units, not dead, through which hardly any gradient passes at nearly any row.
    dz_std : float
        Of the gradient of the loss at the pre-activations.
    weights : float
        Root mean square of the weights.
    update : float or None
        Root mean square of their change in an epoch, as a share of that; None at first.
    histogram : list of int
        Of outputs, between `EDGES`.
    """

    layer: int
    units: int
    z_mean: float
    z_std: float
    y_mean: float
    y_std: float
    dead: int
    zeros: float
    flat: float
    dz_std: float
    weights: float
    update: float | None
    histogram: list[int]


@dataclasses.dataclass(frozen=True)
class Look:
    """All layers after an epoch; 0 is before training."""

    epoch: int
    layers: list[LayerLook]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Look:
        """Of `to_dict`. Raises TypeError or KeyError for anything else."""
        return cls(int(found["epoch"]), [LayerLook(**layer) for layer in found["layers"]])


def look(
    network: Network,
    params: Params,
    rows: Rows,
    epoch: int = 0,
    before: tuple[int, Mapping[int, Array]] | None = None,
) -> Look:
    """Look at all layers.

    Parameters
    ----------
    network : Network
    params : dict of str to array
    rows : Rows
        What goes forward and back; a few are enough.
    epoch : int
    before : (int, weights by layer), optional
        An earlier epoch, and what `weights_of` gave then.
    """
    with one_blas_thread():
        arrays = network.passes(params, rows.x, rows.t, engine="numpy")
    at: dict[tuple[int, str], Array] = {}
    for one in arrays:
        if one.buffer in ("z", "dz"):
            at[one.layer, one.buffer] = one.values
        elif one.buffer == "y":  # the last one is what the next layer gets
            at[one.layer, "y"] = one.values
        elif one.buffer == "dy":  # backward, the first one is
            at.setdefault((one.layer, "dy"), one.values)
    weights = weights_of(network, params)
    found = []
    for layer in sorted(n for n, buffer in at if buffer == "z" and n > 0):
        z = at[layer, "z"]
        y: Array = at.get((layer, "y"), z)
        dz, dy = at.get((layer, "dz")), at.get((layer, "dy"))
        w = weights.get(layer)
        found.append(
            LayerLook(
                layer,
                int(np.prod(z.shape[1:])),
                *_mean_and_std(z),
                *_mean_and_std(y),
                int((y == y[:1]).all(axis=0).sum()),
                float((y == 0).mean()),
                _flat(y, dz, dy),
                0.0 if dz is None else _mean_and_std(dz)[1],
                0.0 if w is None else _size(w),
                _update(w, layer, epoch, before),
                np.histogram(np.clip(y, EDGES[0], EDGES[-1]), EDGES)[0].tolist(),
            )
        )
    return Look(epoch, found)


@functools.lru_cache(maxsize=32)
def _products(network: Network) -> dict[int, Any]:
    """The weights' buffer of each linear layer."""
    plan = forward_plan(network)
    layer_of = {r.buffer: r.linear_index for r in plan.results if r.letter == "z"}
    products = [node for node in plan.nodes if isinstance(node, Product)]
    learned = {parameter.buffer for parameter in plan.parameters}
    return {
        layer_of[node.out]: node.right
        for node in products
        if node.out in layer_of and node.right in learned
    }


def weights_of(network: Network, params: Params) -> dict[int, Array]:
    """The weights of each linear layer, by its number."""
    return {layer: params[buffer.name] for layer, buffer in _products(network).items()}


def _mean_and_std(a: Array) -> tuple[float, float]:
    return float(a.mean(dtype=np.float64)), float(a.std(dtype=np.float64))


def _size(a: Array) -> float:
    return float(np.sqrt(np.mean(np.square(a, dtype=np.float64))))


def _flat(y: Array, dz: Array, dy: Array) -> float:
    if dz is None or dy is None or dz.shape != dy.shape or dy is dz:
        return 0.0
    asked = dy != 0
    flat = (np.abs(dz) < FLAT * np.abs(dy)) & asked
    units = flat.sum(axis=0) >= MOST_FLAT * np.maximum(asked.sum(axis=0), 1)
    return float((units & ~(y == y[:1]).all(axis=0)).mean())


def _update(
    w: Array, layer: int, epoch: int, before: tuple[int, Mapping[int, Array]] | None
) -> float | None:
    if w is None or before is None or before[0] >= epoch:
        return None
    size = _size(before[1][layer])
    return _size(w - before[1][layer]) / (epoch - before[0]) / size if size else None


class Monitor:
    """A callback that looks at a network's layers after some of the epochs.

    Parameters
    ----------
    network : Network
    rows : Rows
        Some training rows; `ROWS` of them are enough.
    budget : Budget, optional
        The time for looks, which several monitors of one fit share.

    Attributes
    ----------
    looks : list of Look
    """

    def __init__(self, network: Network, rows: Rows, budget: Budget | None = None) -> None:
        self.network = network
        self.looks: list[Look] = []
        self._rows = rows if len(rows) <= ROWS else rows.take(np.arange(ROWS))
        self._budget = budget or Budget()
        self._before: tuple[int, Mapping[int, Array]] | None = None

    def __call__(self, now: Progress) -> None:
        """Look, if there is time."""
        if not self._budget.allows():
            return
        start = time.thread_time()  # without waiting for others, who go on meanwhile
        params = now.params
        self.looks.append(look(self.network, params, self._rows, now.epoch, self._before))
        self._before = now.epoch, weights_of(self.network, params)
        if len(self.looks) > MOST_LOOKS:
            del self.looks[1:-1:2]
        self._budget.spend(time.thread_time() - start)


class Budget:
    """How much time looks have taken, and whether there is time for another one."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()
        self.spent, self._last = 0.0, GUESS

    def allows(self) -> bool:
        """Whether another look would stay within `SHARE` of the time that has gone by.

        That is the time of the clock where several threads work, and the processor's where others
        use it too.
        """
        clock, processor = self._start
        elapsed = min(time.perf_counter() - clock, time.process_time() - processor)
        return self.spent + self._last <= SHARE * elapsed

    def spend(self, seconds: float) -> None:
        """Note a look."""
        self.spent += seconds
        self._last = min(seconds, 2 * self._last)  # the first look may load what others need not
