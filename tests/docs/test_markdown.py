"""The documentation: its Python runs, its links lead somewhere, its commands exist.

What some pages ask a reader to type is run in `test_typed.py`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / ".ci" / "run"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TYPED = {"README.md", "tour.md", "inside.md"}  # run in order with their commands
NEEDED = {
    "dask.md": "distributed",
    "joblib_dask.md": "distributed",
    "joblib_ray.md": "ray",
    "joblib_spark.md": "joblibspark",
}
"""Packages that a page needs and not everybody has."""
TALKATIVE = {"joblib_ray.md", "joblib_spark.md"}  # what they start logs to stderr, and warns
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TWO_COMMANDS = ("pip install . && backhand train digits", "pip install '.[test]' && pytest")


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    return [code for kind, code in FENCED.findall(page.read_text("utf-8")) if kind == language]


def commands():
    """Every line of the pages that calls ``backhand``, and the page it stands on."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    if part.split()[:1] == ["backhand"]:
                        yield page, part.split("#")[0].strip()


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    prose = FENCED.sub("", page.read_text("utf-8"))
    for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_there_are_pages():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {page.name for page in PAGES}


def case(page):
    marks = [pytest.mark.campaign] if page.name in TALKATIVE else []
    return pytest.param(page, marks=marks, id=name_of(page))


@pytest.mark.parametrize(
    "page", [case(p) for p in PAGES if blocks(p, "python") and p.name not in TYPED]
)
def test_the_python_of_a_page_runs(page, tmp_path):
    """All blocks of a page one after another, in a process and a folder of their own."""
    if page.name in NEEDED:
        pytest.importorskip(NEEDED[page.name], reason="an extra that not everybody needs")
    quiet = page.name not in TALKATIVE
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page, "python")), "utf-8")
    call = [sys.executable, *(["-W", "error"] if quiet else []), str(script)]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" or not quiet


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    prose = FENCED.sub("", page.read_text("utf-8"))
    for target in LINK.findall(prose):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("command", TWO_COMMANDS)
def test_the_readme_has_the_two_commands(command):
    assert command in (ROOT / "README.md").read_text("utf-8").splitlines()


@pytest.mark.skipif(not RUN.exists(), reason="the source distribution has no .ci")
def test_ci_runs_the_two_commands():
    steps = RUN.read_text("utf-8").splitlines()
    run = [shlex.split(line)[-1] for line in steps if line.startswith("step 'README")]
    assert run == list(TWO_COMMANDS)


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_commands_take_the_options_that_the_pages_give_them(page, command):
    words = command.split()
    start = "import sys; from backhand.cli import main; sys.exit(main())"
    call = [sys.executable, "-c", start, words[1], "--help"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{name_of(page)}: {command}\n{done.stderr}"
    for word in words[2:]:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", done.stdout), f"{command}: no {word}"


def test_pages_do_not_name_one_machine():
    for page in PAGES:
        assert not re.search(r"/(home|root|tmp|work)/", page.read_text("utf-8")), page
