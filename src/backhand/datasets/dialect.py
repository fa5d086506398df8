"""How a file of text is written: its encoding, what separates its columns, and their names."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from backhand.datasets.files import open_unpacked
from backhand.errors import InputError, printable
from backhand.memory import check_size, most_bytes

SEPARATORS = (",", ";", "\t", "|")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|"}

# Characters of a file that must have the header whole; and rows that tell what separates columns.
_HEAD = 1 << 24
_ROWS = 20
_PIECE = 1 << 20
# Bytes of the offset that Arrow keeps for each text.
OFFSET = 4

_UTF8 = "utf-8"
_BYTE_ORDERS = {  # the longer first, since the others begin it
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Excel's own way to say what separates columns, in a line before the header.
_SAID = re.compile("\ufeff?sep=(.)(?:\r\n|\r|\n)")


class Dialect(NamedTuple):
    """What has to be known of a file before its rows can be read.

    Attributes
    ----------
    names : tuple of str
        The columns', without surrounding spaces; "" where the header has none.
    separator : str
        One character.
    encoding : str
        As Python names it.
    header : int
        The row that the header is, 1 or, after a line "sep=;", 2.
    """

    names: tuple[str, ...]
    separator: str
    encoding: str
    header: int


def checked_separator(separator: object) -> str | None:
    """Return one character that may separate columns (or None), or raise InputError."""
    if separator is None:
        return None
    given = _NAMED.get(separator.lower(), separator) if isinstance(separator, str) else separator
    # Arrow takes one byte.
    if not isinstance(given, str) or len(given) != 1 or given in '"\r\n\0' or not given.isascii():
        raise InputError(
            f"separator {separator!r}: must be one ASCII character, such as ';' or tab"
        )
    return given


def checked_encoding(encoding: object) -> str | None:
    """Return Python's name of an encoding of text (or None), or raise InputError."""
    if encoding is None:
        return None
    try:
        if not isinstance(encoding, str):
            raise LookupError
        "".encode(encoding)  # which refuses what is no encoding of text, such as base64
        name = codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        raise InputError(
            f"unknown encoding {encoding!r}: name one such as utf-8, cp1252, latin-1 or utf-16"
        ) from None
    return _UTF8 if name == "utf-8-sig" else name


def find_dialect(
    path: Path, separator: str | None, encoding: str | None, usual: str = ","
) -> Dialect:
    """Find out how a file is written.

    Parameters
    ----------
    path : Path
    separator, encoding : str or None
        If they are known; None finds the separator that divides the first rows alike, and takes
        UTF-8, or UTF-16 where the first bytes say so.
    usual : str
        The separator to take where several, or none, divide the rows alike.

    Raises
    ------
    InputError
        For an empty file, a blank first line, a header without names or of one column where
        another separator finds several.
    """
    encoding = encoding or _found_encoding(path)
    with open_text(path, encoding) as file:
        head = file.read(_HEAD)
    text = head.decode(_UTF8, errors="replace")  # `checked_text` says where it is not UTF-8
    said = _SAID.match(text)
    if said is not None:
        separator, text = separator or said[1], text[said.end() :]
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InputError(f"{path}: is empty")
    lines = io.StringIO(text, newline="")
    if not next(lines).strip():
        # Arrow would take a leading blank line for the header.
        raise InputError(f"{path}: the first line is blank; it must name the columns")
    found = _divide(text, usual)
    if separator is None:
        separator = found or usual
    try:
        names = next(_records(text, separator))
    except csv.Error as error:
        raise InputError(f"{path}: the header cannot be read ({error})") from None
    if len(names) == 1 and found is not None and found != separator:
        shown, better = printable(names[0][:40]), "tab" if found == "\t" else found
        raise InputError(
            f"{path}: with separator {separator!r} it has one column, {shown!r}; "
            f"its rows are divided by --separator {better!r}"
        )
    names = [name.strip() for name in names]
    if not any(names):
        raise InputError(f"{path}: the first row names no column")
    return Dialect(tuple(names), separator, encoding, 1 if said is None else 2)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """Return the rows of text that are not blank."""
    return filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def _divide(text: str, usual: str) -> str | None:
    """Return the separator that divides the first rows into as many columns as the header.

    Where several do, the usual one is taken, or else that of most columns; None where none does.
    """
    best, most = None, (0.0, False, 1)
    for mark in SEPARATORS:
        rows: list[list[str]] = []
        with contextlib.suppress(csv.Error):  # a text that is too long for it
            rows.extend(itertools.islice(_records(text[:_PIECE], mark), _ROWS))
        if not rows:
            continue
        if len(text) > _PIECE and len(rows) > 1:
            rows.pop()  # which may be cut off
        columns = len(rows[0])
        alike = sum(len(row) == columns for row in rows) / len(rows)
        rank = (alike, mark == usual, columns)
        if columns > 1 and rank > most:
            best, most = mark, rank
    return best


def _found_encoding(path: Path) -> str:
    with open_unpacked(path) as file:
        start = file.read(4)
    return next((name for mark, name in _BYTE_ORDERS.items() if start.startswith(mark)), _UTF8)


def open_text(path: Path, encoding: str) -> Any:
    """Open a file, unpacked, as a binary stream of UTF-8 whatever its encoding is."""
    file = open_unpacked(path)
    if encoding == _UTF8:
        return file
    return io.BufferedReader(_Recoded(path, file, encoding), _PIECE)


class _Recoded(io.RawIOBase):
    """A binary stream of text in some encoding, as UTF-8."""

    def __init__(self, path: Path, file: Any, encoding: str) -> None:
        self._path, self._file, self._encoding = path, file, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")
        self._lines = 1

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            piece = self._file.read(_PIECE)
            try:
                text = self._decoder.decode(piece, final=not piece)
                self._ready = memoryview(text.encode(_UTF8))
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(self._encoding, errors="ignore")
                line = self._lines + before.count("\n")
                raise _undecoded(self._path, line, error, self._encoding) from None
            except UnicodeError as error:
                raise InputError(f"{self._path}: is not {self._encoding} text ({error})") from None
            self._lines += text.count("\n")
            if not piece:
                break
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n


def _undecoded(path: Path, line: int, error: UnicodeDecodeError, encoding: str) -> InputError:
    byte = error.object[error.start]
    name, such = ("UTF-8", "cp1252") if encoding == _UTF8 else (encoding, "utf-8")
    return InputError(
        f"{path}, line {line}: byte 0x{byte:02x} is not {name} text; "
        f"name the file's encoding, such as --encoding {such}"
    )


def checked_text(path: Path, encoding: str, columns: int) -> int:
    """Check a file's encoding and its size; return how many lines at its end are blank."""
    limit = most_bytes(path)
    decoder = codecs.getincrementaldecoder(_UTF8)()
    size = lines = 0
    ends = b""  # the line ends that the text so far closes with
    with open_text(path, encoding) as file:
        while True:
            piece = file.read(_PIECE)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line = lines + error.object[: error.start].count(b"\n") + 1
                raise _undecoded(path, line, error, _UTF8) from None
            if not piece:
                ends = ends.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                return max(0, len(ends) - 1)
            size += len(piece)
            lines += piece.count(b"\n") or piece.count(b"\r")
            check_size(size + OFFSET * columns * lines, limit, str(path), "unpacks to a table of")
            text = piece.rstrip(b"\r\n")
            ends = piece[len(text) :] if text else ends + piece
