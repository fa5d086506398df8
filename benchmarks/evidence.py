"""Files of records, one JSON object a line, and what a machine and a paired test say."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import permutation_test


def read(file: Path) -> list[dict[str, Any]]:
    """The records of a file; none if there is no file."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def append(file: Path, record: dict[str, Any]) -> None:
    """Add a record to a file, which is made if need be."""
    with file.open("a", encoding="utf-8") as stream:
        print(json.dumps(record), file=stream, flush=True)


def machine(packages: Sequence[str]) -> str:
    """What something was measured on, and with which versions of packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), name)
    return f"{os.cpu_count()} processors, {name}; Python {platform.python_version()}, {versions}."


def p_less(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How likely so low a mean of ours is, if the two numbers of each pair may be swapped."""
    if len(ours) < 2:
        return float("nan")
    if np.array_equal(ours, theirs):
        return 1.0
    test = permutation_test(
        (np.array(ours), np.array(theirs)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        alternative="less",
        vectorized=True,
        rng=0,
    )
    return float(test.pvalue)
