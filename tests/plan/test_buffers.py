"""The buffer table: axes, views, and what goes together."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.plan.buffers import BATCH, Buffer, broadcast
from backhand.run.arrays import Values
from backhand.run.namespaces import NUMPY

N = BATCH


@pytest.mark.parametrize(
    ("axes", "width", "members", "by_batch", "text"),
    [
        ((), 1, 1, False, "()"),
        ((7,), 7, 1, False, "(7,)"),
        ((3, 7), 7, 1, False, "(3, 7)"),
        ((N, 7), 7, 1, True, "(N, 7)"),
        ((N, 2, 7), 7, 2, True, "(N, 2, 7)"),
    ],
)
def test_what_axes_say(axes, width, members, by_batch, text):
    buffer = Buffer("a", axes)
    assert (buffer.width, buffer.members, buffer.by_batch) == (width, members, by_batch)
    assert str(buffer) == f"a {text}"
    assert buffer.place_text == text


VIEWS = {  # first, width, members, apart -> columns of ten, and how a plan shows them
    (2, 3, None, None): ([2, 3, 4], "(N, 3) a[2:5]"),
    (0, 10, 1, None): ([*range(10)], "(N, 1, 10) a[0:10]"),
    (1, 2, 3, None): ([1, 2, 3, 4, 5, 6], "(N, 3, 2) a[1:7]"),
    (1, 2, 3, 3): ([1, 2, 4, 5, 7, 8], "(N, 3, 2) a[1:3 of every 3]"),
    (9, 1, 1, 5): ([9], "(N, 1, 1) a[9:10]"),
    (0, 1, 10, 1): ([*range(10)], "(N, 10, 1) a[0:10]"),
}


@pytest.mark.parametrize("case", VIEWS)
def test_views_are_columns_of_their_base(case, rng):
    first, width, members, apart = case
    columns, text = VIEWS[case]
    base = Buffer("a", (N, 10), role="anything")
    view = base.view("v", first, width, members, apart)
    assert view.base is base
    assert view.home is base
    assert base.home is base
    assert view.role == base.role
    assert view.base_columns == columns
    assert view.place_text == text
    a = rng.standard_normal((4, 10))
    got = Values({"a": a}, NUMPY)[view]
    want = a[:, columns]
    np.testing.assert_array_equal(got, want if members is None else want.reshape(4, members, width))


def test_a_view_of_a_view_is_one_of_the_base():
    base = Buffer("a", (N, 10))
    inner = base.view("v", 3, 6).view("u", 1, 2, 2, 3)
    assert inner.base is base
    assert inner.base_columns == [4, 5, 7, 8]


@pytest.mark.parametrize(
    "case", [(-1, 2), (9, 2), (0, 0), (0, 3, 0), (0, 3, 4), (0, 3, 2, 2), (0, 3, 2, 8)]
)
def test_there_are_no_columns_outside_and_none_that_overlap(case):
    with pytest.raises(InputError, match=r"v would be .* columns of a \(N, 10\)"):
        Buffer("a", (N, 10)).view("v", *case)


@pytest.mark.parametrize("axes", [(10,), (3, 10), (N, 2, 5)])
def test_only_rows_of_the_batch_have_views(axes):
    with pytest.raises(InputError, match=r"v would be columns of a \(.*: only \(N, K\) has such"):
        Buffer("a", axes).view("v", 0, 2)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ([(N, 3), (3,)], (N, 3)),
        ([(3,), (N, 3), (N, 1)], (N, 3)),
        ([(N, 1, 3), (2, 3)], (N, 2, 3)),
        ([(N, 2, 1), (2, 3), ()], (N, 2, 3)),
    ],
)
def test_what_goes_together(given, want):
    assert broadcast([Buffer(f"a{i}", axes) for i, axes in enumerate(given)], "sum") == want
    shapes = [[5 if n == N else n for n in axes] for axes in given]
    assert np.broadcast_shapes(*map(tuple, shapes)) == tuple(5 if n == N else n for n in want)


@pytest.mark.parametrize("given", [[(N, 3), (4,)], [(N, 2, 3), (N, 3)], [(N, 1), (3, 1), (2,)]])
def test_what_does_not_go_together_is_named_with_both_shapes(given):
    buffers = [Buffer(f"a{i}", axes) for i, axes in enumerate(given)]
    with pytest.raises(InputError, match=r"^sum: (a0) \(.*\) and a1 \(.*\) do not go together$"):
        broadcast(buffers, "sum")
