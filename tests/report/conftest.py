from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "browser.py"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; tests that take it are marked."""
    spec = importlib.util.spec_from_file_location("browser", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Browser() as made:
        yield made
