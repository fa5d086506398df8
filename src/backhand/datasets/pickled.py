"""The old ``mnist.pkl.gz``: three pairs of arrays in a pickle, read without running anything.

A pickle is a program that can call what it can name, and allocate what it likes. So its
instructions are looked at before any is run: few, of the kinds that arrays need, with no index or
length beyond what they need. The names that it may use stand for records of ours, from which the
arrays are made afterwards: NumPy's own ``__setstate__`` trusts its input.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.data import Data
from backhand.datasets.files import unpack
from backhand.datasets.mnist import split_pixels
from backhand.errors import InputError, first_line

# 70,000 rows of 784 float32 pixels and an int64 label have 220 MB.
LIMIT = 1 << 28
ROWS = (50_000, 10_000, 10_000)
PIXELS = 784
# The original has fewer than 200.
MOST_INSTRUCTIONS = 1000
LONGEST_NAME = 64
CODES = ("f4", "f8", "u1", "i4", "i8")
TYPES = {f"{order}{code}" for order in ("", "<", ">", "|") for code in CODES}

# The first byte, in UTF-8, of what is not Latin-1, and so stands for no byte of an array.
_WIDE = re.compile(rb"[\xc4-\xff]")

# What NumPy writes, from Python 2 and 3, in the binary protocols: no class instances, dictionaries,
# sets, extensions or persistent ids.
_INSTRUCTIONS = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 REDUCE BUILD
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS GLOBAL STACK_GLOBAL
    BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 BINUNICODE
    SHORT_BINUNICODE BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
"""
_ALLOWED = {op.code: op for op in pickletools.opcodes if op.name in _INSTRUCTIONS.split()}


class _Type:
    """Stands for ``numpy.dtype``: what the pickle says of it."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = code, ""

    def __setstate__(self, state: Any) -> None:
        self.order = "" if state[1] == "|" else state[1]


class _Array:
    """Stands for ``numpy.ndarray``: what the pickle says of one."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state[-4:]


def _made(*_: object) -> _Array:
    """Stand for ``_reconstruct``, after which comes the state."""
    return _Array()


def _from_buffer(data: object, kind: object, shape: object, order: object) -> _Array:
    """Stand for ``_frombuffer``."""
    array = _Array()
    array.state = shape, kind, order == "F", data
    return array


def _encoded(text: object, _: object) -> object:
    """Stand for ``_codecs.encode``, by which Python 3 writes bytes for Python 2; copy nothing."""
    return text


