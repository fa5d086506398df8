"""The command line: `backhand train`, `predict`, `inspect`, `check` and `show`."""

from __future__ import annotations

from .app import main

__all__ = ["main"]
