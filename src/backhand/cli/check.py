"""`backhand check`: formulas, derivatives and machine code against independent oracles."""

from __future__ import annotations

import time

from ..check import run_checks
from ..check.autodiff import available
from ..check.compare import verdict
from ..report import tables
from .options import check_limits


def run(seed: int, networks: int, full: bool = False) -> int:
    """Print how near each kind of comparison came to failing; return 1 if one failed."""
    check_limits(networks=networks, seed=seed)
    screen = tables.console()
    oracles = ", ".join(available())
    screen.print(
        "Compares formulas with mathematics (mpmath), derivatives with automatic\n"
        f"differentiation ({oracles}) and machine code with NumPy."
    )
    start = time.perf_counter()
    lines = run_checks(seed=seed, networks=networks)
    if screen.is_terminal:
        with screen.status("checking"):
            lines = iter(list(lines))
    total, failed = tables.comparisons(lines, screen, full)
    seconds = time.perf_counter() - start
    screen.print(f"{verdict(total, failed)}, in {seconds:.0f} s")
    return 1 if failed else 0
