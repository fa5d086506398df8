"""C99 files of trained models:

- `helpers`: the small functions that programs need;
- `dialect`: C as a dialect of `export.imperative`;
- `names`: any text as identifiers, strings and comments;
- `table`, `decision`, `selftest`: rows of tables, classes, and sample rows with expected bits;
- `files`: `write_c`, which writes ``NAME.h`` and ``NAME.c``.
"""

from __future__ import annotations

from .files import write_c

__all__ = ["write_c"]
