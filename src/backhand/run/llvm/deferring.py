"""Ctrl-C that comes when it may: not amid what must be whole, or while threads are at work.

An exception that a signal's handler raises appears between any two instructions of the main thread,
even within the locks of Python's own library, which then stay locked. So while native code runs,
and where several changes belong together, handlers are called as ever, but what they raise is kept
until the end.
"""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = tuple(
    int(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)
)
"""Those whose handlers usually raise something."""

_quick: Any = sys.modules.get("_signal", signal)
"""What `signal` wraps to turn numbers into enumerations, which takes ten times as long."""


class Deferred:
    """A block at whose end the first exception that a signal's handler raised goes on.

    It is true as soon as there is one. It has no effect in threads that no signal interrupts.

    Attributes
    ----------
    leave : callable or None
        Called at once when a handler has raised something, to shorten what the block waits for.
    """

    def __init__(self) -> None:
        self.leave: Callable[[], object] | None = None
        self._raised: list[BaseException] = []
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._raised)

    def __enter__(self) -> Deferred:
        if threading.current_thread() is threading.main_thread():
            try:
                for number in SIGNALS:
                    before = _quick.getsignal(number)
                    if callable(before):
                        self._before[number] = before
                        _quick.signal(number, functools.partial(self._handle, before))
            except ValueError:  # another thread is the one that signals interrupt
                self._before.clear()
            except BaseException:
                self._restore()
                raise
        return self

    def heed(self) -> None:
        """Raise what is kept now, where nothing is half done."""
        if self._raised:
            raise self._raised[0]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._restore()
        self.heed()

    def _handle(self, before: Callable[..., Any], number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except BaseException as error:
            self._raised.append(error)
            if self.leave:
                self.leave()

    def _restore(self) -> None:
        """Set the handlers back; those of signals that came last may raise as soon as they are."""
        left = list(self._before)
        try:
            while left:
                _quick.signal(left[-1], self._before[left[-1]])
                left.pop()
        finally:
            for number in left:
                _quick.signal(number, self._before[number])
