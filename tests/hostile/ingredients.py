"""Arrays to call with: every dtype, layout, container and value that somebody may pass.

Each is a `Given`: the value, and the truth, which is the same table as plain float64. A truth of
None says that the value is no table of numbers of that shape, and must be refused.
"""

from __future__ import annotations

import array
import dataclasses
import importlib.util
import numbers
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..run.llvm.guard_pages import Guarded

NATIVE = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool")
NUMBERS = (*NATIVE, "uint32", "uint64", "float16", "longdouble", ">f4", ">f8", ">i4", ">u8", "<i2")
OTHERS = ("object", "str", "bytes", "M8[D]", "m8[s]", "complex64", "complex128", "record", "V4")
EXTREMES = (
    *(np.nan, np.inf, -np.inf, 1e39, -3.5e38, 3.3e38, 1e300, -1.7e308, 1e-300, 5e-324, 1e-40),
    *(65520.0, 2.0**53 + 2, -(2.0**63), 2.0**64, 1e20, -0.0),
)
LAYOUTS = (
    *("Fortran order", "wide rows", "columns apart", "rows backwards", "columns backwards"),
    *("one row broadcast", "one column broadcast", "one value broadcast", "huge strides"),
    *("unaligned", "read-only", "memory-mapped", "masked", "partly masked", "matrix", "subclass"),
)
MUST_DO = {*LAYOUTS} - {"masked", "partly masked", "matrix", "subclass"}
"""Layouts that nobody may refuse."""


class Dice:
    """Random choices from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one(self, options: Any) -> Any:
        options = list(options)
        return options[int(self.rng.integers(len(options)))]

    def whole(self, least: int, most: int) -> int:
        return int(self.rng.integers(least, most + 1))

    def perils(self, *names: str) -> dict[str, float]:
        """How hostile each argument may be: mostly one of them, so that the others pass."""
        worst = self.one(names)
        return {name: 1.5 if name == worst or self.chance(0.1) else 0.1 for name in names}


@dataclasses.dataclass
class Given:
    """An argument.

    Attributes
    ----------
    value : object
        What is passed.
    truth : object
        A plain argument that means the same; None if nothing does.
    note : str
        How it was made.
    harmless : bool
        Whether to refuse it would be a fault.
    """

    value: Any
    truth: Any
    note: str
    harmless: bool = False

    def fits(self, dtype: str) -> bool:
        """Whether the dtype can hold every number of the truth, to rounding."""
        t = self.truth
        return t is not None and bool((np.abs(t) <= np.finfo(dtype).max).all())


class UserError(Exception):
    """What the user's own code raises; it has to come through."""


class Marked(np.ndarray):
    """A subclass with nothing of its own."""


def numbers_in(a: Any) -> np.ndarray | None:
    """The elements as float64, or None if some are no real numbers."""
    try:
        a = np.asarray(a)
    except (ValueError, UserError):  # lists of several lengths, or no array after all
        return None
    with np.errstate(all="ignore"):
        if a.dtype.kind in "biuf":
            return a.astype(np.float64)
        if a.dtype.kind in "OUS":
            try:
                return np.array([_number(v) for v in a.ravel()], np.float64).reshape(a.shape)
            except (TypeError, ValueError, OverflowError):
                return None
    return None


def _number(value: Any) -> float:
    if isinstance(value, (numbers.Real, np.bool_, str, bytes)):
        return float(value)
    raise TypeError(value)


def plain(dice: Dice, shape: tuple[int, ...]) -> np.ndarray:
    return np.round(2 * dice.rng.standard_normal(shape), 3)


def as_dtype(dice: Dice, a: np.ndarray, dtype: str) -> np.ndarray:
    """The numbers as such a dtype holds them, or something of that dtype."""
    if dtype == "record":
        return np.zeros(a.shape, [("a", "f4"), ("b", "i8")])
    if dtype in ("str", "bytes"):
        return a.astype("U8" if dtype == "str" else "S8")
    if dtype == "object":
        return a.astype(object)
    if dtype[0] in "mM":
        return (10 * a).astype(np.int64).astype(dtype)
    if dtype == "V4":
        return a.astype("f4").view("V4")
    kind = np.dtype(dtype).kind
    return (a > 0 if kind == "b" else np.abs(a) if kind == "u" else a).astype(dtype)


