"""Counter-based noise: 32-bit arithmetic, statistics, and dropout by it."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas import noise
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near, assert_near_zero


class Integers:
    """The words' operations over Python's integers: nothing can wrap unseen."""

    def u32_multiply(self, a, b):
        return a * b % 2**32

    def u32_high(self, a, b):
        return a * b >> 32

    def u32_xor(self, a, b):
        return a ^ b

    def u32_shift(self, a, n):
        return a >> n


def words(rows, columns, seed=1, step=2, layer=3, xp=NUMPY, like=None):
    word = (lambda v: xp.words(v, like=like)) if like is not None else xp.words
    key = noise.layer_key(xp, word(seed), word(step), word(layer))
    key = noise.row_key(xp, key, word(np.arange(rows)[:, None]))
    return noise.noise(xp, key, word(np.arange(columns)))


def bits(a):
    return (a[..., None] >> np.arange(32, dtype=np.uint32)) & 1


def correlation(a, b):
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


@pytest.mark.parametrize(("seed", "step", "layer"), [(0, 0, 1), (2**32 - 1, 2**32 - 1, 7)])
def test_words_are_those_of_exact_integers(seed, step, layer):
    got, xp = words(3, 4, seed, step, layer), Integers()
    key = noise.layer_key(xp, seed, step, layer)
    want = [[noise.noise(xp, noise.row_key(xp, key, r), c) for c in range(4)] for r in range(3)]
    assert got.dtype == np.uint32
    assert got.tolist() == want


def test_words_are_the_same_for_ever():
    """A seed that somebody wrote down gives the same model with the next version."""
    want = [[0x1529205E, 0x02D33B41, 0x1AC8F158], [0x9DA4F108, 0x4A6A8EBF, 0x7BF1DFD7]]
    assert words(2, 3, seed=1, step=2, layer=3).tolist() == want


@pytest.mark.torch
def test_torch_draws_the_same_words():
    import torch

    from backhand.run.namespaces import TorchNamespace

    got = words(50, 60, 2**32 - 3, 2**31, 2, TorchNamespace(), like=torch.zeros(1))
    assert np.array_equal(got.numpy(), words(50, 60, 2**32 - 3, 2**31, 2))


def test_mix_is_undone_by_the_inverse_that_its_author_gives(rng):
    word = x = rng.integers(0, 2**32, 1000)
    x = noise.mix(NUMPY, x.astype("uint32")).astype("int64")
    x ^= x >> 16
    x = (x * 0x43021123) % 2**32
    x ^= (x >> 15) ^ (x >> 30)
    x = (x * 0x1D69E2A5) % 2**32
    assert np.array_equal(x ^ (x >> 16), word)


def test_mix_is_a_bijection_with_avalanche(rng):
    word = np.unique(rng.integers(0, 2**32, 200_000, dtype=np.uint32))
    mixed = noise.mix(NUMPY, word)
    assert len(np.unique(mixed)) == len(word)
    for bit in range(32):
        flipped = bits(mixed ^ noise.mix(NUMPY, word ^ np.uint32(1 << bit))).mean(0)
        assert abs(flipped - 0.5).max() < 0.02, f"input bit {bit}"


def test_bits_balance_and_neighbours_do_not_correlate():
    a = words(1000, 500)
    bound = 5 / a.size**0.5
    assert_near(bits(a).mean((0, 1)), np.full(32, 0.5), rtol=0, atol=bound / 2)
    assert abs(correlation(a[1:], a[:-1])) < bound, "rows"
    assert abs(correlation(a[:, 1:], a[:, :-1])) < bound, "columns"
    counts = np.histogram(a, bins=64, range=(0, 2**32))[0]
    chi2 = ((counts - a.size / 64) ** 2 / (a.size / 64)).sum()
    assert chi2 < 63 + 5 * (2 * 63) ** 0.5


@pytest.mark.parametrize(
    "change", [{"seed": 0}, {"step": 3}, {"layer": 4}, {"step": 3, "layer": 2}]
)
def test_seed_step_and_layer_give_other_words(change):
    a, b = words(300, 300), words(300, 300, **change)
    assert (a == b).mean() < 1e-4
    assert abs(correlation(a, b)) < 5 / a.size**0.5


def test_units_row_is_a_function_of_place_alone():
    assert np.array_equal(words(20, 30)[:7, :9], words(7, 9))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_keeps_its_share_and_the_mean(rate):
    w = words(700, 300)
    y = np.ones(w.shape, "float32")
    dropped = noise.dropout(NUMPY, y, w, noise.threshold(rate), noise.kept_scale(rate))
    sd = (rate * (1 - rate) / w.size) ** 0.5
    assert abs((dropped == 0).mean() - rate) <= 4 * sd
    assert dropped.dtype == np.float32
    assert_near(dropped[dropped > 0], np.full((dropped > 0).sum(), 1 / (1 - rate)), rtol=1e-6)


def test_backward_has_the_forward_mask_and_drops_infinities(rng):
    w, y = words(40, 30), rng.standard_normal((40, 30))
    of_step = noise.threshold(0.4), noise.kept_scale(0.4)
    forward = noise.dropout(NUMPY, y, w, *of_step)
    assert_near(noise.dropout_vjp(NUMPY, np.ones_like(y), w, *of_step) * y, forward, rtol=1e-14)
    back = noise.dropout_vjp(NUMPY, np.full_like(y, np.inf), w, *of_step)
    assert_near_zero(back[forward == 0], atol=0)


@pytest.mark.parametrize(("rate", "want"), [(0.0, 0), (0.5, 2**31), (1 - 2**-40, 2**32 - 1)])
def test_threshold_is_a_word(rate, want):
    assert noise.threshold(rate) == want


def test_picks_are_even_and_within_range():
    """For every count of places, as `pick` is used; chi-squared with 9 degrees of freedom."""
    key = noise.layer_key(NUMPY, *(NUMPY.words(v) for v in (5, 0, 0)))
    places = NUMPY.words(np.arange(100_000))
    picked = noise.pick(NUMPY, key, places, NUMPY.words(10))
    counts = np.bincount(picked, minlength=10)
    assert counts.size == 10
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 27.9  # exceeded once in 1,000
    grown = noise.pick(NUMPY, key, places, places + NUMPY.words(1))
    assert (grown <= places).all()
    assert grown[0] == 0
    exact = [noise.pick(Integers(), int(key[0]), place, place + 1) for place in range(50)]
    assert grown[:50].tolist() == exact
