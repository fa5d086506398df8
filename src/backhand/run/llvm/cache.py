"""Object code kept between processes, in a folder of the user's own.

The cache only ever saves time. Whatever is wrong with it (no home, a read-only or full disk,
garbage in a file, another process at work) means that the code is compiled again, and nothing
else. A file is its checksum and the object code; it is written beside and renamed, so two
processes that write the same entry leave one whole file.

``BACKHAND_CACHE`` moves the folder, and the value ``off`` turns the cache off.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

MAGIC = b"backhand object 1\n"
LARGEST = 256  # entries; the oldest go first
OFF = "off"


@functools.cache
def generator() -> str:
    """A checksum of the code that generates code, of the formulas, and llvmlite's version."""
    import llvmlite

    package = Path(__file__).parents[2]
    digest = hashlib.sha256(f"{llvmlite.__version__} {np.__version__}".encode())
    for part in ("formulas", "plan", "run/llvm"):
        for source in sorted((package / part).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def folder() -> Path | None:
    """The folder of the cache, made if need be; None if there is none that can be trusted.

    Object code is executed, so the folder must belong to this user and be closed to others.
    """
    chosen = os.environ.get("BACKHAND_CACHE", "")
    if chosen == OFF:
        return None
    try:
        path = Path(chosen) if chosen else _users_cache() / "objects"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if hasattr(os, "geteuid"):
            if status.st_uid != os.geteuid():
                return None
            if stat.S_IMODE(status.st_mode) & 0o077:
                path.chmod(0o700)
    except (OSError, RuntimeError):  # RuntimeError: no home folder can be found
        return None
    return path


def _users_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("backhand")


def cached(key: str, build: Callable[[], bytes]) -> bytes:
    """The object code for a key, from the cache or from ``build``.

    Parameters
    ----------
    key : str
        Everything that the object code depends on: processor, features, versions, program.
    build : callable
        Compiles. What it raises goes through.

    Returns
    -------
    bytes
    """
    code = read(key)
    if code is None:
        code = build()
        write(key, code)
    return code


def read(key: str) -> bytes | None:
    """What was written for a key; None if it is not there or is not whole."""
    path = folder()
    return None if path is None else _read(_entry(path, key), key)


def write(key: str, code: bytes) -> None:
    """Keep something for a key, if there is room."""
    path = folder()
    if path is not None:
        with contextlib.suppress(OSError):
            _write(_entry(path, key), key, code)
            _prune(path)


def _entry(path: Path, key: str) -> Path:
    return path / f"{hashlib.sha256(key.encode()).hexdigest()}.o"


def _seal(key: str, code: bytes) -> bytes:
    return hashlib.sha256(MAGIC + key.encode() + b"\0" + code).digest()


def _read(entry: Path, key: str) -> bytes | None:
    """The code, if the file is whole and is what was written for this key."""
    try:
        content = entry.read_bytes()
    except OSError:
        return None
    start = len(MAGIC) + hashlib.sha256().digest_size
    seal, code = content[len(MAGIC) : start], content[start:]
    whole = content.startswith(MAGIC) and code and seal == _seal(key, code)
    return code if whole else None


def _write(entry: Path, key: str, code: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=entry.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + _seal(key, code) + code)
        os.replace(name, entry)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _prune(path: Path) -> None:
    """Remove the entries that were written first, once there are many."""
    entries = [entry for entry in os.scandir(path) if entry.name.endswith(".o")]
    if len(entries) <= LARGEST:
        return
    for entry in sorted(entries, key=lambda e: e.stat().st_mtime)[: -LARGEST // 2]:
        with contextlib.suppress(OSError):
            os.unlink(entry.path)
