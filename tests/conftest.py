"""What all tests share: processes side by side, reproducible hypothesis, what cannot run here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile

import hypothesis
import numpy as np
import pytest

NEEDS = {
    "torch": ("torch", "PyTorch is not installed (pip install torch==2.13.0)"),
    "notebook": ("nbclient", "what runs notebooks is not installed (pip install '.[dev]')"),
    "documentation": ("myst_nb", "what builds pages is not installed (pip install '.[docs]')"),
}
"""For each marker, the package that its tests need, and the reason if it is missing."""

MISSING = {
    marker: why for marker, (package, why) in NEEDS.items() if not importlib.util.find_spec(package)
}
if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
    MISSING["browser"] = "Chromium is not installed (apt-get install chromium)"

hypothesis.settings.register_profile(
    "backhand", deadline=None, derandomize=True, max_examples=25, database=None
)
hypothesis.settings.load_profile("backhand")


def pytest_configure(config: pytest.Config) -> None:
    """Set what the processes that run tests, and those that tests start, find around them.

    They share one object cache, new and empty, instead of the user's. They run side by side, so
    each has one BLAS thread; the threads of our own code stay as they are, since they are tested.
    """
    if hasattr(config, "workerinput"):
        return
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if not os.environ.get("BACKHAND_CACHE"):
        folder = os.environ["BACKHAND_CACHE"] = tempfile.mkdtemp(prefix="backhand-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_report_header() -> list[str]:
    """Say in one line what is left out and why."""
    return [f"left out: tests marked {marker}, since {why}" for marker, why in MISSING.items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, instead of skipping each."""
    out = [item for item in items if any(map(item.get_closest_marker, MISSING))]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if not any(map(item.get_closest_marker, MISSING))]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: all processes must collect the same, and gzip writes the time."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 20 else None


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
