"""Networks to check: one or more for each layer, and random ones of random layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..formulas.activations import ACTIVATIONS
from ..plan.buffers import BATCH, Axes, Buffer, Role
from ..plan.layers import (
    Activate,
    BatchEnsemble,
    Chain,
    Columns,
    Concat,
    Dropout,
    Embedding,
    GatedLinear,
    Layer,
    LayerNorm,
    Linear,
    MemberLinear,
    MemberScale,
    Periodic,
    PiecewiseLinear,
    PRelu,
    Residual,
    RmsNorm,
    Scale,
)
from ..plan.layers.layer import forward_all
from ..plan.wiring import Wiring

Layers = list[Layer]

EDGES = ((-1.5, -0.2, 0.3, 1.0), (-1.0, 1.0), (-2.0, 0.1, 0.9))

EXAMPLES: dict[str, tuple[Layers, int]] = {
    "linear": ([Linear(4, bias=False), Linear(3, ntk=True)], 5),
    "activation": ([Linear(4), Activate("silu"), Linear(3)], 5),
    "activation, strength": ([Linear(4), Activate("silu", strength=True), Linear(3)], 5),
    "activation of inputs": ([Activate("silu", strength=True), Linear(3)], 5),
    "prelu": ([Linear(4), PRelu(), Linear(3)], 5),
    "prelu of inputs": ([PRelu(), Linear(3)], 5),
    "dropout": ([Linear(7), Activate("tanh"), Dropout(0.4), Linear(3)], 5),
    "dropout of inputs": ([Dropout(0.4), Linear(3)], 5),
    "scale": ([Scale(6.0, 36.0), Linear(4), Scale(), Linear(3)], 5),
    "layer_norm": ([LayerNorm(), Linear(4), LayerNorm(0.1), Linear(3)], 5),
    "rms_norm": ([RmsNorm(), Linear(4), RmsNorm(0.1), Linear(3)], 5),
    "residual": ([Linear(4), Residual([Linear(4), Activate("gelu")]), Linear(3)], 5),
    "residual, nested": (
        [Linear(4), Residual([Residual([Linear(4)]), RmsNorm(), Linear(4)]), Linear(3)],
        5,
    ),
    "gated_linear": ([GatedLinear(6), GatedLinear(5, bias=False, ntk=True), Linear(3)], 5),
    "concat": (
        [
            Linear(5),
            Concat([Chain([Linear(2), Activate("tanh")]), Columns(1, 3), Linear(4), Chain([])]),
            Linear(3),
        ],
        5,
    ),
    "concat, nested": (
        [
            Linear(4),
            Concat([Chain([Scale(), Concat([Linear(2), Chain([]), Periodic()])]), Linear(1)]),
            Linear(3),
        ],
        3,
    ),
    "columns": ([Linear(6), Columns(2, 3, [Activate("tanh")]), Linear(3)], 5),
    "periodic, pbld": ([Periodic(frequencies=6, width=3), Linear(3)], 2),
    "periodic, pbld inside": ([Linear(3), Periodic(frequencies=5), Linear(3)], 4),
    "periodic, plr": ([Periodic("plr", 4, 3, 0.3), Linear(3)], 2),
    "periodic, plr inside": ([Linear(3), Periodic("plr", 4, 2), Linear(3)], 4),
    "piecewise_linear": ([PiecewiseLinear(EDGES, 4), Linear(3)], 3),
    "piecewise_linear inside": ([Linear(3), PiecewiseLinear(EDGES, 4), Linear(3)], 4),
    "embedding": (
        [
            Concat(
                [Columns(0, 2), Columns(2, 1, [Embedding(4, 3)]), Columns(3, 1, [Embedding(2, 2)])]
            ),
            Linear(3),
        ],
        4,
    ),
    "member_scale": ([MemberScale(3), Linear(5), Activate("tanh"), MemberLinear(3, 3)], 4),
    "member_scale of embeddings": (
        [Periodic(), MemberScale(2, "normal", (4, 4)), Linear(3)],
        2,
    ),
    "batch_ensemble": (
        [
            Linear(4),
            BatchEnsemble(3, 5, "signs"),
            Activate("tanh"),
            Dropout(0.2),
            BatchEnsemble(3, 6),
            LayerNorm(),
            MemberLinear(3, 3),
        ],
        4,
    ),
}
"""For each kind of layer one network or more of three outputs, with the columns of its inputs."""

SIZES = (1, 2, 3, 5, 7, 11, 13, 15, 16, 17, 19, 31, 32, 33)
"""Widths of random layers: 1, primes, and around the lengths of vectors."""


def axes_after(layers: Sequence[Layer], axes: Axes) -> Axes:
    """The axes of what layers make of a buffer (N, D) or (N, M, D)."""
    wire = Wiring(training=True)
    return forward_all(wire, layers, wire.buffer("x", axes, Role.INPUT))[0].axes


class _Drawing:
    """Draws layers one after another, which go together."""

    def __init__(self, rng: np.random.Generator, sizes: Sequence[int]) -> None:
        self.rng, self.sizes = rng, sizes

    def size(self) -> int:
        return int(self.rng.choice(self.sizes))

    def maybe(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def activation(self) -> Activate:
        return Activate(str(self.rng.choice(list(ACTIVATIONS))), self.maybe())

    def edges(self) -> tuple[float, ...]:
        return tuple(np.sort(self.rng.standard_normal(int(self.rng.integers(2, 9)))).tolist())

    def embedding(self, columns: int) -> Layer:
        """Of the numbers in some columns."""
        width = int(self.rng.integers(1, 9))
        if self.maybe():
            return PiecewiseLinear(tuple(self.edges() for _ in range(columns)), width)
        form = str(self.rng.choice(["pbld", "plr"]))
        return Periodic(form, int(self.rng.integers(1, 18)), width + (form == "pbld"), 0.3)

    def table(self, inputs: int) -> Layer:
        """Numbers and categories in neighbouring columns, each as it likes, side by side."""
        first, branches = 0, []
        while first < inputs:
            if self.maybe(0.3):
                values = int(self.rng.integers(1, 20))
                branches.append(Columns(first, 1, [Embedding(values, self.size())]))
                first += 1
                continue
            width = int(self.rng.integers(1, inputs - first + 1))
            inner: Layers = [self.embedding(width)] if self.maybe() and width < 20 else []
            branches.append(Columns(first, width, inner))
            first += width
        return Concat(branches)

    def usual(self, width: int) -> Layers:
        """Layers that rows and members go through alike."""
        units = self.size()
        choices: list[Callable[[], Layers]] = [
            lambda: [Linear(units, self.maybe(), self.maybe()), self.activation()],
            lambda: [Linear(units), PRelu(), Dropout(0.3)],
            lambda: [Scale(2.0, 0.5)],
            lambda: [LayerNorm(), Dropout(0.2)],
            lambda: [RmsNorm(), Linear(units)],
            lambda: [Residual([Linear(units), self.activation(), Linear(width)])],
            lambda: [Residual([LayerNorm(0.1), Linear(width), Residual([Scale()])])],
        ]
        return choices[int(self.rng.integers(len(choices)))]()

    def of_rows(self, width: int) -> Layers:
        """Layers for (N, K) only."""
        units, first = self.size(), int(self.rng.integers(width))
        some = int(self.rng.integers(1, width - first + 1))
        choices: list[Callable[[], Layers]] = [
            lambda: [GatedLinear(units, self.maybe(), self.maybe())],
            lambda: [Concat([Linear(units), Chain([]), Columns(first, some, [Scale()])])],
            lambda: [Concat([Chain([Linear(units), self.activation()]), Linear(3)]), RmsNorm()],
            lambda: [Concat([Columns(first, some), Chain([Concat([Scale(), Linear(units)])])])],
            lambda: [Linear(3), self.embedding(3)],
            lambda: [Columns(first, some, [Linear(units)])],
        ]
        return choices[int(self.rng.integers(len(choices)))]()

    def of_members(self, members: int) -> Layers:
        """Layers for (N, M, K), and those where the members' ways part."""
        units = self.size()
        choices: list[Layers] = [
            [BatchEnsemble(members, units, "signs"), self.activation()],
            [MemberScale(members, "normal")],
            [MemberScale(members), MemberLinear(members, units)],
        ]
        return choices[int(self.rng.integers(len(choices)))]


