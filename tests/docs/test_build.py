"""The script that builds the documentation: it finds links that lead nowhere."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "build.py"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_that_lead_nowhere_are_found(build, tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "theme.html").write_text('<a href="{{ later }}">', "utf-8")
    (tmp_path / "b.html").write_text('<h1 id="there">', "utf-8")
    (tmp_path / "a.html").write_text(
        '<a href="b.html"> <a href="b.html#there"> <a href="#"> <img src="no.png">'
        ' <a href="b.html#gone"> <a href="https://example.org/"> <a href="data:text/plain,x">',
        "utf-8",
    )
    broken, external = build.links(tmp_path)
    assert broken == ["a.html links to no.png", "a.html links to b.html#gone"]
    assert external == ["https://example.org/"]


@pytest.mark.documentation
def test_the_documentation_builds_and_loads_nothing_from_elsewhere(build, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for path in tmp_path.rglob("*.html"):
        if "_static" not in path.parts:
            assert not [t for t in build.Page(path).loaded if t.startswith(("http:", "https:"))]
