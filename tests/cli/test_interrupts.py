from __future__ import annotations

import os
import signal
import threading

import pytest

from backhand.cli.interrupts import heed, pressed, remembered


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_what_was_lost_is_raised_again():
    with remembered():
        heed()
        assert not pressed()
        with pytest.raises(KeyboardInterrupt):
            press()  # and whoever loads a library clears it
        with pytest.raises(KeyboardInterrupt):
            heed()
        assert pressed()
    with remembered():
        heed()  # that was another time
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_plans_of_others_are_left_alone():
    pressed = []

    def mine(*_):
        pressed.append(True)

    before = signal.signal(signal.SIGINT, mine)
    try:
        with remembered():
            assert signal.getsignal(signal.SIGINT) is mine
            press()
            heed()
        assert pressed == [True]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_not_interrupted():
    done = []

    def work():
        with remembered():
            heed()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
