"""What the README asks a reader to type runs, in its order, on the files that a clone has."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ONLINE = "# needs the network"
ELSEWHERE = {
    "backhand check": "`.ci/run` runs it, and tests/cli a part of it",
    "backhand bench --networks A": "tests/report/test_bench.py measures a small network",
}

SHIM = "import sys; from backhand.cli import main; sys.exit(main())"


def steps():
    """(language, text) of every Python block and every line of a bash block, in order."""
    for language, text in BLOCK.findall(README):
        yield from (
            (language, part) for part in (text.splitlines() if language == "bash" else [text])
        )


def typed():
    """The steps that are run here."""
    for language, text in steps():
        if language == "python":
            yield [sys.executable, "-W", "error", "-c", text]
        elif text.startswith("backhand") and not text.endswith(ONLINE) and text not in ELSEWHERE:
            yield [sys.executable, "-W", "error", "-c", SHIM, *shlex.split(text)[1:]]


def test_nothing_is_left_out_without_a_reason():
    lines = [text for language, text in steps() if language == "bash"]
    assert set(ELSEWHERE) <= set(lines)
    for line in lines:
        assert line.startswith(("backhand ", "pip install ")), line
        assert ("mnist" in line) == line.endswith(ONLINE), f"{line}: does it download?"


def test_everything_runs_as_typed(tmp_path):
    """One test, so that it runs once: in a folder that has the files of a clone's `examples`."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    printed = {}
    for call in typed():
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{call[4:]}\n{done.stderr}"
        assert re.fullmatch(r"(12 predictions: \S+\n)?", done.stderr), call[4:]
        printed[" ".join(call[4:])] = done.stdout
    for name in ("runs/penguins/model.safetensors", "runs/species.csv", "runs/layers.png"):
        assert (tmp_path / name).is_file()
    (score,) = (text for call, text in printed.items() if "import MLPClassifier" in call)
    assert float(score) >= 0.97  # what one writes first must be worth showing
    (training,) = (text for call, text in printed.items() if " train " in f" {call}")
    assert float(re.search(r"^accuracy +(\d\.\d+)", training, re.MULTILINE)[1]) >= 0.95


def test_tables_are_written_by_the_scripts_that_they_name():
    marks = re.findall(
        r"<!-- table (\w+): python (\S+) --docs -->\n(.*?)<!-- end (\w+) -->", README, re.DOTALL
    )
    wanted = ["tables", "estimators", "training"]
    assert [begin for begin, *_ in marks] == [end for *_, end in marks] == wanted
    for _, script, text, _ in marks:
        assert "--docs" in (ROOT / script).read_text("utf-8")
        assert text.count("\n|") > 3
