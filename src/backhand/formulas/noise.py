"""Counter-based noise and dropout: each random word is a function of where it is used.

The word for one unit of one row depends on (seed, step, layer, row, column) and nothing else, so
no state is carried, threads need no agreement, and the backward pass draws the same words again.
Layers count from 1; the order of an epoch's rows takes the words of layer 0.
"""

from __future__ import annotations

from .namespace import XP, Array

GOLDEN = 0x9E3779B1  # the prime next to 2**32 / golden ratio: spreads neighbouring counters


def mix(xp: XP, word: Array) -> Array:
    """A bijection of 32-bit words in which every input bit moves about half the output bits.

    Chris Wellons's "lowbias32" (2018), found by search for the lowest measured bias.
    """
    word = xp.u32_multiply(xp.u32_xor(word, xp.u32_shift(word, 16)), 0x7FEB352D)
    word = xp.u32_multiply(xp.u32_xor(word, xp.u32_shift(word, 15)), 0x846CA68B)
    return xp.u32_xor(word, xp.u32_shift(word, 16))


def layer_key(xp: XP, seed: Array, step: Array, layer: Array) -> Array:
    """The word that stands for one layer in one step."""
    key = mix(xp, xp.u32_xor(mix(xp, seed), step))
    return mix(xp, xp.u32_xor(key, xp.u32_multiply(layer, GOLDEN)))


def row_key(xp: XP, key: Array, row: Array) -> Array:
    """The word that stands for one row of the batch, from the layer's."""
    return mix(xp, xp.u32_xor(key, xp.u32_multiply(row, GOLDEN)))


def noise(xp: XP, key: Array, column: Array) -> Array:
    """Uniform 32-bit words, from the row's word and the unit's number."""
    return mix(xp, xp.u32_xor(key, xp.u32_multiply(column, GOLDEN)))


def pick(xp: XP, key: Array, place: Array, count: Array) -> Array:
    """A number from 0 to ``count - 1`` for one place of a shuffle, from the key of "layer" 0.

    Fisher and Yates 1938, as Durstenfeld 1964 has it: for each place i from the last one down to 1,
    swap what is there with what is at ``pick(i, i + 1)``. No number is likelier than another by
    more than ``count`` parts in 2**32.
    """
    return xp.u32_high(noise(xp, key, place), count)


def threshold(rate: float) -> int:
    """Words below it are dropped: ``rate`` of all 2**32."""
    return min(round(rate * 2**32), 2**32 - 1)


def kept_scale(rate: float) -> float:
    """What is kept is multiplied by it."""
    return 1.0 / (1.0 - rate)


def dropout(xp: XP, y: Array, words: Array, threshold: Array, scale: Array) -> Array:
    # Srivastava et al. 2014, inverted: what is kept is scaled up, and prediction needs no change
    return xp.where(xp.u32_below(words, threshold), 0.0, y * scale)


def dropout_vjp(xp: XP, dy: Array, words: Array, threshold: Array, scale: Array) -> Array:
    # linear in y and symmetric: its own transpose
    return dropout(xp, dy, words, threshold, scale)
