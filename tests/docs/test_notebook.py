"""The notebook as it is kept: run in order, without errors, and naming no one's folders."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "foundations.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_was_run_from_top_to_bottom(code):
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_it_ran_without_errors_and_warnings(code):
    for cell in code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"


def test_it_checks_what_it_says(code):
    asserting = [cell for cell in code if "assert" in "".join(cell["source"])]
    assert len(asserting) >= 12


def test_it_has_no_copies_of_the_formulas(code):
    """Formulas are shown with inspect.getsource; the notebook defines none."""
    defined = {
        node.name
        for cell in code
        for node in ast.walk(ast.parse("".join(cell["source"])))
        if isinstance(node, ast.FunctionDef)
    }
    assert not {name for name in defined if name.endswith(("_vjp", "_grad"))}


def test_it_names_no_folder_of_the_machine_that_ran_it():
    text = NOTEBOOK.read_text("utf-8")
    assert not [folder for folder in ("/home/", "/root/", "/tmp/", "/work/") if folder in text]


def test_it_is_small_enough_to_keep():
    assert NOTEBOOK.stat().st_size < 500_000


def test_it_runs_without_pytorch(code):
    """PyTorch is imported in one cell, if it is installed."""
    importing = [
        node
        for cell in code
        for node in ast.walk(ast.parse("".join(cell["source"])))
        if isinstance(node, ast.Import) and "torch" in {name.name for name in node.names}
    ]
    top = [node for cell in code for node in ast.parse("".join(cell["source"])).body]
    assert len(importing) == 1
    assert importing[0] not in top


def test_it_takes_a_step_by_hand_before_it_calls_fit(code):
    sources = ["".join(cell["source"]) for cell in code]
    step = next(i for i, source in enumerate(sources) if "w1 -= learning_rate * dw1" in source)
    assert step < next(i for i, source in enumerate(sources) if "backhand.fit(" in source)
    (output,) = code[step]["outputs"]
    scores = re.findall(r"(\d+\.\d)% of the validation rows", "".join(output["text"]))
    assert max(map(float, scores)) > 95


def test_answers_are_folded(notebook):
    answers = [
        cell for cell in notebook["cells"] if "hide-cell" in cell["metadata"].get("tags", [])
    ]
    assert len(answers) == 4
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in answers)


@pytest.mark.notebook
def test_it_runs_where_mnist_is_not(tmp_path):
    """With an empty home and no way out, it goes on with the digits."""
    nowhere = "http://127.0.0.1:9"
    known = {"HOME": str(tmp_path), "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere}
    known |= {name.lower(): value for name, value in known.items() if name != "HOME"}
    kept = {k: v for k, v in os.environ.items() if k not in ("BACKHAND_DATA", "XDG_CACHE_HOME")}
    script = NOTEBOOK.with_name("run_notebook.py")
    call = [sys.executable, str(script), str(NOTEBOOK)]
    done = subprocess.run(
        call, cwd=tmp_path, env={**kept, **known}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
