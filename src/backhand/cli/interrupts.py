"""Ctrl-C that is not lost: a library that clears all errors while it loads clears this one, too."""

from __future__ import annotations

import contextlib
import signal
import threading
import traceback
from collections.abc import Iterator
from types import FrameType

_pressed = False


def _note(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    signal.default_int_handler(number, frame)


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Remember Ctrl-C for `heed`, where this is the thread that it interrupts."""
    global _pressed
    _pressed = False
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else has plans for Ctrl-C
        return
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pressed() -> bool:
    """Say whether Ctrl-C was pressed since `remembered` began, lost or not."""
    return _pressed


def heed() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was `pressed`."""
    if pressed():
        raise KeyboardInterrupt


def stopped_loading(error: Exception) -> bool:
    """Say whether Ctrl-C was `pressed` and an error comes from a module that was loading.

    What is written in C may make an ImportError of Ctrl-C, and others stumble over what it left.
    """
    frames = traceback.walk_tb(error.__traceback__)
    loading = isinstance(error, ImportError) or any(
        frame.f_code.co_name == "<module>" for frame, _ in frames
    )
    return pressed() and loading


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Leave Ctrl-C without effect, where this is the thread that it would interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
