"""Threads that wait for calls, and end when none has come for a while.

Those of `concurrent.futures.ThreadPoolExecutor` take no more calls once the main thread has ended,
where another thread may well go on training; and it hands calls out before it knows whether the
system grants it all of its threads. These do neither.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

Call = Callable[[], object]
T = TypeVar("T")


IDLE = 0.2
"""Seconds without a call after which a thread ends. A model that has been fitted keeps no thread,
while the calls of one fit find theirs; to start another takes about 0.1 ms."""


class _Crew:
    """What threads and their employer know of each other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids: set[int] = set()  # of the threads, as the system numbers them
        self.many = 0
        self.reserved = False  # whether calls are about to come, for which all of them are counted


class Workers:
    """Threads that end when this object is forgotten, or they are dismissed, or have been idle.

    Parameters
    ----------
    name : str
        What the threads are called, beside their number.
    many : int
        How many there are to begin with; RuntimeError if the system refuses one.
    """

    def __init__(self, name: str, many: int = 0) -> None:
        self._name, self._crew = name, _Crew()
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        # Not `weakref.finalize`, whose Python code might swallow Ctrl-C.
        self._forgotten = weakref.ref(self, self._calls.put)
        self.hire(many)

    def dismiss(self) -> None:
        """Let the threads end after the calls that were given."""
        self._calls.put(None)

    def hire(self, many: int) -> None:
        """Have at least this many threads, none of which ends before `rest`."""
        crew = self._crew
        with crew.lock:
            crew.reserved = True
            while crew.many < many:
                name = f"{self._name}_{crew.many}"
                known = self._calls, self._forgotten, crew
                threading.Thread(target=_serve, args=known, name=name, daemon=True).start()
                crew.many += 1

    def rest(self) -> None:
        """Let threads end that wait for long."""
        self._crew.reserved = False

    @property
    def ids(self) -> frozenset[int]:
        """The system's numbers of the threads; none of them ends between `hire` and `rest`."""
        return frozenset(self._crew.ids)

    def give(self, call: Call) -> None:
        """Let a thread that is free, or the first that will be, make a call that raises nothing."""
        self._calls.put(call)

    def submit(self, work: Call) -> Future[object]:
        """The same for any call, with its outcome."""
        future: Future[object] = Future()
        self.give(lambda: settle(future, work))
        return future


def _serve(calls: SimpleQueue[Call | None], forgotten: Call, crew: _Crew) -> None:
    me = threading.get_native_id()
    crew.ids.add(me)
    try:
        while True:
            try:
                call = calls.get(timeout=IDLE)
            except Empty:
                with crew.lock:
                    if crew.reserved or not calls.empty():
                        continue
                    crew.many -= 1
                    return
            if call is None or call is forgotten:
                calls.put(None)  # for the others
                return
            call()
            call = None  # nothing of it lives on while this waits
    finally:
        crew.ids.discard(me)


def settle(future: Future[object], work: Call) -> None:
    """Make a call whose outcome becomes the future's."""
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def insist(action: Callable[[], T]) -> T:
    """Do what may be begun again, to its end; Ctrl-C that comes meanwhile is raised then."""
    pressed: KeyboardInterrupt | None = None
    while True:
        try:
            result = action()
            break
        except KeyboardInterrupt as error:
            pressed = error
    if pressed:
        raise pressed
    return result


def wait_for_all(futures: list[Future[object]]) -> None:
    """Wait for every one, whatever happens, and raise what went wrong in one of them."""
    try:
        insist(lambda: wait(futures))
    finally:
        for future in futures:
            future.result()
