"""Sparse tables: every format of SciPy's, healthy, odd and damaged."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
import scipy.sparse as sp

from .ingredients import NATIVE, Dice, Given, as_dtype, between, spoil

FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
ODD = ("int64 indices", "unsorted", "duplicates", "explicit zeros", "read-only", "no entries")
DAMAGE = (
    *("index too large", "index negative", "indptr negative", "indptr not sorted", "indptr short"),
    *(
        "indptr too large",
        "data short",
        "shape of another",
        "indptr of an empty one",
        "float index",
    ),
)


def sparse(dice: Dice, memory: Any, base: np.ndarray, peril: float = 1.0) -> Given:
    """A sparse table with some of these numbers."""
    kept = np.where(dice.rng.random(base.shape) < 0.5, base, 0)
    dtype = dice.one((*NATIVE, "uint64", "longdouble", "complex64", "float32", "float64"))
    kept = as_dtype(dice, kept, dtype)
    spoilt = spoil(dice, kept) if dice.chance(0.15 * peril) else ""
    form, kind = dice.one(FORMATS), dice.one(("matrix", "array"))
    x = getattr(sp, f"csr_{kind}")(kept).asformat(form)
    change = ""
    if dice.chance(0.6):
        change = dice.one(DAMAGE if dice.chance(0.6 * peril) else ODD)
        damaged, x = _changed(dice, x, form, change)
    else:
        damaged = False
    _guard(memory, x)
    truth = None if damaged or dtype.startswith("c") else _dense(x)
    note = f"{x.shape} {form}_{kind} of {dtype}, {change or 'healthy'} {spoilt}"
    easy = dtype in NATIVE and not damaged and not spoilt and form in ("csr", "csc", "coo")
    return Given(x, truth, note, easy)


def _dense(x: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(x.toarray()).astype(np.float64)


def _guard(memory: Any, x: Any) -> None:
    for name in ("data", "indices", "indptr"):
        a = getattr(x, name, None)
        if isinstance(a, np.ndarray) and a.flags.writeable and x.format in ("csr", "csc", "bsr"):
            setattr(x, name, between(memory, a))


def _changed(dice: Dice, x: Any, form: str, change: str) -> tuple[bool, Any]:
    """Whether it is damaged now, and the matrix."""
    compressed = form in ("csr", "csc", "bsr")
    if change == "no entries":
        return False, type(x)(x.shape, dtype=x.dtype)
    if change == "indptr of an empty one" and compressed:
        x = type(x)(x.shape, dtype=x.dtype)
        if len(x.indptr) < 3:
            return False, x
        x.indptr[dice.whole(1, len(x.indptr) - 2)] = dice.one((2**30, -1, 3))
        return True, x
    if change == "shape of another":
        if not x.shape[1]:
            return False, x
        x._shape = dice.one(((x.shape[0] + 2, x.shape[1]), (x.shape[0], x.shape[1] + 2)))
        return True, x
    if form in ("coo", "dok", "lil", "dia"):
        return _changed_other(dice, x, form, change)
    if change == "int64 indices":
        x.indices, x.indptr = x.indices.astype(np.int64), x.indptr.astype(np.int64)
    elif change == "read-only":
        for a in (x.data, x.indices, x.indptr):
            a.flags.writeable = False
    elif change == "explicit zeros" and x.nnz:
        x.data[:1] = 0
    elif change in ("unsorted", "duplicates") and form != "bsr":
        return False, _again(x, change)
    elif change == "float index" and x.nnz:
        x.indices = x.indices.astype(np.float64) + 0.5
        return True, x
    elif x.nnz and len(x.indptr) > 2:
        return _damaged(dice, x, change)
    return False, x


def _again(x: Any, change: str) -> Any:
    """Every row's entries backwards, or each of them in two halves."""
    data, indices, indptr = x.data, x.indices, x.indptr
    if change == "duplicates" and x.dtype.kind == "f":
        data, indices, indptr = np.repeat(data / 2, 2), np.repeat(indices, 2), 2 * indptr
    else:
        rows = [slice(a, b) for a, b in itertools.pairwise(indptr)]
        data = np.concatenate([data[r][::-1] for r in rows])
        indices = np.concatenate([indices[r][::-1] for r in rows])
    return type(x)((data, indices, indptr), shape=x.shape)


def _damaged(dice: Dice, x: Any, change: str) -> tuple[bool, Any]:
    at, inner = dice.whole(0, len(x.indices) - 1), dice.whole(1, len(x.indptr) - 2)
    if change == "index too large":
        x.indices[at] = dice.one((x.shape[x.format == "csr"] + 1, 10**5, 2**30, 2**31 - 1))
    elif change == "index negative":
        x.indices[at] = dice.one((-1, -(2**31)))
    elif change == "indptr negative":
        x.indptr[inner] = -1
    elif change == "indptr not sorted":
        x.indptr[inner] = x.indptr[-1] + 1
    elif change == "indptr short":
        x.indptr = x.indptr[:-1].copy()
    elif change == "indptr too large":
        x.indptr[-1] += dice.one((1, 2**29))
    elif change == "data short":
        x.data = x.data[:-1].copy()
    else:
        return False, x
    return True, x


def _changed_other(dice: Dice, x: Any, form: str, change: str) -> tuple[bool, Any]:
    if change not in ("index too large", "index negative", "data short") or not x.nnz:
        return False, x
    bad = -5000 if change == "index negative" else 2**30
    if form == "coo":
        if change == "data short":
            x.data = x.data[:-1].copy()
        else:
            axis = dice.whole(0, 1)
            x.coords[axis][dice.whole(0, x.nnz - 1)] = bad
        return True, x
    if form == "dok" and change != "data short":
        with contextlib.suppress(AttributeError):
            x._dict[0, bad] = x.dtype.type(1)
            return True, x
    if form == "lil" and change != "data short":
        row = next(i for i, found in enumerate(x.rows) if found)
        x.rows[row][-1] = bad
        return True, x
    return False, x
