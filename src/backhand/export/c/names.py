"""Any text as identifiers, strings and comments of C."""

from __future__ import annotations

import re
import unicodedata

from ...errors import InputError

_OF_C = """auto break case char const continue default do double else enum extern float for goto if
inline int long register restrict return short signed sizeof static struct switch typedef union
unsigned void volatile while alignas alignof bool constexpr false nullptr static_assert
thread_local true typeof"""
_OF_OTHERS = """asm main and catch class delete explicit export friend mutable namespace new not
operator or private protected public template this throw try using virtual xor"""
_HEADERS = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time
uchar wchar wctype"""
_OFTEN_DEFINED = """linux unix i386 vax sun mips hpux NULL EOF NAN INFINITY I errno stdin stdout
stderr signals slots foreach emit near far pascal small interface min max"""

KEYWORDS = frozenset((_OF_C + " " + _OF_OTHERS).split())
"""Words of C, and of C++ and newer C."""

HEADERS = frozenset(_HEADERS.split())
"""Headers of C: a file of this name could be included in place of one."""

MACROS = frozenset(_OFTEN_DEFINED.split())
"""Words that compilers, or headers that are often there, define as something else."""

LONGEST = 41
"""Letters of a prefix, and of what people recognise a text by, at most."""

LONGEST_TEXT = 4095
"""Characters that a string may have in C99."""


def checked_prefix(prefix: str) -> str:
    """The prefix of every name in a file.

    Raises
    ------
    InputError
        If it is no identifier of C, or a word or a header that means something else.
    """
    fits = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix) and len(prefix) <= LONGEST
    if not fits or prefix.lower() in KEYWORDS | HEADERS:
        raise InputError(
            f"{prefix!r:.60} cannot begin the names in a C file: take at most {LONGEST} letters, "
            "digits and _, a letter first, no suffix, and no word or header of C"
        )
    return prefix


def near_identifier(text: str, otherwise: str) -> str:
    """An identifier that people recognise the text by, or ``otherwise`` if it has no letters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    found = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:LONGEST].rstrip("_")
    if not found:
        return otherwise
    return f"n{found}" if found[0].isdigit() else found


def string(text: str) -> str:
    """A text as a string of C, in UTF-8.

    Raises
    ------
    InputError
        If it is longer than C allows, or has a character 0.
    """
    found = text.encode("utf-8", "surrogatepass")
    if len(found) > LONGEST_TEXT or 0 in found:
        raise InputError(
            f"{text!r:.40} cannot be a text in C: it must have at most {LONGEST_TEXT} bytes, none 0"
        )
    return '"' + "".join(map(_character, found)) + '"'


def _character(byte: int) -> str:
    plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
    return chr(byte) if plain else f"\\{byte:03o}"


def comment(text: str) -> str:
    """A text within a comment: ends none, and begins none."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "_" for c in text[:200])
    plain = plain.replace("*/", "* /").replace("/*", "/ *")
    return re.sub(r"\?(?=\?)", "? ", plain)  # trigraphs
