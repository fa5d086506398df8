"""Reading files that may be compressed, damaged, or made to fill the memory.

Whatever a library raises on a damaged file becomes one clear line in `backhand.files.reading`;
`backhand.memory` says how much of the memory a file may ask for.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import IO

from backhand.errors import InputError
from backhand.files import reading

_PIECE = 1 << 20


def open_unpacked(path: Path) -> IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    """Open a file for reading; gzip, bzip2 and xz are recognised by their first bytes.

    What it raises is for `reading` to tell.
    """
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(path)
    return path.open("rb")


def unpack(path: Path, limit: int) -> bytes:
    """Return a file's uncompressed content, of at most ``limit`` bytes.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged or cut off, or holds more: a few compressed kilobytes
        can otherwise fill the memory.
    """
    pieces, size = [], 0
    with reading(path), open_unpacked(path) as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise InputError(f"{path}: unpacks to more than the {limit} bytes that it should")
    return b"".join(pieces)
