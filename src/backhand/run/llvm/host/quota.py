"""How much processor time the control groups of Linux, and so containers, grant this process."""

from __future__ import annotations

import functools
import math
import time

from ....control_groups import GROUPS, OWN, lines, places
from .. import tuning


def granted() -> int | None:
    """`quota` in whole processors, as of the last second; None if there is no limit.

    It is rounded up. With 2 threads for 1.5 processors the group is stopped for a quarter of the
    time and gets its 1.5; with 1 thread a third of what is granted is never used. Whether more
    threads are faster is measured in each training anyway.
    """
    limit = _at(int(time.monotonic() / tuning.QUOTA_SECONDS))
    return None if limit is None else max(1, math.ceil(limit))


@functools.lru_cache(maxsize=1)
def _at(_: int) -> float | None:
    return quota()


def quota(groups: str = GROUPS, own: str = OWN) -> float | None:
    """The processors' worth of time that this process may use; None if there is no limit.

    The smallest limit counts of the process's own control group and of all above it. A container
    may see its own group as the root of all, so the root is always asked.

    Parameters
    ----------
    groups : str
        Where the control groups are mounted, of version 1 or 2.
    own : str
        The file that names the process's own groups.
    """
    limits = (_limit(place) for place in places("cpu", groups, own))
    return min((limit for limit in limits if limit is not None), default=None)


def _limit(place: str) -> float | None:
    """What one group grants: ``cpu.max`` of version 2, or the two files of version 1."""
    found = lines(f"{place}/cpu.max")
    if not found:
        found = [*lines(f"{place}/cpu.cfs_quota_us"), *lines(f"{place}/cpu.cfs_period_us")]
    try:
        share, period = map(int, " ".join(found).split())
    except ValueError:  # "max", or no such files
        return None
    return share / period if share > 0 and period > 0 else None  # -1 is no limit
