"""Results of tasks on a cluster, or one clear error."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import CancelledError, wait
from typing import Any

from ..errors import BackhandError, first_line

PATIENCE = 120.0
"""Seconds without a worker that runs, after which a fit ends with an error."""

LOOKED = 5.0
"""Seconds between two looks at whether there are workers."""


class LostError(BackhandError):
    """Workers were lost, and with them what cannot be made again."""


def result_of(client: Any, future: Any) -> Any:
    """What a task returns, or a list of tasks.

    Raises
    ------
    LostError
        If its worker has died several times, its data is gone, or no worker runs.
    """
    from distributed import KilledWorker

    futures = future if isinstance(future, list) else [future]
    # Not `Future.result(timeout)`: a gathering that runs out of time takes others with it.
    coming = asyncio.run_coroutine_threadsafe(
        client.gather(futures, asynchronous=True), client.loop.asyncio_loop
    )
    alone_since = None
    try:
        while not wait([coming], LOOKED).done:
            now = time.monotonic()
            running = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.running))
            alone_since = None if running else alone_since or now
            if alone_since is not None and now - alone_since > PATIENCE:
                raise LostError(
                    f"the cluster has had no running worker for {PATIENCE:.0f} s: none is left, or "
                    "all pause for want of memory; start some, or with more of it, and fit again"
                )
        found = coming.result()
    except (KilledWorker, CancelledError, asyncio.CancelledError) as error:
        raise LostError(
            f"workers of the cluster were lost: {first_line(error)}; see their logs. A task that "
            "kills its worker often needs more memory: smaller partitions, or more shards"
        ) from None
    return found if isinstance(future, list) else found[0]
