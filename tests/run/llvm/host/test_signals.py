"""Signals that come while LLVM is at work are neither lost nor early."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from backhand.run.llvm.host.signals import SIGNALS, held_back

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals as on Unix")


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def at_work(*actions):
    """Do something while signals are held back."""
    with held_back():
        for action in actions:
            action()


def test_ctrl_c_is_handled_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt):
        at_work(press, lambda: done.append("all of it"))
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_handled_where_it_may_be():
    with held_back() as handle:
        handle()
        press()
        with pytest.raises(KeyboardInterrupt):
            handle()


def test_ctrl_c_in_a_destructor_is_not_lost():
    class Freed:
        def __del__(self):
            press()
            "a bytecode in which Python would raise, and drop it".upper()

    with pytest.raises(KeyboardInterrupt), held_back():
        Freed()


def test_handlers_of_others_are_called_and_stay():
    class LateError(Exception):
        pass

    def late(number, frame):
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(LateError), held_back():
            press(signal.SIGALRM)
        assert signal.getsignal(signal.SIGALRM) is late
    finally:
        signal.signal(signal.SIGALRM, before)


def test_other_threads_change_no_handler():
    seen = []

    def look():
        with held_back():
            seen.extend(map(signal.getsignal, SIGNALS))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == list(map(signal.getsignal, SIGNALS))