def spoil(dice: Dice, a: np.ndarray) -> str:
    """Put an extreme value somewhere; say which."""
    if a.size == 0 or a.dtype.kind not in "iufcO":
        return ""
    if a.dtype.kind in "iu":
        limits = np.iinfo(a.dtype)
        value = dice.one((limits.min, limits.max))
    else:
        value = dice.one(EXTREMES)
    at = tuple(int(dice.rng.integers(n)) for n in a.shape)
    if a.dtype.kind == "O" and dice.chance(0.5):
        value = dice.one(
            (None, "x", "1e39", 10**400, 1 + 2j, [1], np.float32(1), np.datetime64(0, "D"))
        )
    with np.errstate(all="ignore"):
        if dice.chance(0.1) and a.dtype.kind == "f":
            a[...] = value
            return f"{value} everywhere"
        a[at if a.ndim else ...] = value
    return f"{value!r} at {at}"


def laid_out(dice: Dice, memory: Guarded, a: np.ndarray, layout: str) -> np.ndarray:
    """The array in another layout; a broadcast one has fewer values."""
    if a.ndim == 0:
        return a
    rows, columns = a.shape if a.ndim == 2 else (len(a), 1)
    if layout == "Fortran order":
        return between(memory, np.asfortranarray(a))
    if layout in ("wide rows", "columns apart") and a.ndim == 2:
        wide = np.zeros((rows, 2 * columns + 3), a.dtype)
        view = wide[:, :columns] if layout == "wide rows" else wide[:, 1 : 2 * columns + 1 : 2]
        view[...] = a
        return between(memory, view)
    if layout == "rows backwards":
        return between(memory, a[::-1].copy()[::-1])
    if layout == "columns backwards" and a.ndim == 2:
        return between(memory, np.ascontiguousarray(a[:, ::-1])[:, ::-1])
    if layout == "one row broadcast":
        return np.broadcast_to(between(memory, a[:1].copy()), a.shape) if rows else a
    if layout == "one column broadcast" and a.ndim == 2 and columns:
        return np.broadcast_to(between(memory, a[:, :1].copy()), a.shape)
    if layout == "one value broadcast" and a.size:
        return np.broadcast_to(a.ravel()[0], a.shape)
    if layout == "huge strides" and a.ndim == 2 and not a.dtype.hasobject and a.size:
        far = np.zeros(rows << 16, np.uint8)
        view = np.ndarray(a.shape, a.dtype, far, 0, (1 << 16, a.itemsize))
        view[...] = a
        return view
    if layout == "unaligned" and not a.dtype.hasobject:
        view = np.ndarray(a.shape, a.dtype, memory.bytes(a.nbytes + 1), 1 - memory.at_end)
        view[...] = a
        return view
    if layout == "memory-mapped" and not a.dtype.hasobject and a.size:
        with tempfile.TemporaryFile() as file:
            file.write(np.ascontiguousarray(a).tobytes())
            file.flush()
            return np.memmap(file, a.dtype, dice.one("rc"), shape=a.shape)
    if layout in ("masked", "partly masked"):
        hidden = np.zeros(a.shape, bool)
        hidden[..., :1] = layout == "partly masked"
        return np.ma.masked_array(a, mask=hidden)
    if layout == "matrix" and a.ndim == 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is discouraged
            return np.asmatrix(a)
    if layout == "subclass":
        return a.copy().view(Marked)
    a = between(memory, a)
    if layout == "read-only":
        a.flags.writeable = False
    return a


def between(memory: Guarded, a: np.ndarray) -> np.ndarray:
    """A copy with the same strides, flush against pages that may not be touched."""
    return a if a.dtype.hasobject or a.size == 0 else memory.copy(a)


def dense(dice: Dice, memory: Guarded, base: np.ndarray, peril: float = 1.0) -> Given:
    """An array of NumPy's with these numbers, or others that its dtype or layout brings."""
    dtype = "float64"
    if dice.chance(0.6):
        dtype = dice.one(OTHERS) if dice.chance(0.2 * peril) else dice.one(NUMBERS)
    a = as_dtype(dice, base, dtype)
    spoilt = spoil(dice, a) if dice.chance(0.25 * peril) else ""
    layout = dice.one(LAYOUTS) if dice.chance(0.4 * peril) else "C order"
    value = laid_out(dice, memory, a, layout)
    truth = None if layout == "partly masked" and a.size else numbers_in(value)
    note = f"{value.shape} {dtype}, {layout}{', ' if spoilt else ''}{spoilt}"
    easy = dtype in NUMBERS and not spoilt and (layout in MUST_DO or layout == "C order")
    return Given(value, truth, note, easy)


def shaped(dice: Dice, shape: tuple[int, int]) -> tuple[int, ...]:
    """Another shape."""
    rows, columns = shape
    return dice.one(
        [
            *(
                (0, columns),
                (rows, 0),
                (rows, columns + 1),
                (rows, max(0, columns - 1)),
                (columns,),
            ),
            *(
                (rows, columns, 1),
                (1, rows, columns),
                (rows * columns,),
                (),
                (columns, rows),
                (0, 0),
            ),
            *((rows + 1, columns), (max(0, rows - 1), columns), (1, columns), (rows, 1), (rows,)),
        ]
    )


