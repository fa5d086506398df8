"""Run a notebook from top to bottom, and fail if a cell fails or writes to standard error.

    python docs/run_notebook.py docs/foundations.ipynb            # check
    python docs/run_notebook.py docs/foundations.ipynb --write    # keep the outputs in the file

Warnings go to standard error, so a warning is a failure as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SECONDS_A_CELL = 300


def complaints(notebook: Any) -> list[str]:
    """What a notebook's outputs hold that they should not: one line for each."""
    return [
        f"cell {cell.execution_count} writes to standard error: {output.text.strip()}"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the outputs in the file")
    given = parser.parse_args(arguments)
    notebook = nbformat.read(given.notebook, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    start = time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"{given.notebook}: {error}", file=sys.stderr)
        return 1
    found = complaints(notebook)
    if found:
        print(*(f"{given.notebook}: {line}" for line in found), sep="\n", file=sys.stderr)
        return 1
    if given.write:
        # which Python ran it is no part of the text
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, given.notebook)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{given.notebook}: {cells} cells in {time.perf_counter() - start:.0f} s, no complaints")
    return 0


if __name__ == "__main__":
    sys.exit(main())
