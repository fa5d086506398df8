"""Files that are there whole or not at all, written beside and renamed; and what can be read.

This is the one place that writes files, and that says why one cannot be read. A new file has the
permissions that ``open`` would give it, and what a killed process left beside is removed by the
next one that writes there.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from .errors import BackhandError, InputError, first_line

TEMPORARY = re.compile(r"\.backhand-[0-9a-f]{32}\.part")
"""Names of files that are being written. Nothing else that lies beside is ever removed."""

ABANDONED = 3600.0  # seconds after the last write, until a temporary file counts as left over
NOT_REGULAR = "is not a regular file"
MOST_LISTED = 10_000  # files of a folder that are looked at: bounds the time a write takes


def as_path(given: Any) -> str:
    """What was given as the path of a file, a str or a path object, as text.

    Raises
    ------
    InputError
        If it is something else, or no file can be called so.
    """
    named = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(named, str):
        kind = "None" if given is None else f"a value of type {type(given).__name__}"
        raise InputError(f"a path must be a str or a pathlib.Path, got {kind}")
    try:
        possible = "\0" not in named and bool(os.fsencode(named))
    except UnicodeError:  # a lone half of a pair
        possible = False
    if not possible:
        raise InputError(f"no file can be called {named!a}: give another path")
    return named


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or folder. Raises InputError for a name that is too long."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return True


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless it is a regular file, or a link to one: a pipe would have us wait."""
    if not is_there(path):
        raise InputError(f"no such file: {path}")
    if (what := _irregular(os.stat(path))) is not None:
        raise InputError(f"{path}: {what}")


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], fault: str = "is damaged or cut off") -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one line that names the file.

    Parameters
    ----------
    path : path-like
    fault : str
        What the line says of the file where the error is not the system's.

    Raises
    ------
    InputError
        Before anything is read, for what `check_file` refuses; then for every error that is not
        one of ours, since a library may raise anything on a damaged file.
    """
    check_file(path)
    with explained(path, fault):
        yield


@contextlib.contextmanager
def explained(path: str | os.PathLike[str], fault: str) -> Iterator[None]:
    """As `reading`, of a file that need not be on this machine."""
    try:
        yield
    except (BackhandError, ImportError):
        raise
    except MemoryError:
        raise InputError(f"{path}: there is not enough memory to read it") from None
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        raise InputError(f"{path}: {fault} ({first_line(error)})") from error


def temporary_name() -> str:
    """A name for a file or a folder that is being written; nothing has it yet."""
    return f".backhand-{secrets.token_hex(16)}.part"


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str],
    *,
    mode: int | None = None,
    folder: int | None = None,
    durable: bool = True,
) -> Iterator[IO[bytes]]:
    """A new file, which takes the place of another one when the block ends without an exception.

    Parameters
    ----------
    path : path-like
        The file to write or to replace. Its name is all that may be given with ``folder``.
    mode : int, optional
        Permissions of the new file before the umask. By default they are those that ``open`` would
        leave: the old file's if there is one, else 0o666.
    folder : int, optional
        Descriptor of the folder that it is in.
    durable : bool
        Wait until the content is on the disk, so that a power cut cannot leave half of it.

    Raises
    ------
    OSError
        If the file cannot be written, or what has its name is a folder, a device, a pipe, or a link
        to one. What was there before is still there.
    """
    path = as_path(path)
    _check_replaceable(path, folder)
    temporary = os.path.join(os.path.dirname(path), temporary_name())
    old = _permissions(path, folder) if mode is None else None
    first = next(bits for bits in (old, mode, 0o666) if bits is not None)

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, first, dir_fd=folder)  # the system applies the umask

    try:
        with open(temporary, "x+b", opener=opener) as file:
            if old is not None and hasattr(
                os, "fchmod"
            ):  # it is not on Windows, which has no umask either
                os.fchmod(file.fileno(), old)
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    sweep(os.path.dirname(path) or "." if folder is None else folder)


def _check_replaceable(path: str, folder: int | None) -> None:
    """Raise OSError if a file would take the place of a folder, a device or a pipe.

    Nor may it take that of a link to an open file, such as /dev/stdout, wherever that leads today.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        what = _irregular(os.stat(path, dir_fd=folder))
        link = stat.S_ISLNK(os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode)
        if link and os.readlink(path, dir_fd=folder).startswith("/proc/"):
            what = NOT_REGULAR
        if what is not None:
            raise OSError(errno.EINVAL, what)


def _irregular(status: os.stat_result) -> str | None:
    """What is wrong with something that is no regular file; None for one that is."""
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, not a file"
    return None if stat.S_ISREG(status.st_mode) else NOT_REGULAR


def _permissions(path: str, folder: int | None) -> int | None:
    """The permissions of a regular file; None if there is none."""
    try:
        status = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return status.st_mode & 0o777 if stat.S_ISREG(status.st_mode) else None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write beside, then rename. Raises InputError if it cannot be written there."""
    write_together({as_path(path): content})


def write_together(contents: Mapping[str, bytes]) -> None:
    """Write files that belong together: none takes its place before all are written beside.

    Parameters
    ----------
    contents : mapping of str to bytes
        By path.

    Raises
    ------
    InputError
        If one cannot be written there.
    """
    path = ""
    try:
        with contextlib.ExitStack() as written:
            for path, content in contents.items():
                file = written.enter_context(replacing(path))
                file.write(content)
                file.flush()  # a full disk is noticed here
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: str | os.PathLike[str], error: OSError) -> InputError:
    """One line about a file that cannot be written."""
    why = error.strerror or error
    if isinstance(error, FileNotFoundError):
        why = f"make the folder {os.path.dirname(path)} first"
    return InputError(f"cannot write {path}: {why}")


def sweep(folder: str | int, names: re.Pattern[str] = TEMPORARY, age: float = ABANDONED) -> None:
    """Remove the temporary files that killed processes of this user left in a folder.

    Parameters
    ----------
    folder : str or int
        Path or descriptor.
    names : re.Pattern
        What temporary files are called there.
    age : float
        Seconds since the last write, from which a file counts as left over.
    """
    found: list[os.DirEntry[Any]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [
            entry for entry in itertools.islice(entries, MOST_LISTED) if names.fullmatch(entry.name)
        ]
    for entry in found:
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if is_ours(status) and time.time() - status.st_mtime > age:
                os.unlink(entry.path, dir_fd=folder if isinstance(folder, int) else None)


def is_ours(status: os.stat_result) -> bool:
    """Whether it is a regular file of this user, where the system knows whose a file is."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == user()


def user() -> int:
    """The user whose rights this process has; 0, whose all files are, where there are none."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
