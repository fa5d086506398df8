"""The old ``mnist.pkl.gz``: three pairs of arrays in a pickle, read without running anything.

A pickle is a program for a small machine whose instructions can call what they can name. Here the
machine has only the instructions that array data needs, and the few names that it knows are plain
records of ours: not even NumPy's own constructors are called, since their ``__setstate__`` trusts
its input. The arrays are made afterwards, from checked shapes, types and bytes.

It builds on the pure Python unpickler, because the one in C grows its memo to any index that a file
names, and because in Python the table of instructions can be replaced.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.data import Data
from backhand.datasets.files import unpack
from backhand.datasets.mnist import split_pixels
from backhand.errors import InputError

# Room for 70,000 rows of 784 float64 pixels and their labels.
LIMIT = 480_000_000
# The original has fewer than 200 instructions.
MOST_INSTRUCTIONS = 10_000
ROWS = (50_000, 10_000, 10_000)
PIXELS = 784
MOST_BYTES_OF_NAME = 64

_GLOBALS = {
    **{
        (f"{package}.{module}", name): name
        for package in ("numpy.core", "numpy._core")
        for module, name in (("multiarray", "_reconstruct"), ("numeric", "_frombuffer"))
    },
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
_TYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")

# No class instances (INST, OBJ, NEWOBJ), extensions, persistent ids, dictionaries or sets.
_INSTRUCTIONS = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES
    SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST
    APPEND APPENDS GLOBAL STACK_GLOBAL REDUCE BUILD PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET
    LONG_BINGET
"""
_ALLOWED = {getattr(pickle, name)[0] for name in _INSTRUCTIONS.split()}


@dataclass(frozen=True)
class _Name:
    """Stands for a global that a pickle names; it cannot be called."""

    name: str


class _Type:
    """Stands for a dtype: what the pickle said about it."""

    def __init__(self, code: object) -> None:
        self.code = code
        self.state: object = None


class _Array:
    """Stands for an array: what the pickle said about it."""

    def __init__(self) -> None:
        self.state: object = None


class _Instructions:
    """The machine's instructions, counted, without those that array data does not need."""

    def __init__(self, table: dict[int, Callable[[Any], None]]) -> None:
        self.table = table
        self.count = 0

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.count += 1
        if self.count > MOST_INSTRUCTIONS:
            raise InputError("has more instructions than arrays need")
        if code not in self.table:
            raise InputError(f"uses instruction 0x{code:02x}, which arrays do not need; refused")
        return self.table[code]


# the unpickler in Python, whose instructions can be replaced; its types name only the one in C
_Base: Any = pickle._Unpickler  # type: ignore[attr-defined, unused-ignore]


