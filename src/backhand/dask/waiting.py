"""Results of tasks on a cluster, or one clear error."""

from __future__ import annotations

import time
from typing import Any

from ..errors import BackhandError, first_line

PATIENCE = 120.0
"""Seconds without any worker, after which a fit ends with an error instead of waiting on."""

LOOKED = 5.0
"""Seconds between two looks at whether there are workers."""


class LostError(BackhandError):
    """Workers were lost, and with them what cannot be made again."""


def result_of(client: Any, future: Any) -> Any:
    """What a task returns, or a list of tasks.

    Raises
    ------
    LostError
        If its worker has died several times, its data is gone, or there are no workers.
    """
    from concurrent.futures import CancelledError
    from concurrent.futures import TimeoutError as OutOfTime

    from distributed import KilledWorker
    from distributed import TimeoutError as DaskOutOfTime

    futures = future if isinstance(future, list) else [future]
    alone_since = None
    try:
        for one in futures:
            while True:
                try:
                    one.result(timeout=LOOKED)
                    break
                except (OutOfTime, DaskOutOfTime):
                    if one.status == "error":  # the task itself ran out of time
                        raise
                    now = time.monotonic()
                    alone = not client.scheduler_info(n_workers=1)["workers"]
                    alone_since = (alone_since or now) if alone else None
                    if alone_since is not None and now - alone_since > PATIENCE:
                        raise LostError(
                            f"the cluster has had no worker for {PATIENCE:.0f} s: start some, and "
                            "fit again"
                        ) from None
        found = client.gather(futures)
    except (KilledWorker, CancelledError) as error:
        raise LostError(
            f"workers of the cluster were lost: {first_line(error)}; see their logs. A task that "
            "kills its worker often needs more memory: smaller partitions, or more shards"
        ) from None
    return found if isinstance(future, list) else found[0]
