from __future__ import annotations

import gc
import threading
import weakref

import pytest

from backhand.run.llvm.workers import Workers, insist, settle, wait_for_all


def test_calls_are_made_in_other_threads_and_their_outcomes_known():
    crew = Workers("crew")
    crew.hire(2)
    barrier = threading.Barrier(2)  # both at once
    futures = [crew.submit(lambda: (barrier.wait(10), threading.get_ident())[1]) for _ in range(2)]
    assert len({future.result(10) for future in futures} | {threading.get_ident()}) == 3
    with pytest.raises(ZeroDivisionError):
        crew.submit(lambda: 1 // 0).result(10)
    assert crew.submit(lambda: "after an error").result(10) == "after an error"


def test_threads_end_when_nobody_can_call_them_any_more():
    crew = Workers("others")
    crew.hire(3)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("others_")]
    assert len(mine) == 3
    crew.hire(3)  # there they are
    del crew
    gc.collect()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


def test_idle_threads_end_and_others_are_hired_when_calls_come_again():
    crew = Workers("idle")
    for _ in range(2):
        crew.hire(3)
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("idle_")]
        assert len(mine) == 3
        assert crew.submit(lambda: "here").result(10) == "here"
        assert {thread.native_id for thread in mine} == crew.ids
        crew.rest()
        for thread in mine:
            thread.join(10)
            assert not thread.is_alive()
        assert not crew.ids


def test_threads_stay_while_calls_are_announced(monkeypatch):
    """Between hiring and giving, a stopped process may take any time."""
    monkeypatch.setattr("backhand.run.llvm.workers.IDLE", 0.001)
    crew = Workers("announced")
    crew.hire(2)
    barrier = threading.Barrier(3)
    threading.Event().wait(0.05)
    for _ in range(2):
        crew.give(lambda: barrier.wait(10))
    barrier.wait(10)
    crew.rest()


def test_nothing_of_a_call_lives_on_while_its_thread_waits():
    class Data:
        pass

    crew, data = Workers("crew"), Data()
    crew.hire(1)
    known = weakref.ref(data)
    crew.submit(lambda data=data: None).result(10)
    crew.submit(lambda: None).result(10)
    del data
    gc.collect()
    assert known() is None


def test_what_is_insisted_on_is_done_however_often_ctrl_c_comes():
    calls = []

    def action():
        calls.append(1)
        if len(calls) < 4:
            raise KeyboardInterrupt
        return "done"

    with pytest.raises(KeyboardInterrupt):
        insist(action)
    assert len(calls) == 4
    assert insist(action) == "done"


def test_all_are_waited_for_before_an_error_is_raised():
    crew, slow, ended = Workers("crew"), threading.Event(), []
    crew.hire(2)
    futures = [crew.submit(lambda: 1 // 0), crew.submit(lambda: (slow.wait(10), ended.append(1)))]
    threading.Timer(0.05, slow.set).start()
    with pytest.raises(ZeroDivisionError):
        wait_for_all(futures)
    assert ended
    settle(futures[0].__class__(), lambda: None)
