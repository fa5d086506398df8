"""What all tests share: reproducible hypothesis, a generator, and the skip without PyTorch."""

from __future__ import annotations

import importlib.util

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile(
    "backhand", deadline=None, derandomize=True, max_examples=25, database=None
)
hypothesis.settings.load_profile("backhand")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``torch`` where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is not None:
        return
    skip = pytest.mark.skip(reason="PyTorch is not installed: pip install torch==2.13.0")
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(skip)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
