"""The errors that people see. Every message names the value, the place and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BackhandError(Exception):
    """Base of every error that backhand raises on purpose."""


class InputError(BackhandError, ValueError):
    """Something that was given is wrong: a value, a shape, a name, a file, a column.

    The command line prints its message as one line and exits with code 2.
    """


def unknown_name(kind: str, name: object, valid: Iterable[str]) -> InputError:
    """Say that ``name`` is no known ``kind``, with the nearest valid name if one is near."""
    names = sorted(valid)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {str(name)!r}: {hint}valid: {', '.join(names)}")


def count(n: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "1,200 rows"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def amount(value: float, digits: int = 4) -> str:
    """Return a number to so many digits, and a large one without an exponent: "42,063"."""
    whole = 9999.5 <= abs(value) < 1e9
    return f"{value:,.0f}" if whole else f"{value:.{digits}g}"


def first_line(error: BaseException) -> str:
    """Return the first line of what another library's error says, or else its kind, to be quoted.

    It is short and printable: what such an error quotes of a file can move a terminal's cursor.
    """
    lines = str(error).strip().splitlines()
    said = printable(lines[0]) if lines else type(error).__name__
    return said if len(said) <= 200 else said[:197] + "..."


def printable(text: str) -> str:
    """Return text with escapes for what no terminal should be sent."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
