"""The command line: `backhand train`, `predict`, `inspect`, `check`, `show` and `bench`."""

from __future__ import annotations

from .app import main

__all__ = ["main"]
