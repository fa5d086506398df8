"""Rows of a stream: which are held out, by their numbers; weights; scaled targets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand import InputError, Stream
from backhand.tabular.stream_rows import SAMPLED, VALIDATION, Encoded, LabelledStream, drawn
from backhand.tabular.targets import TargetScale
from backhand.train.rows import Rows
from backhand.train.stored import stored

N = 1000


def labelled(weight=None, **columns):
    table = pa.table({"a": np.arange(float(N)), "y": np.arange(N) % 2, **columns})
    stream = Stream(lambda: (table.slice(i, 90) for i in range(0, N, 90)))
    return LabelledStream(stream, "y", False, weight)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_of_the_rows_is_drawn(share):
    numbers = np.arange(100_000)
    found = drawn(numbers, share, VALIDATION)
    assert abs(found.mean() - share) < 4 * np.sqrt(0.25 / len(numbers))
    # whatever else is asked with them, and in whatever order
    assert np.array_equal(found[::-3], drawn(numbers[::-3], share, VALIDATION))
    if 0 < share < 1:
        halves = found[:50_000].mean(), found[50_000:].mean()
        assert np.allclose(halves, share, atol=0.01)
        other = drawn(numbers, share, SAMPLED)
        assert abs((found & other).mean() - share**2) < 0.01


def test_rows_keep_their_numbers_without_those_that_have_no_target():
    y = pa.array([None if i % 10 == 0 else i % 2 for i in range(N)])
    rows = labelled(y=y)
    found = [*rows.rows()]
    numbers = np.concatenate([some.numbers for some in found])
    assert numbers.tolist() == [i for i in range(N) if i % 10]
    assert rows.left_out == N // 10
    assert np.array_equal(
        np.concatenate([np.asarray(some.table.column("a")) for some in found]), numbers
    )
    assert rows.names == ["a"]


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    weight = np.arange(N) % 4 / 2
    rows = labelled("w", w=weight)
    found = [*rows.rows()]
    assert np.concatenate([some.weight for some in found]).tolist() == weight[weight > 0].tolist()
    assert len(np.concatenate([some.y for some in found])) == 3 * N // 4
    assert rows.left_out == 0


@pytest.mark.parametrize("bad", [-1.0, None])
def test_weights_must_be_numbers_from_0(bad):
    weight = pa.array([1.0] * 500 + [bad] + [1.0] * 499)
    with pytest.raises(InputError, match="the function's tables: column 'w': a weight is"):
        list(labelled("w", w=weight).rows())


def test_targets_are_scaled_as_they_are_read():
    y = np.arange(1.0, 101)[:, None]
    scale = TargetScale.of(y[:, 0], log=True)
    with stored([Rows(np.zeros((100, 2), np.float32), y)]) as kept:
        (rows,) = Encoded(kept, scale).pieces(None)
    assert rows.t.dtype == np.float32
    assert np.array_equal(rows.t, scale.encode(y[:, 0]))
