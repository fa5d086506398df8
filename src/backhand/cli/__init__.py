"""The command line: `backhand train`, `evaluate`, `predict`, `info` and others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    The commands are imported here, so that Ctrl-C while they load is one line, too.
    """
    try:
        from .app import run

        code = run(arguments)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)
