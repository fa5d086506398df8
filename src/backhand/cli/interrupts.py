"""Ctrl-C that is not lost: a library that clears all errors while it loads clears this one, too."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

_pressed = False
_while_loading = False


def _note(number: int, frame: FrameType | None) -> None:
    global _pressed, _while_loading
    _pressed = True
    _while_loading |= any(_is_import(one) for one, _ in traceback.walk_stack(frame))
    signal.default_int_handler(number, frame)


def _is_import(frame: FrameType) -> bool:
    """Say whether a frame is one of Python's own, that loads a module."""
    return frame.f_code.co_filename.startswith("<frozen importlib.")


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Remember Ctrl-C for `heed`, where this is the thread that it interrupts."""
    global _pressed, _while_loading
    _pressed = _while_loading = False
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else has plans for Ctrl-C
        return
    signal.signal(signal.SIGINT, _note)
    tell = sys.unraisablehook

    def tell_others(lost: Any) -> None:  # of Ctrl-C in a destructor `heed` will know
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            tell(lost)

    sys.unraisablehook = tell_others
    try:
        yield
    finally:
        sys.unraisablehook = tell
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pressed() -> bool:
    """Say whether Ctrl-C was pressed since `remembered` began, lost or not."""
    return _pressed


def heed() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was `pressed`."""
    if pressed():
        raise KeyboardInterrupt


def stopped_loading(error: Exception) -> bool:
    """Say whether Ctrl-C came while a module was loading, and an error is what became of it.

    What is written in C may make another error of Ctrl-C, and modules stumble over what it left.
    """
    found: BaseException | None = error
    while _while_loading and found is not None:
        frames = traceback.walk_tb(found.__traceback__)
        if isinstance(found, ImportError) or any(f.f_code.co_name == "<module>" for f, _ in frames):
            return True
        found = found.__cause__ or found.__context__
    return False


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
