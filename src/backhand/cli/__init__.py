"""The command line: `backhand train`, `evaluate`, `predict`, `info` and others.

- `app`: the commands and their options, and what becomes of an error
- `arguments`, `options`: options that commands share, and how their texts become values
- `interrupts`: Ctrl-C
- `train_command`: the options of `train`, and which of its two ways a run goes
- `train_table`: the ensemble of a table; `train_plain`: one plain network
- `runs`, `resume`: the folder of a run, and its checkpoint
- `answers`: what a model of any kind predicts for the rows of a file
- a file for each other command, of its name
"""

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
