"""Which layers get kernels for their own number of units."""

from __future__ import annotations

import itertools

import pytest

from backhand.run.llvm.kernels.tile import choose_tile
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.specialise import KernelSpecialisation


def widths_of(*units, target="avx512"):
    target = Target.named(target)
    shapes = tuple(itertools.pairwise(units))
    return KernelSpecialisation(target, "float32", choose_tile(target), shapes)


@pytest.mark.parametrize(
    ("units", "last", "shared"),
    [
        ((784, 50, 10), {50: 4, 10: None}, {16}),  # most of the work; next to nothing
        ((784, 64, 10), {64: None, 10: None}, {64, 16}),
        ((10, 32, 32, 2), {32: None, 2: 4}, {32}),
        ((20, 50, 50, 300, 10), {50: None, 300: None}, {64, 304, 16}),
        ((100, 256, 256, 256, 2), {256: None, 2: None}, {256, 16}),
    ],
)
def test_products_get_their_own_kernel_where_it_saves_much(units, last, shared):
    widths = widths_of(*units)
    assert {k: widths.last(k) for k in last} == last
    assert widths.shared(units[1:]) == shared


def test_no_width_is_left_without_a_kernel():
    for units in ((7, 3, 300, 50, 2), (784, 50, 10), (5, 18, 18, 1)):
        widths = widths_of(*units)
        for k in units[1:]:
            own = widths.last(k) is not None
            assert own or -(-k // 16) * 16 in widths.shared(units[1:])


def test_a_width_that_the_network_lacks_shares():
    """A gradient at x has as many columns as there are inputs."""
    widths = widths_of(50, 784, 10)
    assert widths.last(50) is None
    assert widths.shared((50, 784, 10)) == {64, 784, 16}
