"""The examples of docstrings run and print what they say, and all that is public is documented."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import backhand

SOURCE = Path(backhand.__file__).parent
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "api.rst"


def module_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


WITH_EXAMPLES = [
    module_of(path)
    for path in sorted(SOURCE.rglob("*.py"))
    if re.search(r"^ *>>> ", path.read_text("utf-8"), re.MULTILINE)
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("module", ["", ".check", ".datasets", ".export", ".layers", ".serve"])
def test_what_is_public_stands_in_the_reference(module):
    names = set(importlib.import_module(f"backhand{module}").__all__)
    names -= {"__version__", "layers", "NAMES", "Task"}
    listed = set(re.findall(r"^   (?:[\w.]+\.)?(\w+)$", REFERENCE.read_text("utf-8"), re.MULTILINE))
    assert names <= listed
