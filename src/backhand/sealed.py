"""The one format of our files: arrays and a description, as safetensors with a checksum.

Arrays are tensors, everything else is JSON in the metadata. It is only data, so loading runs no
code. A checksum over both tells an edited or damaged file. Before the arrays are read, the header
must account for every byte of the file, so a small file cannot ask for much memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .errors import InputError, first_line
from .files import as_path, reading, write_whole

Array = Any

FORMAT = "backhand 1"
"""It changes when files of before can no longer be read."""

KEY = "backhand"
LENGTH = 8  # bytes of the number with which a safetensors file begins
LARGEST_HEADER = 1 << 24
"""Bytes of the header. JSON of brackets takes up to 25 times that in memory; a description of
4,000 columns has 1 MB."""
UNFIT = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError),
    ValueError,
)
"""What reading a description raises if it is not what was written."""


def write_sealed(
    path: str | os.PathLike[str], tensors: Mapping[str, Array], about: Mapping[str, Any]
) -> None:
    """Write arrays and a description; the file is there whole or not at all.

    Parameters
    ----------
    path : path-like
    tensors : mapping of str to array
    about : mapping
        JSON-able; its entry "holds" says what the file is. Keys are sorted in the file, so the
        same content is the same file.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the description is longer than can be read.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(a) for name, a in tensors.items()}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    seal = {"format": FORMAT, "about": text, "sha256": checksum(arrays, text)}
    # one entry, since safetensors writes several in any order and the same model is the same file
    content = save(arrays, metadata={KEY: json.dumps(seal)})
    if (size := int.from_bytes(content[:LENGTH], "little")) > LARGEST_HEADER:
        raise InputError(
            f"cannot write {path}: its description takes {size:,} bytes of at most "
            f"{LARGEST_HEADER:,}; shorten names of columns, classes or histories"
        )
    write_whole(path, content)


def read_sealed(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the description that `write_sealed` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is truncated, foreign, edited or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = as_path(path)
    content, seal = _read(path)
    if not seal:
        raise InputError(f"{path} is a safetensors file, but not one of backhand's")
    if seal.get("format") != FORMAT:
        raise InputError(f"{path} has the format {seal.get('format')!s:.60}; this reads {FORMAT}")
    try:
        tensors = load(content)
        text = str(seal.get("about"))
        intact = seal.get("sha256") == checksum(tensors, text)
        about = dict(json.loads(text)) if intact else {}
    except (SafetensorError, *UNFIT) as error:
        raise InputError(
            f"{path} is not a model: truncated or damaged ({first_line(error)})"
        ) from None
    if not intact:
        raise InputError(f"{path} was edited or damaged: its content does not match its checksum")
    return tensors, about


@contextlib.contextmanager
def usable(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn whatever is raised while the content is taken apart into one line of InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path} is not a usable {what}: {error}") from None
    except UNFIT as error:
        raise InputError(f"{path} is not a usable {what}: {error!r}") from None


def _read(path: str) -> tuple[bytes, dict[str, Any]]:
    """The content of a safetensors file, and our entry in its metadata.

    What is no model is refused by its header, before the rest is read.
    """
    with reading(path), open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        start = file.read(LENGTH)
        # JSON behind its own length; then the arrays
        size = int.from_bytes(start, "little")
        if len(start) < LENGTH or size > total - LENGTH:
            raise InputError(f"{path} is not a model: truncated or no safetensors file")
        if size > LARGEST_HEADER:
            raise InputError(
                f"{path} is not a model: its header has {size:,} bytes, more than the "
                f"{LARGEST_HEADER:,} of the longest description"
            )
        header = file.read(size)
        try:
            about = json.loads(header)
            seal = dict(json.loads((about.pop("__metadata__", None) or {}).get(KEY, "{}")))
            arrays = max((int(a["data_offsets"][1]) for a in about.values()), default=0)
        except UNFIT as error:
            raise InputError(
                f"{path} is not a model: truncated or no safetensors file ({first_line(error)})"
            ) from None
        if not seal:
            return b"", seal
        if arrays != total - LENGTH - size:
            raise InputError(
                f"{path} is not a model: truncated or damaged (its arrays end at byte "
                f"{LENGTH + size + arrays:,} of {total:,})"
            )
        file.seek(0)
        return file.read(total), seal


def checksum(tensors: Mapping[str, Array], text: str) -> str:
    """A digest of arrays, by their names, and of a text."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        a = tensors[name]
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(np.ascontiguousarray(a).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
