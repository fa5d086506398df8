"""The script that runs a notebook: what it lets pass and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "run_notebook.py"

pytestmark = pytest.mark.notebook


@pytest.fixture
def run(tmp_path):
    """Run a notebook of one cell; return what the script says and the file."""
    import nbformat

    def run(source, *options):
        path = tmp_path / "some.ipynb"
        cells = [nbformat.v4.new_code_cell(source)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        call = [sys.executable, str(SCRIPT), str(path), *options]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return done, nbformat.read(path, as_version=4).cells[0]

    return run


def test_output_is_kept_when_asked_for(run):
    done, cell = run("print(6 * 7)", "--write")
    assert done.returncode == 0, done.stderr
    assert "1 cells" in done.stdout
    assert cell.outputs[0].text == "42\n"
    assert "execution" not in cell.metadata  # no times of day in the file


def test_the_file_is_left_alone_otherwise(run):
    done, cell = run("print(6 * 7)")
    assert done.returncode == 0, done.stderr
    assert cell.outputs == []


def test_a_failing_cell_fails(run):
    done, cell = run("assert 6 * 7 == 41, 'not quite'", "--write")
    assert done.returncode == 1
    assert "not quite" in done.stderr
    assert cell.outputs == []


def test_a_warning_fails(run):
    done, cell = run("import warnings; warnings.warn('mind the gap')", "--write")
    assert done.returncode == 1
    assert "mind the gap" in done.stderr
    assert cell.outputs == []