class Raises:
    """Says that it is an array, and is none."""

    shape, dtype, ndim = (4, 4), np.dtype("f4"), 2

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise UserError("no array after all")

    def __len__(self) -> int:
        return 4


class Another:
    """Says that it has the elements of a table, and gives some of them in a row."""

    def __init__(self, a: np.ndarray) -> None:
        self.shape, self.dtype, self.ndim, self._a = a.shape, a.dtype, a.ndim, a

    def __len__(self) -> int:
        return len(self._a)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._a.ravel()[:-1], dtype)


def nothing(dice: Dice, base: np.ndarray) -> Given:
    """What is no table at all."""
    value = dice.one(
        [
            *(
                None,
                3,
                np.float32(3),
                True,
                "text",
                b"bytes",
                {},
                {"a": [1.0]},
                [],
                [[]],
                set(),
                ...,
            ),
            *([[1, 2], [3]], [[None]], [["a"]], object(), range(3), Raises(), iter([1.0])),
            *(np.array(1.0), np.array(None), float, array.array("d", [1.0]), memoryview(b"abc")),
            *([*base.tolist()[:-1], [1.0] * 99], Another(base), {"a": base}, 10**400, -1j),
        ]
    )
    return Given(value, None, f"{type(value).__name__} {value!r:.60}")


def contained(dice: Dice, base: np.ndarray) -> Given:
    """The numbers in a container that is no array."""
    options = ["list", "tuple", "list of arrays", "pandas", "pandas nullable", "pandas object"]
    options += ["polars"] * bool(importlib.util.find_spec("polars"))
    options += ["torch"] * bool(importlib.util.find_spec("torch"))
    kind, truth = dice.one(options), base
    if kind == "list":
        value: Any = base.tolist()
    elif kind == "tuple":
        value = tuple(map(tuple, base.tolist()))
    elif kind == "list of arrays":
        value = list(base)
    elif kind == "torch":
        import torch

        dtype = dice.one(
            ("float32", "float64", "float16", "bfloat16", "int64", "bool", "complex64")
        )
        kind += " " + dtype
        value = torch.as_tensor(base).to(getattr(torch, dtype))
        truth = None if dtype.startswith("c") else value.to(torch.float64).numpy()
        if dtype == "float32" and dice.chance(0.3):
            value.requires_grad_()
    else:
        value, truth = _framed(dice, kind, base)
    return Given(value, truth, f"{kind} {base.shape}")


def _with_hole(base: np.ndarray) -> np.ndarray:
    """What is missing is NaN."""
    truth = base.copy()
    truth[0] = np.nan if base.ndim == 1 else [np.nan, *base[0, 1:]]
    return truth


def _framed(dice: Dice, kind: str, base: np.ndarray) -> tuple[Any, Any]:
    import pandas as pd

    names = [f"c{i}" for i in range(base.shape[1] if base.ndim == 2 else 1)]
    columns = base if base.ndim == 2 else base[:, None]
    holes = dice.chance(0.3) and columns.size > 0
    if kind == "polars":
        import polars as pl

        frame = {n: columns[:, i].tolist() for i, n in enumerate(names)}
        if holes:
            frame[names[0]][0] = None
        return pl.DataFrame(frame), _with_hole(base) if holes else base
    frame = pd.DataFrame(columns.copy(), columns=names)
    if kind == "pandas nullable":
        frame = frame.astype("Float64")
        if holes:
            frame.iloc[0, 0] = pd.NA
        return frame, _with_hole(base) if holes else base
    if kind == "pandas object" and names:
        frame[names[0]] = frame[names[0]].astype(object)
        if holes:
            frame.iloc[0, 0] = dice.one((None, "x", pd.NaT, 1j))
            return frame, None
    return frame, base


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape that a value says it has; of what says none, ()."""
    shape = getattr(value, "shape", ())
    return tuple(shape) if isinstance(shape, (tuple, list)) else ()


def fingerprint(value: Any) -> Any:
    """What would change if somebody wrote into an argument."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.strides, np.asarray(value).tobytes()
    if isinstance(value, (list, tuple)):
        return [fingerprint(item) for item in value]
    if isinstance(value, Mapping):
        return {name: fingerprint(item) for name, item in value.items()}
    if hasattr(value, "tocoo"):
        parts = {k: v for k, v in vars(value).items() if k not in ("_has_canonical_format",)}
        return {k: fingerprint(v) for k, v in parts.items() if isinstance(v, np.ndarray)}
    if hasattr(value, "to_numpy"):
        return value.to_numpy().tolist().__repr__()
    if hasattr(value, "detach"):
        return repr(value.detach().tolist())
    return repr(value)
