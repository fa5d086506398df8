"""Which layers sum their gradients in short vectors."""

from __future__ import annotations

import itertools

import pytest

from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.specialise import target_for_sums


@pytest.mark.parametrize(
    ("units", "target", "dtype", "lanes"),
    [
        ((30, 100, 2), "avx512", "float64", {100: 8, 2: 2}),
        ((30, 100, 2), "avx512", "float32", {100: 16, 2: 4}),  # never fewer than 128 bits
        ((30, 100, 5), "avx512", "float32", {100: 16, 5: 8}),
        ((30, 100, 5), "avx2", "float32", {100: 8, 5: 8}),
        ((784, 50, 10), "avx512", "float32", {50: 16, 10: 16}),  # 10 units: 2 % of the weights
        ((3, 1), "fma128", "float64", {1: 2}),
    ],
)
def test_layers_with_few_units_and_many_of_the_weights_have_short_vectors(
    units, target, dtype, lanes
):
    target, shapes = Target.named(target), tuple(itertools.pairwise(units))
    found = {k: target_for_sums(target, dtype, shapes, k).lanes(dtype) for k in units[1:]}
    assert found == lanes


def test_a_width_that_the_network_lacks_has_long_vectors():
    """A gradient at x has as many columns as there are inputs."""
    target = Target.named("avx512")
    assert target_for_sums(target, "float32", ((50, 784), (784, 10)), 50) == target
