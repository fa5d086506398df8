"""How much memory this process may use, and how much of it a file may ask for."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
from pathlib import Path
from typing import Any

from .control_groups import places
from .errors import InputError

VARIABLE = "BACKHAND_MEMORY"
# A table, its prepared inputs and their split into three parts are in memory side by side, so each
# may have a quarter.
PARTS_OF_MEMORY = 4
# A compressed file may always hold this much, and more only if that is no more than a given
# multiple of its own size: real tables shrink 3 to 20 times, a bomb a thousand times or more.
ALWAYS_ALLOWED = 1 << 28
MOST_EXPANSION = 100

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of control groups, versions 2 and 1


def most_bytes(path: str | os.PathLike[str] | None = None) -> int:
    """Return how many bytes of memory a table, or the inputs made of it, may take.

    A quarter of the memory that this process may use, and for a file no more than the larger of
    256 MB and 100 times its own size. BACKHAND_MEMORY in the environment (such as 8G) replaces
    both.

    Raises
    ------
    InputError
        If BACKHAND_MEMORY is not a size.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return as_bytes(given, VARIABLE)
    allowed = _memory() // PARTS_OF_MEMORY
    if path is None:
        return allowed
    return min(allowed, max(ALWAYS_ALLOWED, MOST_EXPANSION * os.path.getsize(path)))


def as_bytes(given: Any, name: str) -> int:
    """Return a size, such as 8G or a number of bytes, in bytes; InputError for anything else."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    parts = re.fullmatch(r"(\d{1,18})\s*([kmgt]?)(i?b)?", str(given).strip().lower())
    if not isinstance(given, str) or parts is None:
        raise InputError(f"{name}={given}: must be a size such as 8G")
    return int(parts[1]) * _UNITS[parts[2]]


def check_size(size: int, limit: int, where: str, what: str) -> None:
    """Raise InputError if ``size`` bytes are more than ``limit``, which `most_bytes` returned."""
    if size > limit:
        raise InputError(
            f"{where}: {what} more than {max(1, limit >> 20):,} MB of memory; "
            f"if that is meant, allow it with {VARIABLE}={(2 * size >> 20) + 1}M"
        )


@functools.cache
def _memory() -> int:
    """Return the bytes that this process may use: the machine's, its container's, `ulimit -v`."""
    found = [1 << 33]  # where nobody can be asked
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not on Windows
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for place, name in itertools.product(places("memory"), _LIMITS):
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            found.append(int(Path(place, name).read_text()))
    with contextlib.suppress(ImportError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        found += [soft] if soft != resource.RLIM_INFINITY else []
    return min(size for size in found if size > 0)
