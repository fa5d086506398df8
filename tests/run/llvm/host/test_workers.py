from __future__ import annotations

import gc
import threading
import weakref

import pytest

from backhand.run.llvm.host.workers import Task, Workers, run_to_end


def given(crew, call):
    task = Task(call)
    crew.submit(task)
    return task


def outcome(task):
    task.wait()
    return task.result


def test_calls_are_made_in_other_threads_and_their_outcomes_known():
    crew = Workers("crew")
    crew.reserve(2)
    barrier = threading.Barrier(2)  # both at once
    tasks = [given(crew, lambda: (barrier.wait(10), threading.get_ident())[1]) for _ in range(2)]
    assert len({outcome(task) for task in tasks} | {threading.get_ident()}) == 3
    failed = given(crew, lambda: 1 // 0)
    assert outcome(failed) is None
    assert isinstance(failed.error, ZeroDivisionError)
    assert outcome(given(crew, lambda: "after an error")) == "after an error"


def test_a_call_that_is_dropped_in_time_is_never_made():
    crew, calls, begun, leave = Workers("crew"), [], threading.Event(), threading.Event()
    crew.reserve(1)
    first = given(crew, lambda: (begun.set(), leave.wait(10), calls.append("first")))
    second = given(crew, lambda: calls.append("second"))
    assert begun.wait(10)
    first.drop()  # too late
    second.drop()
    second.wait()
    leave.set()
    first.wait()
    assert outcome(given(crew, lambda: "next")) == "next"
    assert calls == ["first"]


def test_threads_end_when_nobody_can_call_them_any_more():
    crew = Workers("others")
    crew.reserve(3)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("others_")]
    assert len(mine) == 3
    crew.reserve(3)  # there they are
    del crew
    gc.collect()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


def test_idle_threads_end_and_others_are_started_when_calls_come_again():
    crew = Workers("idle")
    for _ in range(2):
        crew.reserve(3)
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("idle_")]
        assert len(mine) == 3
        assert outcome(given(crew, lambda: "here")) == "here"
        assert {thread.native_id for thread in mine} == crew.ids
        crew.release()
        for thread in mine:
            thread.join(10)
            assert not thread.is_alive()
        assert not crew.ids


def test_threads_stay_while_calls_are_announced(monkeypatch):
    """Between hiring and giving, a stopped process may take any time."""
    monkeypatch.setattr("backhand.run.llvm.tuning.THREAD_IDLE_SECONDS", 0.001)
    crew = Workers("announced")
    crew.reserve(2)
    barrier = threading.Barrier(3)
    threading.Event().wait(0.05)
    for _ in range(2):
        crew.submit(lambda: barrier.wait(10))
    barrier.wait(10)
    crew.release()


def test_nothing_of_a_call_lives_on_while_its_thread_waits():
    class Data:
        pass

    crew, data = Workers("crew"), Data()
    crew.reserve(1)
    known = weakref.ref(data)
    outcome(given(crew, lambda data=data: None))
    outcome(given(crew, lambda: None))
    del data
    gc.collect()
    assert known() is None


def test_what_is_insisted_on_is_done_however_often_ctrl_c_comes():
    calls = []

    def action():
        calls.append(1)
        if len(calls) < 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_to_end(action)
    assert len(calls) == 4
    run_to_end(action)
    assert len(calls) == 5
