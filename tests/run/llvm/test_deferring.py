from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from backhand.run.llvm.deferring import SIGNALS, Deferred


class OverError(Exception):
    pass


@pytest.fixture
def handlers():
    """Handlers as they were, whatever a test does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield before
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after[signal.SIGINT] is before[signal.SIGINT]


def block(body):
    with Deferred() as deferred:
        body(deferred)


def press():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_raised_at_the_end(handlers):
    done = []

    def body(deferred):
        assert not deferred
        press()
        assert deferred
        press()
        done.append(1)

    with pytest.raises(KeyboardInterrupt):
        block(body)
    assert done


def test_what_waits_is_told_at_once(handlers):
    told = []

    def body(deferred):
        deferred.leave = lambda: told.append(1)
        press()
        assert told

    with pytest.raises(KeyboardInterrupt):
        block(body)


def test_it_may_be_heeded_before(handlers):
    done = []

    def body(deferred):
        deferred.heed()
        press()
        deferred.heed()
        done.append(1)

    with pytest.raises(KeyboardInterrupt):
        block(body)
    assert not done


def test_a_handler_that_raises_nothing_is_called_and_that_is_all(handlers):
    calls, told = [], []
    signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with Deferred() as deferred:
            deferred.leave = lambda: told.append(1)
            signal.raise_signal(signal.SIGINT)
            assert calls == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])
    assert not told


def test_other_handlers_that_raise_are_deferred_too(handlers):
    def over(number, frame):
        raise OverError

    def body(deferred):
        signal.raise_signal(SIGNALS[-1])
        done.append(1)

    done = []
    signal.signal(SIGNALS[-1], over)
    with pytest.raises(OverError):
        block(body)
    assert done


def test_handlers_of_the_system_stay(handlers):
    signal.signal(SIGNALS[-1], signal.SIG_IGN)
    with Deferred():
        assert signal.getsignal(SIGNALS[-1]) is signal.SIG_IGN


def test_an_error_of_the_block_comes_with_it(handlers):
    def both(deferred):
        press()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block(lambda deferred: 1 // 0)
    with pytest.raises(KeyboardInterrupt) as found:
        block(both)
    assert isinstance(found.value.__context__, ZeroDivisionError)


def test_where_signals_belong_to_another_thread_than_python_thinks(handlers, monkeypatch):
    def refuse(number, handler):
        raise ValueError("signal only works in main thread of the main interpreter")

    quick = SimpleNamespace(getsignal=signal.getsignal, signal=refuse)
    monkeypatch.setattr("backhand.run.llvm.deferring._quick", quick)
    with Deferred() as deferred:
        assert not deferred


def test_other_threads_are_not_concerned(handlers):
    found = []

    def work():
        with Deferred() as deferred:
            found.append(bool(deferred))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
