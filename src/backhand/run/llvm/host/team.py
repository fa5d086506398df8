"""Threads that run native code together, and the number of threads that is available.

The threads are Python's; each sits inside one native call that has released the interpreter, and
they meet at barriers there. Every training has a team of its own, so that two of them at once never
wait for each other's threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from numbers import Integral
from typing import Any, ClassVar

from ....errors import BackhandError, InputError
from .. import tuning
from .quota import granted
from .workers import Task, Workers, run_to_end

ENVIRONMENT = ("BACKHAND_THREADS", "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
MOST_THREADS = 1024
"""More than any machine has; a larger number is a mistake, and would take minutes to fail."""


def available_threads(less: int = 0) -> int:
    """How many threads a fit may use, where ``less`` processors are for others.

    The smallest of: the processors that this process may run on, the quota of its container, and
    the numbers in the environment. joblib sets OMP_NUM_THREADS in its workers, so nested fits share
    the processors.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    if count > 1:
        count = min(count, granted() or count)
    for name in ENVIRONMENT:
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            count = min(count, int(value))
    return max(1, (count - less) // (1 + _Busy.others()))


def checked_threads(threads: Any) -> int | None:
    """``threads`` if it is None or a whole number from 1 to `MOST_THREADS`, else InputError."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, Integral) or int(threads) < 1:
        raise InputError(f"threads must be a whole number above 0, or None, got {threads!r:.60}")
    if int(threads) > MOST_THREADS:
        raise InputError(f"threads={threads!r:.60} is more than {MOST_THREADS:,}, or give None")
    return int(threads)


class _Busy:
    """Which threads of Python run a team, and until when they count as busy."""

    until: ClassVar[dict[int, float]] = {}

    @classmethod
    def others(cls) -> int:
        """How many threads besides this one share the processors."""
        me, now = threading.get_ident(), time.monotonic()
        return sum(until > now for thread, until in list(cls.until.items()) if thread != me)


_helping: set[object] = set()


def helpers() -> int:
    """How many threads are `helping` now."""
    return len(_helping)


@contextlib.contextmanager
def helping() -> Iterator[None]:
    """Leave a processor to the calling thread, which prepares what others wait for.

    Threads that meet at a barrier after each step lose more than that if one of them shares its
    processor: the others wait for it.
    """
    one = object()
    _helping.add(one)
    try:
        yield
    finally:
        _helping.discard(one)


@functools.cache
def _processor_asker() -> Callable[[], int] | None:
    """The function that returns the calling thread's processor; None if threads cannot be moved."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """Count the calling thread as busy."""
    me = threading.get_ident()
    try:
        _Busy.until[me] = math.inf
        yield
    finally:
        _Busy.until[me] = time.monotonic() + tuning.LINGER_SECONDS
        if len(_Busy.until) > tuning.CALLERS_REMEMBERED:  # threads that have ended
            now = time.monotonic()
            for thread in [t for t, until in list(_Busy.until.items()) if until < now]:
                _Busy.until.pop(thread, None)


class _Placement:
    """Gives each thread of a run a processor of its own, and leaves it free to be moved again.

    The system may wake a thread on the processor of the thread that wakes it, where the two would
    take turns while another processor is idle. Threads are moved but not pinned: if another process
    comes, the system can move them again.

    Parameters
    ----------
    here : bool
        Whether the calling thread works too.
    """

    def __init__(self, here: bool) -> None:
        self._ask = _processor_asker()
        if self._ask:
            self._allowed = os.sched_getaffinity(0)
            self._taken = {self._ask()} if here else set()

    def wake_on_idle_processors(self, idle: Collection[int], many: int) -> None:
        """Let idle threads wake on idle processors; ``many`` threads will be woken.

        A thread that first wakes beside another and then moves away may meet it again: meanwhile
        the kernel has often moved the other.
        """
        if self._ask is None or not (free := sorted(self._allowed - self._taken)):
            return
        for number, thread in enumerate(sorted(idle)):
            where = free if many < len(free) else free[number % len(free) :][:1]
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, where)

    def take(self) -> None:
        """Move the calling thread if its processor is taken, then allow it all processors again."""
        if self._ask is None:
            return
        free = self._allowed - self._taken
        with contextlib.suppress(OSError):  # the process has been confined meanwhile
            if self._ask() in self._taken and free:
                os.sched_setaffinity(0, free)
            self._taken.add(self._ask())
            os.sched_setaffinity(0, self._allowed)


class Team:
    """Threads that run one function together.

    Parameters
    ----------
    threads : int
        How many, the caller's own included.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._workers: Workers | None = None
        self._process = 0
        self._tasks: list[Task] = []

    def run(
        self,
        work: Callable[[int], object],
        give_up: Callable[[bool], object],
        in_workers: bool = False,
    ) -> None:
        """Call ``work(0)`` here and ``work(1)``, ... in the other threads; return when all have.

        Parameters
        ----------
        work : callable
        give_up : callable
            Called at least once after an interruption, so that running threads come to an end. Its
            argument says whether a thread never started, for which they would wait for ever.
        in_workers : bool
            Whether all work is done in worker threads while this one waits, since no signal is
            handled in a thread that runs native code.
        """
        if self.threads == 1 and not in_workers:
            with _busy():
                work(0)
            return
        placement = _Placement(here=not in_workers)

        def at_work(number: int) -> None:
            with contextlib.suppress(Exception):  # others wait for this one, wherever it runs
                placement.take()
            work(number)

        self.wait_until_idle()
        numbers = range(0 if in_workers else 1, self.threads)
        tasks = self._tasks = [Task(functools.partial(at_work, number)) for number in numbers]
        workers = self._reserve(len(tasks))
        placement.wake_on_idle_processors(workers.ids, len(tasks))
        done = False

        def end() -> None:
            if not done:
                dropped = [task.drop() for task in tasks]  # all, before any is waited for
                give_up(any(dropped))
            for task in tasks:
                task.wait()

        with _busy():
            try:
                for task in tasks:
                    workers.submit(task)
                if in_workers:
                    for task in tasks:
                        task.wait()
                else:
                    work(0)
                done = True
            finally:
                run_to_end(end)
                workers.release()
        for error in (task.error for task in tasks if task.error):
            raise error

    def wait_until_idle(self) -> None:
        """Wait until no thread works on the last run, even if that was interrupted."""
        for task in self._tasks:
            task.drop()
            task.wait()

    def _reserve(self, many: int) -> Workers:
        """Reserve a number of threads: all of them, since they wait for one another."""
        if self._workers is None or self._process != os.getpid():  # they do not survive a fork
            self._workers, self._process = Workers("backhand"), os.getpid()
        try:
            self._workers.reserve(many)
        except RuntimeError as error:
            self._workers.release()
            raise BackhandError(
                f"compiled engine: the system cannot start {many} threads ({error}); choose "
                "fewer with threads= or BACKHAND_THREADS"
            ) from None
        return self._workers


def _forget_after_fork() -> None:
    _Busy.until.clear()
    _helping.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
