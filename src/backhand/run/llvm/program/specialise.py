"""Specialisation of kernels: which layers get kernels for their own number of units.

A kernel serves every width. One for a single width costs another compilation; it pays for sums over
the batch where a layer with few units is a large part of the network, since its updates then divide
in short vectors.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .. import tuning
from ..ir.padding import padded_columns
from ..machine.target import Target


def target_for_sums(
    target: Target, dtype: Any, shapes: Collection[tuple[int, int]], columns: int
) -> Target:
    """The target for sums over the batch of ``columns`` columns: with short vectors if that pays.

    ``shapes`` are those of the weights of all layers.
    """
    sizes = [(k, d * padded_columns(k)) for d, k in shapes]
    mine = max((size for k, size in sizes if k == columns), default=0)
    much = mine > tuning.KERNEL_FRACTION * sum(size for _, size in sizes)
    return target.with_short_vectors(dtype, columns) if much else target
