"""What pages ask a reader to type runs, in their order, on the files that a clone has.

A block of ``text`` below a command has lines that it prints, but for their numbers.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ("README.md", "docs/tour.md", "docs/inside.md", "docs/commands.md", "docs/install.md")
BLOCK = re.compile(r"^```(bash|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {
    "backhand check": "`.ci/run` runs it, and tests/cli a part of it",
    "backhand bench --networks A": "tests/report/test_bench.py measures a small network",
}

WITHOUT = """
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name in ("pandas", "polars"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
"""
"""Leaves out what comes with the tests, and not with the library."""

SHIM = "import sys; from backhand.cli import main; sys.exit(main())"


def steps(page):
    """(language, text) of every line of bash, and of every other block, in order."""
    for language, text in BLOCK.findall((ROOT / page).read_text("utf-8")):
        yield from (
            (language, part) for part in (text.splitlines() if language == "bash" else [text])
        )


def call_of(language, text):
    """How to run a step; None for what is not run here."""
    if language == "python":
        return [sys.executable, "-W", "error", "-c", WITHOUT + text]
    if text.startswith("backhand") and "mnist" not in text and text not in ELSEWHERE:
        return [sys.executable, "-W", "error", "-c", WITHOUT + SHIM, *shlex.split(text)[1:]]
    return None


def masked(text):
    """Its lines without their numbers and spaces."""
    return {re.sub(r"\d[\d.,]*", "#", " ".join(line.split())) for line in text.splitlines()}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_out_without_a_reason(page):
    others = ("pip install ", "python -m venv ", "export ")
    for language, text in steps(page):
        if language == "bash":
            assert text.startswith(("backhand ", *others)), text


@pytest.mark.parametrize("page", PAGES)
def test_everything_runs_as_typed(page, tmp_path):
    """One test for each page: in a folder that has the files of a clone's `examples`."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    printed = ""
    for language, text in steps(page):
        if language == "text":
            assert masked(text) <= masked(printed), f"{page}: not what is printed\n{printed}"
        call = call_of(language, text)
        if call is None:
            continue
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        assert re.fullmatch(r"(12 predictions: \S+\n)?", done.stderr), text
        printed = done.stdout
        if text.startswith("backhand train examples/"):
            accuracy = re.search(r"^accuracy +(\d\.\d+)", printed, re.MULTILINE)
            assert float(accuracy[1]) >= 0.95  # what one types first must be worth showing
        if "import MLPClassifier  # instead" in text:
            assert float(printed) >= 0.97
    for name in re.findall(r"(?:-o|--out|--plot) (runs/\S+)", (ROOT / page).read_text("utf-8")):
        assert (tmp_path / name).exists() or "NAME" in name


def test_tables_are_written_by_the_scripts_that_they_name():
    marks = re.findall(
        r"<!-- table (\w+): python (\S+) --docs -->\n(.*?)<!-- end (\w+) -->", README, re.DOTALL
    )
    wanted = ["tables", "estimators", "training"]
    assert [begin for begin, *_ in marks] == [end for *_, end in marks] == wanted
    for _, script, text, _ in marks:
        assert "--docs" in (ROOT / script).read_text("utf-8")
        assert text.count("\n|") > 2
