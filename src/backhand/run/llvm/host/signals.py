"""Ctrl-C and other signals while LLVM is at work.

llvmlite frees LLVM's objects in destructors, where Python drops every exception; so one that a
signal's handler raises there, such as KeyboardInterrupt, would be lost. Handlers are therefore
called a little later. While native code of ours runs, nothing is held back: see `runtime.instance`.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)
)
"""Signals whose handlers usually raise an exception."""


@contextlib.contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold signals back in the main thread; they are handled at the end.

    Yields
    ------
    callable
        Handles those that have come so far, where an exception may be raised.
    """
    before: dict[int, Callable[..., Any]] = {}
    come: list[tuple[Any, ...]] = []

    def handle() -> None:
        while come:
            number, frame = come.pop(0)
            before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        before = {n: now for n in SIGNALS if callable(now := signal.getsignal(n))}
    with contextlib.suppress(ValueError):  # a main thread that signals do not interrupt
        for number in before:
            signal.signal(number, lambda *signalled: come.append(signalled))
    try:
        yield handle
    finally:
        with contextlib.suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)
        handle()
