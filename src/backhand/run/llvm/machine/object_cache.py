"""Object code kept between processes, in a folder of the user's own.

Object code is executed. So it is only read from files that this user wrote, in a folder that only
this user can write to, and that is asked of descriptors, after opening. The cache never changes the
permissions of a folder that it finds, and only removes files of this user that have its own names.

The cache only saves time. Whatever is wrong with it (no home, an unsafe folder, a full disk,
garbage in a file, another process at work) means that the code is compiled again, and nothing
else. A file is its checksum and the object code, and is replaced as a whole.

``BACKHAND_CACHE`` names another folder to keep it in, and the value ``off`` turns the cache off.
It is off where the system does not tell users apart (Windows).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import itertools
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ....files import MOST_LISTED, is_ours, replacing, sweep

MAGIC = b"backhand object 1\n"
SEALED = len(MAGIC) + hashlib.sha256().digest_size
LARGEST = 256  # entries; the oldest go first
LARGEST_ENTRY = 1 << 28  # bytes; a thousand times what an entry has, and little enough to read
OFF = "off"
ENTRY = re.compile(r"backhand-[0-9a-f]{64}\.o")
FORMER = re.compile(r"\.new-(?=[a-z]*[0-9_])[a-z0-9_]{8}")
"""Temporary files that earlier versions left in the folder that ``BACKHAND_CACHE`` names. Other
files may have such names, so they only go where nobody but this user can write."""

GENERATING = ("expr", "formulas", "plan", "run")
"""The parts of the package that decide what code is generated."""

MOST_LINKS = 40  # on the way to the folder, as Linux has it
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)  # FIFOs wait


class UnsafeError(OSError):
    """Somebody else can decide what a file or a folder holds."""


@functools.cache
def generator(parts: tuple[str, ...] = GENERATING) -> str:
    """A checksum of code that generates code, the formulas among it, and llvmlite's version.

    Parameters
    ----------
    parts : tuple of str
        Folders of the package; ``("",)`` is all of it.
    """
    package = str(Path(__file__).parents[3])
    digest = hashlib.sha256(_llvmlite() + f" {np.__version__}".encode())
    for part in parts:
        for folder, folders, names in os.walk(os.path.join(package, part)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(".py"):
                    source = os.path.join(folder, name)
                    with open(source, "rb", buffering=0) as file:
                        content = file.read()
                    digest.update(f"{source[len(package) :]} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _llvmlite() -> bytes:
    """What llvmlite says of its version, read without importing it."""
    found = importlib.util.find_spec("llvmlite")
    folders = (found.submodule_search_locations if found else None) or ()
    return b"".join(Path(folder, "_version.py").read_bytes() for folder in folders)


def folder() -> Path | None:
    """The folder of the entries, made if need be; None if there is none that can be trusted."""
    chosen = os.environ.get("BACKHAND_CACHE", "")
    if chosen == OFF or not hasattr(os, "geteuid"):
        return None
    try:
        base = Path(chosen).absolute() if chosen else _users_cache()
        path = _made(str(base / f"backhand-{os.geteuid()}"))
        with _opened(path):
            return path
    except UnsafeError as error:
        _report(str(error))
    except OSError:
        pass
    return None


def _users_cache() -> Path:
    from platformdirs import user_cache_path

    path = user_cache_path("backhand")
    if not path.is_absolute():  # it begins with "~", since no home folder can be found
        raise FileNotFoundError(f"{path}: there is no home folder")
    return path


@functools.cache
def _report(why: str) -> None:
    """Say once in a process why nothing is kept. Not a warning: results are what they would be."""
    import logging

    logging.getLogger("backhand").warning(
        "compiled code is not kept between processes, which costs time: %s; "
        "set BACKHAND_CACHE to a folder of your own, or to off",
        why,
    )


def _made(path: str) -> Path:
    """The folder to which an absolute path leads, made if need be.

    Raises
    ------
    UnsafeError
        If somebody else can put another folder in the place of it, of a parent or of a link.
    """
    at, steps, links = os.sep, path.split(os.sep)[::-1], 0
    while steps:  # from the root, so that what is above is safe by then
        step = os.path.join(at, steps.pop())
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.mkdir(step, 0o700)
            status = os.lstat(step)
        _check_owner(step, status, os.geteuid(), 0)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(f"{step}: too many links")
            target = os.readlink(step)
            steps += target.split(os.sep)[::-1]
            at = os.sep if target.startswith(os.sep) else at
        else:
            # where a folder is sticky, as /tmp, nobody can rename what another user has in it
            if status.st_mode & OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
                raise UnsafeError(f"other users can write to {step}")
            at = step
    return Path(at)


def _check_owner(path: str | Path, status: os.stat_result, *users: int) -> None:
    if status.st_uid not in users:
        raise UnsafeError(f"{path} belongs to another user")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the folder of the entries. Raises UnsafeError if others may write to it."""
    descriptor = os.open(path, DIRECTORY)
    try:
        status = os.fstat(descriptor)
        _check_owner(path, status, os.geteuid())
        if status.st_mode & OTHERS_WRITE:
            raise UnsafeError(f"other users can write to {path}")
        yield descriptor
    finally:
        os.close(descriptor)


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
        with contextlib.suppress(OSError), _opened(path.parent) as ours:  # never in /tmp
            sweep(ours, FORMER)


