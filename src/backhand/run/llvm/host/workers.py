"""Threads that wait for calls, and end when none has come for a while.

Those of `concurrent.futures.ThreadPoolExecutor` take no more calls once the main thread has ended,
where another thread may well go on training; and it hands calls out before it knows whether the
system grants it all of its threads. These do neither.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue

Call = Callable[[], object]


IDLE = 0.2
"""Seconds without a call after which a thread ends. A model that has been fitted keeps no thread,
while the calls of one fit find theirs; to start another takes about 0.1 ms."""


LOOK_AGAIN = 0.05
"""Seconds after which who waits for a call looks whether it has ended, should the bell be lost."""


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


class Task:
    """A call for another thread, which makes it once, or never if it was dropped before.

    Attributes
    ----------
    result : object
        What the call returned.
    error : BaseException or None
        What it raised.
    """

    def __init__(self, call: Call) -> None:
        self.result: object = None
        self.error: BaseException | None = None
        self._call: Call | None = call
        self._ended = False
        self._owner: dict[str, str] = {}  # `setdefault` settles in one step whose it is
        self._bell: SimpleQueue[None] = SimpleQueue()

    def __call__(self) -> None:
        """Make the call, in the thread that has been given the task."""
        if self._owner.setdefault("is", "given") == "dropped" or self._call is None:
            return
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error
        finally:
            self._call, self._ended = None, True  # nothing of the call lives on
            self._bell.put(None)

    def drop(self) -> bool:
        """Keep the call from being made, if it has not begun; whether it never will be."""
        dropped = self._owner.setdefault("is", "dropped") == "dropped"
        if dropped:
            self._call, self._ended = None, True
        return dropped

    def wait(self) -> None:
        """Return when the call has ended; what interrupts this may wait again."""
        while not self._ended:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=LOOK_AGAIN)


def insist(action: Call) -> None:
    """Do what raises nothing and may be begun again, to its end.

    What is raised nevertheless comes from a signal's handler, Ctrl-C mostly: it goes on afterwards.
    """
    raised: BaseException | None = None
    while True:
        try:
            action()
            break
        except BaseException as error:
            raised = error
    if raised:
        raise raised
