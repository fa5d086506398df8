"""Files of arrays and a description: safetensors, sealed with a checksum.

Arrays are tensors, everything else is JSON in the metadata. It is data alone, so loading runs no
code. A checksum over both tells an edited or damaged file.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import write_whole

Array = Any

KEY = "backhand"
LARGEST_HEADER = 100_000_000  # bytes; what the safetensors format allows

UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a description raises if it is not what was written."""


def write_sealed(
    path: str | os.PathLike[str], tensors: Mapping[str, Array], text: str, kind: str
) -> None:
    """Write arrays and a description; the file is there whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    from safetensors.numpy import save

    seal = {"format": kind, "model": text, "sha256": _checksum(tensors, text)}
    # one entry, since safetensors writes several in any order and the same model is the same file
    write_whole(path, save(dict(tensors), metadata={KEY: json.dumps(seal)}))


def read_sealed(path: Path, kind: str) -> tuple[dict[str, Array], str]:
    """The arrays and the description that `write_sealed` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is truncated, foreign, edited or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content, seal = _read(path)
    if not seal:
        raise InputError(f"{path} is a safetensors file, but not a backhand model")
    if seal.get("format") != kind:
        raise InputError(f"{path} is a {seal.get('format')!r}; this reads {kind!r}")
    try:
        tensors = load(content)
        text = str(seal.get("model"))
        intact = seal.get("sha256") == _checksum(tensors, text)
    except (SafetensorError, *UNFIT) as error:
        raise InputError(f"{path} is not a model: truncated or damaged ({error})") from None
    if not intact:
        raise InputError(f"{path} was edited or damaged: its content does not match its checksum")
    return tensors, text


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The content of a safetensors file, and our entry in its metadata.

    What is no model is refused by its first bytes, before the rest is read.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"cannot read {path}: it is not a regular file")
            start = file.read(8)
            # JSON behind its own length, eight bytes; then the arrays
            size = int.from_bytes(start, "little")
            if len(start) < 8 or size > min(status.st_size - 8, LARGEST_HEADER):
                raise InputError(f"{path} is not a model: truncated or no safetensors file")
            header = file.read(size)
            try:
                metadata = json.loads(header).get("__metadata__") or {}
                seal = dict(json.loads(metadata.get(KEY, "{}")))
            except UNFIT as error:
                raise InputError(
                    f"{path} is not a model: truncated or no safetensors file ({error})"
                ) from None
            return start + header + (file.read() if seal else b""), seal
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def _checksum(tensors: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        a = tensors[name]
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()
