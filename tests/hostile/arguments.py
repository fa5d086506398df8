"""Arguments of networks and training: inputs, targets, weights and parameters of every kind."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from backhand import Network

from .ingredients import (
    NUMBERS,
    OTHERS,
    Dice,
    Given,
    between,
    contained,
    dense,
    nothing,
    numbers_in,
    plain,
    shape_of,
    shaped,
    spoil,
)
from .sparse import sparse


def inputs(
    dice: Dice, memory: Any, rows: int, columns: int, peril: float = 1.0, any_width: bool = False
) -> Given:
    """A table of inputs, which may be anything; its columns count unless any number is right."""
    base = plain(dice, (rows, columns))
    chance = dice.rng.random() / peril
    if chance < 0.05:
        return nothing(dice, base)
    if chance < 0.12:
        given = dense(dice, memory, plain(dice, shaped(dice, base.shape)), 0)
        found = shape_of(given.value)
        fits = found[1:] == (columns,) or (any_width and len(found) == 2 and found[1] > 0)
        return Given(given.value, given.truth if fits else None, given.note)
    if chance < 0.2:
        return contained(dice, base)
    if chance < 0.35:
        given = sparse(dice, memory, base, peril)
        if any_width and given.truth is None and given.value.shape[1] == columns + 2:
            given.truth = given.value.toarray()  # which is then what it is
        return given
    return dense(dice, memory, base, peril)


def targets(dice: Dice, memory: Any, network: Network, rows: int, peril: float = 1.0) -> Given:
    """Targets that the loss takes, or others."""
    kind, k = network.loss.target, network.outputs
    shape = (rows, 1) if network.loss.by_row else (rows, k)
    base = plain(dice, shape)
    if kind == "class":
        base = dice.rng.integers(0, k, shape).astype(np.float64)
    elif kind == "probability":
        base = (base > 0).astype(np.float64)
    elif kind in ("count", "positive"):
        base = np.abs(base) + 1
    chance = dice.rng.random() / peril
    if chance < 0.04:
        return nothing(dice, base)
    if chance < 0.1:
        given = dense(dice, memory, np.abs(plain(dice, shaped(dice, base.shape))) // 1 % 2, 0)
    elif chance < 0.14:
        given = contained(dice, base)
    elif kind == "class" and dice.chance(0.8):
        given = dense(dice, memory, base, 0)
        a = given.value.astype(dice.one(("int8", "uint8", "int32", "int64", ">i4", "uint64")))
        spoilt = spoil(dice, a) if dice.chance(0.1 * peril) else ""
        given = Given(
            between(memory, a), numbers_in(a), f"{a.shape} {a.dtype} {spoilt}", not spoilt
        )
    else:
        given = dense(dice, memory, base, peril)
    t = given.truth
    if t is not None and t.ndim == 1 and shape[1] == 1:
        t = t[:, None]
    legal = {
        "class": lambda t: (t >= 0) & (t < k) & (t == t // 1),
        "probability": lambda t: (t >= 0) & (t <= 1),
    }
    legal |= {"count": lambda t: t >= 0, "positive": lambda t: t > 0}
    if (
        t is None
        or t.shape != shape
        or not np.isfinite(t).all()
        or (kind in legal and not legal[kind](t).all())
    ):
        t = None
    easy = given.harmless and t is not None and (kind != "class" or given.value.dtype.kind in "iu")
    return Given(given.value, t, given.note, easy)


def weights(dice: Dice, memory: Any, rows: int, peril: float = 1.0) -> Given:
    """Weights of rows: none, ordinary, extreme or wrong ones."""
    if dice.chance(0.4):
        return Given(None, np.ones(rows), "None", True)
    base = dice.rng.random(rows) + 0.5
    chance = dice.rng.random() / peril
    if chance < 0.04:
        given = nothing(dice, base)
    elif chance < 0.1:
        given = dense(dice, memory, np.abs(plain(dice, shaped(dice, (rows, 1)))), 0)
    elif chance < 0.3:
        factor = dice.one((1e-300, 1e-45, 1e-38, 1e30, 1e37, 1e300, 0.0, -1.0))
        given = Given(base * factor, base * factor, f"ordinary ones times {factor}")
    else:
        given = dense(dice, memory, base, peril)
    if given.value is None:
        return Given(None, np.ones(rows), "None", True)
    t = given.truth
    if isinstance(given.value, (int, float, np.generic, np.ndarray)) and np.ndim(given.value) == 0:
        number = numbers_in(given.value)  # scikit-learn takes one weight for all rows
        t = None if number is None else np.full(rows, number)
    if t is not None and t.shape == (rows, 1):
        t = t[:, 0]
    good = t is not None and t.shape == (rows,) and np.isfinite(t).all() and (t >= 0).all()
    good = good and t.any() and given.value is not None
    return Given(given.value, t if good else None, given.note, given.harmless and good)


def parameters(dice: Dice, memory: Any, network: Network, peril: float = 1.0) -> Given:
    """Parameters of a network, or of another."""
    ours = network.init("kaiming_normal", dice.whole(0, 3))
    made = {
        name: plain(dice, a.shape).astype(a.dtype) if a.ndim == 1 else a for name, a in ours.items()
    }
    note, easy = "its own", True
    if dice.chance(0.5 * peril):
        name = dice.one(tuple(made))
        note, easy = _tampered(dice, memory, made, name)
        note = f"{name} {note}"
    value: Any = made
    if dice.chance(0.05 * peril):
        fewer = dict([*made.items()][:-1])
        more = {**made, "w9": made["w1"]}
        value = dice.one((fewer, more, None, 3, [1, 2], {}, "ab", [*made.values()], {**made, 3: 4}))
        return Given(value, None, f"{type(value).__name__} of others")
    if dice.chance(0.1):
        value = dice.one((dict(reversed([*made.items()])), types.MappingProxyType(made)))
    with np.errstate(all="ignore"):
        truth = {name: numbers_in(value[name]) for name in network.shapes}
    for name, shape in network.shapes.items():
        if truth[name] is None or truth[name].shape != shape:
            return Given(value, None, note)
    return Given(value, truth, note, easy)


def _tampered(dice: Dice, memory: Any, made: dict[str, Any], name: str) -> tuple[str, bool]:
    a = made[name]
    how = dice.one(("dtype", "all dtypes", "layout", "value", "shape", "nothing", "list"))
    if how == "dtype":
        dtype = dice.one((*NUMBERS, *OTHERS))
        given = dense(dice, memory, a.astype(np.float64), 0)
        with np.errstate(all="ignore"):
            value = given.value.astype("U9" if dtype in ("str", "record") else dtype, copy=False)
        made[name] = between(memory, value)
        return f"as {value.dtype}", False
    if how == "all dtypes":
        dtype = dice.one(("float16", "float32", "float64", "longdouble", "int8", ">f4"))
        made |= {other: array.astype(dtype) for other, array in made.items()}
        return f"and all others as {dtype}", False
    if how == "layout":
        given = dense(dice, memory, np.atleast_1d(a).astype(np.float64), 0.5)
        made[name] = given.value
        return given.note, False
    if how == "value":
        a = made[name] = a.astype(dice.one(("float32", "float64")))
        return spoil(dice, a), False
    if how == "shape":
        made[name] = np.zeros(shaped(dice, (*a.shape, 1)[:2]), a.dtype)
    elif how == "nothing":
        made[name] = nothing(dice, np.atleast_2d(a)).value
    else:
        made[name] = a.tolist()
    return how, False