_STAND_INS = {
    ("_codecs", "encode"): _encoded,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _made for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            shown = ascii(f"{module}.{name}")[1:-1][:LONGEST_NAME]
            raise InputError(
                f"names the global {shown}, which arrays do not need; refused"
            ) from None


def _check(content: bytes) -> None:
    """Raise InputError for instructions that arrays do not need; none is run."""
    file = io.BytesIO(content)
    for _ in range(MOST_INSTRUCTIONS):
        byte = file.read(1)
        if not byte:
            raise InputError("ends before it should")
        code = _ALLOWED.get(byte.decode("latin-1"))
        if code is None:
            raise InputError(f"has the instruction {byte!r}, which arrays do not need; refused")
        if code.name == "STOP":
            return
        start = file.tell()
        if code.name == "BINUNICODE" and _WIDE.search(content, start + 4, _end(content, start)):
            raise InputError("has text that is no bytes of an array; refused")
        argument: Any = code.arg.reader(file) if code.arg is not None else None
        if code.name == "LONG_BINPUT" and argument >= MOST_INSTRUCTIONS:
            raise InputError("has more places than arrays need; refused")  # or C allocates them
    raise InputError("has more instructions than arrays need; refused")


def _end(content: bytes, start: int) -> int:
    """Return where what is at ``start`` ends, with its length in four bytes before it."""
    return start + 4 + int.from_bytes(content[start : start + 4], "little")


def read_pairs(content: bytes) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Read the pairs of arrays in a pickle, and run nothing.

    Parameters
    ----------
    content : bytes
        The uncompressed pickle, of a binary protocol, written by Python 2 or 3.

    Returns
    -------
    pairs : list of three (pixels, labels)
        Read-only arrays of one of `TYPES`.

    Raises
    ------
    InputError
        For anything else, without a subject: the caller puts the file's name before it.
    """
    try:
        _check(content)
        value = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        if not (_is_sequence(value, 3) and all(_is_sequence(pair, 2) for pair in value)):
            raise InputError("does not hold three pairs of arrays")
        return [(_as_array(x), _as_array(t)) for x, t in value]
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can fail in any of Python's ways
        raise InputError(f"is not a readable pickle of three pairs ({first_line(error)})") from None


def _is_sequence(value: object, length: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == length


def _as_array(stand_in: object) -> NDArray[Any]:
    """Make the array that a stand-in describes, if its parts fit one another."""
    if not isinstance(stand_in, _Array) or stand_in.state is None:
        raise InputError("has something else where an array should be")
    shape, kind, fortran, data = stand_in.state
    if not all(type(n) is int and n >= 0 for n in shape):
        raise InputError("has an array of impossible shape")
    code = f"{kind.order}{kind.code}" if isinstance(kind, _Type) else "no type"
    if code not in TYPES:
        raise InputError(
            f"has an array of type {ascii(code)[1:-1][:LONGEST_NAME]}; only plain numbers are read"
        )
    raw = data.encode("latin-1") if isinstance(data, str) else data  # Python 2 has bytes as text
    order: Any = "F" if fortran is True else "C"
    values: NDArray[Any] = np.frombuffer(raw, np.dtype(code)).reshape(shape, order=order)
    values.flags.writeable = False
    return values


def load_pickled(path: Path, *, rows: tuple[int, int, int] = ROWS, pixels: int = PIXELS) -> Data:
    """Load the old ``mnist.pkl.gz``, written by Python 2, with pixels divided by 256.

    Parameters
    ----------
    path : Path
        Plain or compressed.
    rows : tuple of three int
        How many training, validation and test rows there must be.
    pixels : int
        How many pixels each row must have.

    Returns
    -------
    Data
        The same as from the IDX files: the pixels are turned back into bytes, which is exact.

    Raises
    ------
    InputError
        For a file that is no such pickle; one that names any other global is refused, with the
        global's name, and nothing of it is run.
    """
    content = unpack(path, LIMIT)
    try:
        pairs = read_pairs(content)
        del content
        parts = []
        for (x, t), count, part in zip(
            pairs, rows, ("training", "validation", "test"), strict=True
        ):
            if x.shape != (count, pixels) or t.shape != (count,):
                raise InputError(
                    f"has {part} arrays of shapes {x.shape} and {t.shape}, "
                    f"expected {(count, pixels)} and {(count,)}"
                )
            parts.append((_bytes(x, part), _labels(t, part)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return split_pixels(str(path), *parts)


def _bytes(x: NDArray[Any], part: str) -> NDArray[np.uint8]:
    """Turn pixels in 256ths back into bytes."""
    if x.dtype.kind != "f":
        raise InputError(f"has {part} pixels of type {x.dtype}, expected floating point")
    # Products by 256 are exact. NaN compares false, so it is refused too.
    with np.errstate(over="ignore"):
        scaled = x * 256
    if not ((scaled >= 0) & (scaled <= 255)).all() or (scaled != np.floor(scaled)).any():
        raise InputError(f"has {part} pixels that are not whole 256ths from 0 to 255/256")
    return scaled.astype(np.uint8)


def _labels(t: NDArray[Any], part: str) -> NDArray[np.int64]:
    if t.dtype.kind not in "iu" or t.min() < 0 or t.max() > 9:
        raise InputError(f"has {part} labels that are not integers from 0 to 9")
    return t.astype(np.int64)
