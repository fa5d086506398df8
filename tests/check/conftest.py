from __future__ import annotations

import pytest

from backhand.check import run_checks
from backhand.check.compare import Comparison


@pytest.fixture(scope="session")
def checks() -> list[Comparison]:
    """Every comparison, made once for the tests of networks and those of kernels."""
    return list(run_checks(networks=80))