def _entry(path: Path, key: str) -> Path:
    return path / f"backhand-{hashlib.sha256(key.encode()).hexdigest()}.o"


def _seal(key: str, code: bytes) -> bytes:
    return hashlib.sha256(MAGIC + key.encode() + b"\0" + code).digest()


def _read(entry: Path, key: str) -> bytes | None:
    """The code, if the file is this user's and whole, and is what was written for this key."""
    try:
        with _opened(entry.parent) as within:

            def opener(name: str, flags: int) -> int:
                return os.open(name, FILE, dir_fd=within)

            with open(entry.name, "rb", buffering=0, opener=opener) as file:
                status = os.fstat(file.fileno())
                _check_entry(entry, status)
                content = file.read(status.st_size)
    except UnsafeError as error:
        _report(str(error))
        return None
    except OSError:
        return None
    seal, code = content[len(MAGIC) : SEALED], content[SEALED:]
    whole = content.startswith(MAGIC) and code and seal == _seal(key, code)
    return code if whole else None


def _check_entry(entry: Path, status: os.stat_result) -> None:
    """Raise OSError if a file is not one that `_write` made: whatever it is, it is not read."""
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_ENTRY:
        raise OSError(f"{entry} is no entry")
    _check_owner(entry, status, os.geteuid())
    if status.st_mode & OTHERS_WRITE or status.st_nlink != 1:
        raise UnsafeError(f"{entry} can be changed from elsewhere")


def _write(entry: Path, key: str, code: bytes) -> None:
    """Write an entry in place of an older one. Raises OSError if that cannot be, or is no entry."""
    with _opened(entry.parent) as within:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(entry.name, dir_fd=within, follow_symlinks=False)
            if not is_ours(status):
                raise OSError(f"{entry} is somebody else's")
        with replacing(entry.name, mode=0o600, folder=within, durable=False) as file:
            file.write(MAGIC + _seal(key, code) + code)


def _prune(path: Path) -> None:
    """Remove the entries that were written first, of whatever version, once there are many."""
    with _opened(path) as within:
        with os.scandir(within) as listed:
            names = [e.name for e in itertools.islice(listed, MOST_LISTED)]
        entries = [name for name in names if ENTRY.fullmatch(name)]
        if len(entries) <= LARGEST:
            return
        written = {}
        for name in entries:
            with contextlib.suppress(FileNotFoundError):  # another process removed it
                status = os.stat(name, dir_fd=within, follow_symlinks=False)
                if is_ours(status):
                    written[name] = status.st_mtime_ns
        oldest = sorted(written, key=written.__getitem__)
        for name in oldest[: -LARGEST // 2] if len(oldest) > LARGEST else ():
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=within)


def packed(parts: Sequence[bytes]) -> bytes:
    """Several byte strings as one."""
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def unpacked(whole: bytes) -> list[bytes]:
    """What `packed` put together."""
    parts, at = [], 0
    while at < len(whole):
        (size,) = struct.unpack_from("<Q", whole, at)
        parts.append(whole[at + 8 : at + 8 + size])
        at += 8 + size
    return parts
