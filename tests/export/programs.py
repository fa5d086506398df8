"""Programs for tests of what walks them, and one of a table with a column of each kind."""

from __future__ import annotations

import numpy as np

from backhand import Network
from backhand.export.program import (
    Column,
    Decision,
    Program,
    Stage,
    link_stage,
    network_stage,
    row_buffer,
)
from backhand.plan.buffers import BATCH, Buffer, Role
from backhand.plan.nodes import Lookup, Map

COLUMNS = (
    Column("size in m²", "number"),
    Column("sold", "date"),
    Column("city", "category", ("Oslo", "Bergen", "Å")),
    Column("label", "category", ("yes", "no")),
)


def scaled(xp, a, mean, scale):
    """Standardised, and whether it is missing."""
    return xp.where(a == a, (a - mean) * scale, 0.0), xp.where(a == a, 0.0, 1.0)


def place(xp, a):
    """Where a category stands in a table whose last rows are the other and the missing ones."""
    return xp.where(a < 0.0, 4.0 + a + 1.0, a)


def prepare_stage():
    """Two numbers with their flags, and the first category as three numbers; then the second's."""
    given = row_buffer("cells", 5)
    numbers, city, label = (
        given.view("numbers", 0, 2),
        given.view("city", 3, 1),
        given.view("l", 4, 1),
    )
    mean, scale = (Buffer(n, (2,), role=Role.CONSTANT) for n in ("mean", "scale"))
    table = Buffer("table", (5, 3), role=Role.CONSTANT)
    out = Buffer("prepared", (BATCH, 8))
    parts = [out.view(f"part{k}", *at) for k, at in enumerate([(0, 2), (2, 2), (4, 3), (7, 1)])]
    index = Buffer("index", (BATCH, 1))
    nodes = (
        Map(scaled, (numbers, mean, scale), tuple(parts[:2])),
        Map(place, (city,), (index,)),
        Lookup(table, index, parts[2]),
        Map(lambda xp, a: xp.where(a == 1.0, 1.0, 0.0), (label,), (parts[3],)),
    )
    constants = {
        mean: np.array([70.0, 15000.0]),
        scale: np.array([0.05, 0.0001]),
        table: np.vstack([np.eye(3), np.full((2, 3), 0.25)]),
    }
    return Stage("prepare", "float64", (given,), nodes, constants, out)


def table_program(kind="largest", dtype="float32", classes=("low", "mid", "high"), seed=0):
    """A program of `COLUMNS` with two networks, whose probabilities are averaged."""
    rng = np.random.default_rng(seed)
    loss = {"largest": "softmax_cross_entropy", "threshold": "softmax_cross_entropy"}.get(
        kind, "binary_cross_entropy" if kind == "labels" else "half_squared_error"
    )
    network = Network((8, 7, len(classes)), loss=loss, dtype=dtype)
    stages = []
    for number in (1, 2):
        params = {n: rng.standard_normal(s).astype(dtype) for n, s in network.shapes.items()}
        stages.append(network_stage(network, params, f"network{number}"))
    link = network.loss.inverse_link
    z = [Buffer(f"z{k}", (BATCH, len(classes)), role=Role.INPUT) for k in (1, 2)]
    y = Buffer("y", z[0].axes)

    def mean(xp, a, b):
        return 0.5 * (link(xp, a) + link(xp, b))

    answer = Stage("answer", "float64", tuple(z), (Map(mean, tuple(z), (y,)),), {}, y)
    return Program(
        "a table of flats",
        8,
        tuple(stages),
        answer,
        Decision(kind, () if kind == "numbers" else classes, 0.4, "price"),
        COLUMNS,
        (0, 1, 0, 2, 3),
        prepare_stage(),
        (7, 0, 1, 2, 3, 4, 5, 6),
    )


def chain_program(widths=(4, 6, 3), loss="softmax_cross_entropy", dtype="float32", decision=None):
    """A program of prepared numbers."""
    rng = np.random.default_rng(1)
    network = Network(widths, loss=loss, dtype=dtype)
    params = {n: rng.standard_normal(s).astype(dtype) for n, s in network.shapes.items()}
    return Program(
        "a chain",
        network.inputs,
        (network_stage(network, params),),
        link_stage(network),
        decision or Decision("numbers"),
    )
