"""Weights as whole numbers of eight bits, with a scale for each column.

Only what is stored becomes smaller: inputs, sums and results stay real numbers. It is a change of
the plan: a product with whole numbers from -127 to 127, and then a factor (and the bias) for each
column, so everything that runs stages runs these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas.scaling import scale, scale_and_shift
from ..plan.buffers import Buffer, Role
from ..plan.nodes import Map, Node, Product
from .program import Program, Stage

Array = Any

MOST = 127
"""The largest whole number; -128 is left out, so that both signs have the same range."""


def as_int8(program: Program) -> Program:
    """The program whose networks have weights of eight bits.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Program
        Its products read int8 constants, and have neither a bias nor a scale.
    """
    return dataclasses.replace(
        program,
        name=f"{program.name}, with weights of eight bits",
        networks=tuple(map(_stage, program.networks)),
    )


def _stage(stage: Stage) -> Stage:
    constants: dict[Buffer, Array] = {}
    nodes: list[Node] = []
    for node in stage.nodes:
        if isinstance(node, Product) and node.right in stage.constants:
            nodes += _product(node, stage.constants, constants)
        else:
            nodes.append(node)
    read = {buffer.home for node in nodes for buffer in node.reads}
    kept = {buffer: a for buffer, a in stage.constants.items() if buffer in read}
    constants |= kept
    return dataclasses.replace(stage, nodes=tuple(nodes), constants=constants, origin=None)


def _product(node: Product, given: Mapping[Buffer, Array], new: dict[Buffer, Array]) -> list[Node]:
    """The product with whole numbers, and the map behind it."""
    w = np.asarray(given[node.right])
    along = -1 if node.right_transposed else -2
    size = np.abs(w).max(axis=along, keepdims=True) / MOST
    size = np.where(size > 0, size, 1.0).astype(w.dtype)
    whole = dataclasses.replace(node.right, name=f"{node.right.name}_int8")
    factor = np.squeeze(size, along) * w.dtype.type(node.scale)
    shape = tuple(int(n) for n in (*node.right.axes[:-2], node.out.width))
    factors = Buffer(f"{node.out.name}_{node.right.name}_scale", shape, role=Role.CONSTANT)
    new |= {
        whole: np.rint(w / size).clip(-MOST, MOST).astype(np.int8),
        factors: factor.reshape(shape),
    }
    sums = Buffer(f"{node.out.name}_{whole.name}", node.out.axes)
    product = dataclasses.replace(node, right=whole, bias=None, scale=1.0, out=sums)
    if node.bias is None:
        return [product, Map(scale, (sums, factors), (node.out,))]
    return [product, Map(scale_and_shift, (sums, factors, node.bias), (node.out,))]
