"""Reading files that may be compressed, whatever their names say."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO

from backhand.errors import InputError

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)

_PIECE = 1 << 20


def open_unpacked(path: Path) -> IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    """Open a file for reading; gzip, bzip2 and xz are recognised by their first bytes.

    Raises
    ------
    InputError
        If the file is not there or may not be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if start.startswith(b"\x1f\x8b"):
            return gzip.open(path)
        if start.startswith(b"BZh"):
            return bz2.open(path)
        if start.startswith(b"\xfd7zXZ\x00"):
            return lzma.open(path)
        return path.open("rb")
    except OSError as error:
        raise cannot_read(path, error) from None


def unpack(path: Path, limit: int) -> bytes:
    """Return a file's uncompressed content, of at most ``limit`` bytes.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged or cut off, or holds more: a few compressed kilobytes
        can otherwise fill the memory.
    """
    content = bytearray()
    with open_unpacked(path) as file:
        while True:
            try:
                piece = file.read(_PIECE)
            except UNREADABLE as error:
                raise cannot_read(path, error) from None
            if not piece:
                return bytes(content)
            content += piece
            if len(content) > limit:
                raise InputError(f"{path}: unpacks to more than the {limit} bytes that it should")


def cannot_read(path: Path, error: BaseException) -> InputError:
    """Say in one line why ``path`` cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"no such file: {path}")
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return InputError(f"{path}: is a folder, not a file")
    if isinstance(error, OSError) and error.strerror:
        return InputError(f"{path}: cannot be read: {error.strerror}")
    return InputError(f"{path}: is damaged or cut off ({str(error).strip() or 'end of file'})")
