"""Checks for entries that come from a file which somebody may have edited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from backhand.errors import InputError, unknown_name


def entries(d: object, where: str, names: Iterable[str]) -> None:
    """Raise InputError unless ``d`` is a mapping with exactly the entries ``names``."""
    if not isinstance(d, Mapping):
        raise InputError(f"{where}: must be a mapping, not {type(d).__name__}")
    wanted = set(names)
    for name in sorted(wanted - set(d)):
        raise InputError(f"{where}: {name!r} is missing")
    for name in sorted(map(str, set(d) - wanted)):
        raise InputError(f"{where}: {name!r} is not known")


def finite(value: object, where: str, *, above: float | None = None) -> float:
    """Return a finite float (greater than ``above``), or raise InputError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: must be a number, not {_short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{where}: must be finite, not {number}")
    if above is not None and not number > above:
        raise InputError(f"{where}: must be greater than {above}, not {number}")
    return number


def positive_int(value: object, where: str) -> int:
    """Return an int of at least 1, or raise InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{where}: must be an integer of at least 1, not {_short(value)}")
    return value


def natural(value: object, where: str) -> int:
    """Return an int of at least 0, or raise InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{where}: must be an integer of at least 0, not {_short(value)}")
    return value


def listed(value: object, where: str, length: int | None = None) -> list[Any]:
    """Return a list (of ``length`` entries, if it is given), or raise InputError."""
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: must be a list, not {_short(value)}")
    if length is not None and len(value) != length:
        raise InputError(f"{where}: must have {length} entries, not {len(value)}")
    return list(value)


def flag(value: object, where: str) -> bool:
    """Return a bool, or raise InputError."""
    if not isinstance(value, bool):
        raise InputError(f"{where}: must be true or false, not {_short(value)}")
    return value


def text(value: object, where: str) -> str:
    """Return a str that can be written as UTF-8, or raise InputError."""
    if not isinstance(value, str):
        raise InputError(f"{where}: must be text, not {_short(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: {ascii(value)[:60]} is not valid Unicode") from None
    return value


def one_of(value: Any, kind: str, valid: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``valid``, or raise InputError with the nearest."""
    if not isinstance(value, str) or value not in valid:
        raise unknown_name(kind, _short(value) if not isinstance(value, str) else value, valid)
    return value


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