class _Unpickler(_Base):  # type: ignore[misc]  # the base has no type, see above
    """Reads lists and tuples of stand-ins, and refuses everything else before it happens."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.size = len(content)
        table = {code: run for code, run in _Base.dispatch.items() if code in _ALLOWED}
        table[pickle.REDUCE[0]] = _Unpickler._reduce
        table[pickle.BUILD[0]] = _Unpickler._build
        table[pickle.INST[0]] = _Unpickler._instance
        table[pickle.BYTEARRAY8[0]] = _Unpickler._bytearray
        self.dispatch = _Instructions(table)

    def find_class(self, module: object, name: object) -> _Name:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise InputError("names a global by something that is not text; refused")
        known = _GLOBALS.get((module, name))
        if known is None:
            shown = f"{module}.{name}"[:MOST_BYTES_OF_NAME].encode("unicode_escape").decode()
            raise InputError(f"names the global {shown}, which arrays do not need; refused")
        return _Name(known)

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        called = self.stack[-1]
        if not isinstance(called, _Name) or type(arguments) is not tuple:
            raise InputError("calls something that is not a function for arrays; refused")
        self.stack[-1] = _call(called.name, arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        built = self.stack[-1]
        if not isinstance(built, (_Array, _Type)) or type(state) is not tuple:
            raise InputError("sets the state of something that is not an array; refused")
        built.state = state

    def _instance(self) -> None:
        # Only to say in the message what it wanted to call.
        module, name = (self.readline()[:-1].decode("utf-8", "replace") for _ in range(2))
        self.find_class(module, name)
        raise InputError(f"makes an instance of {name}, which arrays do not need; refused")

    def _bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        # Python's own would allocate whatever the file asks for.
        if size > self.size:
            raise InputError("ends inside its data")
        self.append(bytes(self.read(size)))


def _call(name: str, arguments: tuple[Any, ...]) -> Any:
    """Do what the named function would do, on stand-ins."""
    if name == "dtype" and 1 <= len(arguments) <= 3:
        return _Type(arguments[0])
    if name == "_reconstruct" and len(arguments) == 3 and arguments[0] == _Name("ndarray"):
        return _Array()
    if name == "_frombuffer" and len(arguments) == 4:
        buffer, kind, shape, order = arguments
        array = _Array()
        array.state = (1, shape, kind, order == "F", buffer)
        return array
    if (
        name == "encode"
        and len(arguments) == 2
        and type(arguments[0]) is str
        and arguments[1] in ("latin1", "latin-1")
    ):
        return arguments[0].encode("latin-1")
    raise InputError(f"calls {name} with arguments that no array pickle has; refused")


def _as_dtype(kind: object) -> np.dtype[Any]:
    """Return the dtype that a stand-in describes, one of fixed-size plain numbers."""
    if not isinstance(kind, _Type):
        raise InputError("has an array without a type")
    code = kind.code.decode("latin-1") if isinstance(kind.code, bytes) else kind.code
    if not isinstance(code, str) or code.lstrip("<>|=") not in _TYPES:
        shown = ascii(code)[:20] if isinstance(code, str) else type(code).__name__
        raise InputError(f"has an array of type {shown}; only plain numbers are read")
    order = "<"
    if kind.state is not None:
        state = kind.state
        if not isinstance(state, tuple) or len(state) < 5:
            raise InputError("has an array whose type has a damaged state")
        if any(part is not None for part in state[2:5]):
            raise InputError("has an array of records; only plain numbers are read")
        order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if not isinstance(order, str) or order not in ("<", ">", "|", "="):
        raise InputError("has an array of unknown byte order")
    return np.dtype(("<" if order in "|=" else order) + code.lstrip("<>|="))


def _as_array(stand_in: object) -> NDArray[Any]:
    """Make the array that a stand-in describes, if its parts fit one another."""
    state = stand_in.state if isinstance(stand_in, _Array) else None
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise InputError("has something else where an array should be")
    shape, kind, fortran, data = state[-4:]
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise InputError("has an array of impossible shape")
    if len(shape) not in (1, 2):
        raise InputError(f"has an array of {len(shape)} dimensions, expected 1 or 2")
    dtype = _as_dtype(kind)
    if isinstance(data, str):
        # Python 2 wrote bytes as its str, which Python 3 reads as Latin-1.
        try:
            data = data.encode("latin-1")
        except UnicodeEncodeError:
            raise InputError("has an array whose data are not bytes") from None
    if not isinstance(data, bytes):
        raise InputError("has an array whose data are not bytes")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise InputError(
            f"has an array of shape {shape} and type {dtype} with {len(data)} bytes of data"
        )
    order: Any = "F" if fortran else "C"
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def read_pairs(content: bytes) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Read the pairs of arrays in a pickle, and run nothing.

    Parameters
    ----------
    content : bytes
        The uncompressed pickle, of any protocol, written by Python 2 or 3.

    Returns
    -------
    pairs : list of three (pixels, labels)
        Read-only arrays with one or two dimensions, of whatever plain numeric dtype was stored.

    Raises
    ------
    InputError
        For anything else, without a subject: the caller puts the file's name before it.
    """
    try:
        value = _Unpickler(content).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can fail in any of Python's ways
        why = ascii(str(error))[1:-1][:80] if str(error) else type(error).__name__
        raise InputError(f"is not a readable pickle ({why})") from None
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise InputError("does not hold three pairs of arrays")
    pairs = []
    for pair in value:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError("does not hold three pairs of arrays")
        pairs.append((_as_array(pair[0]), _as_array(pair[1])))
    return pairs


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
