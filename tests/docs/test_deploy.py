"""The commands and the C of the pages on deployment, from the table to what the program prints."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("deploy.md", "deploy_c.md")]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_the_pages_from_the_table_to_the_class(tmp_path):
    blocks = [block for page in PAGES for block in FENCED.findall(page.read_text("utf-8"))]
    (program,) = (code for kind, code in blocks if kind == "c")
    (printed,) = (code for kind, code in blocks if kind == "text")
    (tmp_path / "main.c").write_text(program)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    command = tmp_path / "bin" / "backhand"
    command.parent.mkdir()
    start = "import sys; from backhand.cli import main; sys.exit(main())"
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{start}' \"$@\"\n")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    script = "set -e\n" + "".join(code for kind, code in blocks if kind == "bash")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert re.search(r"int8: of \d+ rows \d+ are given another class", done.stdout)
