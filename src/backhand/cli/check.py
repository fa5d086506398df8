"""`backhand check`: the proofs, as a table."""

from __future__ import annotations

import time

from ..proof import run_checks
from ..proof.autodiff import available
from ..report import tables
from .options import check_limits


def run(seed: int, networks: int) -> int:
    """Print every comparison; return 1 if one failed."""
    check_limits(networks=networks, seed=seed)
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
