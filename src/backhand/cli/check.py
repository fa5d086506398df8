"""`backhand check`: the proofs, as a table."""

from __future__ import annotations

import time

from ..errors import InputError
from ..proof import run_checks
from ..proof.autodiff import available
from ..report import tables


def run(seed: int, networks: int) -> int:
    """Print every comparison; return 1 if one failed."""
    if networks < 1:
        raise InputError(f"--networks must be at least 1, got {networks}")
    if seed < 0:
        raise InputError(f"--seed must be at least 0, got {seed}")
    screen = tables.console()
    start = time.perf_counter()
    oracles = ", ".join(available())
    total, failed = tables.comparisons(run_checks(seed=seed, networks=networks), screen)
    seconds = time.perf_counter() - start
    verdict = f"{failed} FAILED" if failed else "all passed"
    screen.print(
        f"{total} comparisons, {verdict}, in {seconds:.1f} s; derivatives against {oracles}"
    )
    return 1 if failed else 0
