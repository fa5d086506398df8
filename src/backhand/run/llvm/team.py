"""Threads for native code: a team for one fit, and how many it should have.

The threads are Python's; each sits inside one native call that has released the interpreter, and
they meet at barriers there. Every training has a team of its own, so that two of them at once never
wait for each other's threads.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ...errors import InputError

ENVIRONMENT = ("BACKHAND_THREADS", "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def available_threads() -> int:
    """How many threads a fit may use.

    The smallest of: the processors that this process may run on, and what the environment grants.
    joblib sets OMP_NUM_THREADS in its workers, so nested fits share the processors.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    for name in ENVIRONMENT:
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            count = min(count, int(value))
    return max(1, count // max(1, _Busy.teams))


def checked_threads(threads: int | None) -> int | None:
    """``threads`` if it is None or a whole number above 0, else InputError."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a whole number above 0, or None, got {threads!r}")
    return threads


class _Busy:
    """How many teams are at work in this process."""

    teams = 0
    lock = threading.Lock()


class Team:
    """Threads that run one function together.

    Parameters
    ----------
    threads : int
        How many, the caller's own included.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def run(self, work: Callable[[int], object], started: Callable[[], bool]) -> None:
        """Call ``work(0)`` here and ``work(1)``, ... in the other threads; return when all have.

        ``started()`` tells whether ``work(0)`` has begun. If Ctrl-C comes before it has, the others
        would wait for it at a barrier for ever; so it is called before the exception goes on.
        """
        with _Busy.lock:
            _Busy.teams += 1
        others: list[Future[object]] = []
        try:
            if self.threads > 1:
                pool = self._workers()
                for number in range(1, self.threads):
                    others.append(pool.submit(work, number))
            work(0)
        except BaseException:
            for number in range(1 + len(others), self.threads):
                others.append(self._workers().submit(work, number))
            if not started():
                work(0)
            raise
        finally:
            with _Busy.lock:
                _Busy.teams -= 1
            for other in others:
                other.result()

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None or self._process != os.getpid():  # threads do not survive a fork
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="backhand")
            self._process = os.getpid()
            weakref.finalize(self, self._pool.shutdown, wait=False)
        return self._pool


def _forget_after_fork() -> None:
    _Busy.teams = 0
    _Busy.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
