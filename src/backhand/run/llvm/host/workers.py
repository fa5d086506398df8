"""Threads that wait for calls, and end when none has come for a while.

`concurrent.futures.ThreadPoolExecutor` takes no more calls once the main thread has ended, although
another thread may go on training; and it hands calls out before it knows whether the system grants
all of its threads. `Workers` does neither.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .. import tuning

Call = Callable[[], object]


class _PoolState:
    """State that the threads share with their `Workers`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids: set[int] = set()  # of the threads, as the system numbers them
        self.count = 0
        self.reserved = False  # whether calls are about to come, so that no thread may end


class Workers:
    """Threads that end when this object is garbage, when it is shut down, or when they are idle.

    Parameters
    ----------
    name : str
        What the threads are called, beside their number.
    count : int
        How many there are to begin with; RuntimeError if the system refuses one.
    """

    def __init__(self, name: str, count: int = 0) -> None:
        self._name, self._state = name, _PoolState()
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        # Not `weakref.finalize`, whose Python code might swallow Ctrl-C.
        self._forgotten = weakref.ref(self, self._calls.put)
        self.reserve(count)

    def shut_down(self) -> None:
        """Let the threads end after the calls that were submitted."""
        self._calls.put(None)

    def reserve(self, count: int) -> None:
        """Start threads up to this number; none of them ends before `release`."""
        state = self._state
        with state.lock:
            state.reserved = True
            while state.count < count:
                name = f"{self._name}_{state.count}"
                known = self._calls, self._forgotten, state
                threading.Thread(target=_serve, args=known, name=name, daemon=True).start()
                state.count += 1

    def release(self) -> None:
        """Let threads end that have been idle."""
        self._state.reserved = False

    @property
    def ids(self) -> frozenset[int]:
        """The system's numbers of the threads; none ends between `reserve` and `release`."""
        return frozenset(self._state.ids)

    def submit(self, call: Call) -> None:
        """Queue a call, which must raise nothing, for the next free thread."""
        self._calls.put(call)


def _serve(calls: SimpleQueue[Call | None], forgotten: Call, state: _PoolState) -> None:
    me = threading.get_native_id()
    state.ids.add(me)
    try:
        while True:
            try:
                call = calls.get(timeout=tuning.THREAD_IDLE_SECONDS)
            except Empty:
                with state.lock:
                    if state.reserved or not calls.empty():
                        continue
                    state.count -= 1
                    return
            if call is None or call is forgotten:
                calls.put(None)  # for the others
                return
            call()
            call = None  # nothing of it lives on while this waits
    finally:
        state.ids.discard(me)


class Task:
    """A call for another thread, which makes it once, or never if it is dropped first.

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
        """Cancel the call if it has not begun; return whether it is cancelled."""
        dropped = self._owner.setdefault("is", "dropped") == "dropped"
        if dropped:
            self._call, self._ended = None, True
        return dropped

    def wait(self) -> None:
        """Return when the call has ended; it can be called again after an interruption."""
        while not self._ended:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=tuning.BELL_SECONDS)


def run_to_end(action: Call) -> None:
    """Call an action until it returns; it raises nothing itself and can be called again.

    An exception can only come from a signal's handler, such as Ctrl-C; it is raised at the end.
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
