"""C99 files of trained models:

- `dialect`: C as a dialect of `export.imperative`, with its small functions;
- `files`: `write_c`, which writes ``NAME.h`` and ``NAME.c``.
"""

from __future__ import annotations

from .files import write_c

__all__ = ["write_c"]