def random_layers(
    rng: np.random.Generator,
    inputs: int,
    outputs: int = 1,
    *,
    blocks: int = 4,
    sizes: Sequence[int] = SIZES,
) -> Layers:
    """Random layers from x (N, inputs) to logits (N, outputs) or (N, members, outputs).

    An activation always follows a layer that gives no exact zeros, so that few rows lie at kinks.

    Parameters
    ----------
    rng : numpy.random.Generator
    inputs, outputs : int
    blocks : int
        About how many draws of one to three layers.
    sizes : sequence of int
        Widths to choose from.
    """
    drawing = _Drawing(rng, sizes)
    layers: Layers = [drawing.table(inputs)] if drawing.maybe(0.4) else []
    members = int(rng.choice([1, 2, 3, 5])) if drawing.maybe(0.4) else 0
    axes = axes_after(layers, (BATCH, inputs))
    for number in range(blocks):
        width = Buffer("y", axes).width
        if members and (len(axes) == 3 or number >= blocks // 2):
            own = len(axes) == 2 or drawing.maybe()
            drawn = drawing.of_members(members) if own else drawing.usual(width)
        else:
            drawn = drawing.of_rows(width) if drawing.maybe() else drawing.usual(width)
        layers += drawn
        axes = axes_after(drawn, axes)
    own_heads = len(axes) == 3 and drawing.maybe()
    return [*layers, MemberLinear(members, outputs) if own_heads else Linear(outputs)]
