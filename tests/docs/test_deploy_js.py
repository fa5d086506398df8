"""The page about JavaScript: its page predicts, in Node and in a browser, and its code trains."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from tests.docs.test_markdown import ROOT, blocks
from tests.export.javascript.pages import dom

PAGE = ROOT / "docs" / "deploy_js.md"

DOCUMENT = """\
const elements = { size: { value: "82" }, city: { value: "Oslo" }, price: {} };
globalThis.document = { getElementById: (id) => elements[id] };
await import("./page.mjs");
const first = elements.price.value;
elements.size.value = "30";
document.oninput();
console.log(first, elements.price.value);
"""

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the model that the page's Python writes, and its page."""
    folder = tmp_path_factory.mktemp("page")
    script = "\n".join(blocks(PAGE, "python"))
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, check=True)
    (html,) = blocks(PAGE, "html")
    (folder / "page.html").write_text(html, "utf-8")
    return folder


def node(folder, name):
    return subprocess.run(
        ["node", name], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_the_page_predicts(folder):
    html = (folder / "page.html").read_text("utf-8")
    script = html.partition('<script type="module">')[2].partition("</script>")[0]
    (folder / "page.mjs").write_text(script, "utf-8")
    (folder / "document.mjs").write_text(DOCUMENT, "utf-8")
    assert node(folder, "document.mjs") == "high low\n"


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_the_page_predicts_in_a_browser(folder):
    assert '<output id="price">high</output>' in dom(folder, "page.html")


def test_its_code_shows_what_is_inside_and_takes_a_step(folder):
    (code,) = blocks(PAGE, "js")
    (folder / "inside.mjs").write_text(code, "utf-8")
    printed = node(folder, "inside.mjs")
    assert printed.endswith("true\n")
    assert "Float32Array" in printed
