"""Rows to try a program with, where the user's are not at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plan.nodes import Lookup
from .program import MISSING, OTHER, Program

Array = Any

MISSING_SHARE = 0.1
"""Of the cells of a column, and as many again of a category that no training row has."""

DAYS = 30_000
"""Dates lie from 1970-01-01 on: this many days."""


def sample_rows(program: Program, rows: int, seed: int = 0) -> Array:
    """Random rows as the program takes them.

    Numbers are normal, of sizes from 0.01 to 10,000.

    Parameters
    ----------
    program : Program
    rows : int
        N.
    seed : int

    Returns
    -------
    array (N, columns) of float64
        The columns' values, as `Program.prepared` takes them; without columns prepared numbers x
        (N, D).
    """
    rng = np.random.default_rng(seed)
    if not program.columns:
        return _prepared(program, rng, rows)
    found = np.empty((rows, len(program.columns)))
    for column, values in zip(program.columns, found.T, strict=True):
        if column.kind == "category":
            values[:] = rng.integers(OTHER if not column.values else 0, len(column.values), rows)
            values[rng.random(rows) < MISSING_SHARE] = OTHER
        elif column.kind == "date":
            values[:] = rng.uniform(0, DAYS, rows)
        else:
            values[:] = rng.standard_normal(rows) * 10.0 ** rng.integers(-2, 5, rows)
        missing = MISSING if column.kind == "category" else np.nan
        values[rng.random(rows) < MISSING_SHARE] = missing
    return found


def _prepared(program: Program, rng: np.random.Generator, rows: int) -> Array:
    x = rng.standard_normal((rows, program.inputs))
    for column, values in looked_up(program).items():
        x[:, column] = rng.integers(0, values, rows)
    return x


def looked_up(program: Program) -> dict[int, int]:
    """Columns of x that hold places in tables, and how many places the smallest table has."""
    found: dict[int, int] = {}
    for stage in program.networks:
        for node in stage.nodes:
            if isinstance(node, Lookup) and node.index.home == stage.given[0]:
                index, values = node.index, int(node.table.axes[-2])
                for column in index.base_columns if index.base else range(index.width):
                    found[column] = min(values, found.get(column, values))
    return found
