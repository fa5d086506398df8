"""The IDX format: a magic number with type and rank, the sizes, then the values.

Bytes 0 and 1 are zero, byte 2 is the type (0x08 for unsigned bytes), byte 3 the number of
dimensions; a big-endian 32-bit size follows for each, and then the values in C order.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError

UNSIGNED_BYTES = 0x08
_TYPES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}


def read_idx(content: bytes, name: str, rank: int | None = None) -> NDArray[np.uint8]:
    """Read an uncompressed IDX file of unsigned bytes.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        What messages call it.
    rank : int, optional
        The number of dimensions that it must have.

    Returns
    -------
    values : ndarray of uint8
        Read-only, with the shape that the file states; it shares ``content``'s memory.

    Raises
    ------
    InputError
        For another magic number, type or rank, and if the file is shorter or longer than its sizes
        say.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise InputError(f"{name}: is not an IDX file (it starts with {content[:4].hex(' ')!r})")
    if content[2] != UNSIGNED_BYTES:
        what = _TYPES.get(content[2], f"type 0x{content[2]:02x}")
        raise InputError(f"{name}: holds {what}; only unsigned bytes (type 0x08) are read")
    found = content[3]
    if found == 0 or (rank is not None and found != rank):
        wanted = f"{rank}" if rank is not None else "1 or more"
        raise InputError(f"{name}: has {found} dimensions, expected {wanted}")
    start = 4 + 4 * found
    if len(content) < start:
        raise InputError(f"{name}: ends inside its header, after {len(content)} bytes")
    shape = struct.unpack(f">{found}I", content[4:start])
    # Python integers: sizes from a damaged file can multiply to more than 64 bits.
    size = math.prod(shape)
    if len(content) - start != size:
        raise InputError(
            f"{name}: holds {len(content) - start} values, its header says "
            f"{' x '.join(map(str, shape))} = {size}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
