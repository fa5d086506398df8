from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from backhand.errors import BackhandError, InputError
from backhand.run.llvm import tuning
from backhand.run.llvm.host import team
from backhand.run.llvm.host.team import (
    Team,
    available_threads,
    checked_threads,
    helpers,
    helping,
)
from backhand.run.llvm.host.workers import Task, Workers


@pytest.fixture
def four(monkeypatch):
    """Four processors, and nothing in the environment."""
    for name in team.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(team._Busy, "until", {})
    return monkeypatch


@pytest.mark.parametrize("name", team.ENVIRONMENT)
@pytest.mark.parametrize(
    ("value", "threads"), [("2", 2), ("1", 1), ("9", 4), ("", 4), ("0", 4), ("x", 4), ("2,1", 2)]
)
def test_the_environment_grants_threads(four, name, value, threads):
    four.setenv(name, value)
    assert available_threads() == threads


def test_callers_in_other_threads_share_the_processors(four):
    def other():
        Team(1).run(lambda number: inside.set() or leave.wait(10), lambda missing: True)

    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    assert available_threads() == 2
    leave.set()
    thread.join()
    four.setattr(tuning, "LINGER_SECONDS", 0.0)
    Team(1).run(lambda number: None, lambda missing: True)
    assert available_threads() >= 2  # the caller itself never counts


def test_threads_are_left_to_helpers(four):
    with helping():
        assert (available_threads(helpers()), available_threads()) == (3, 4)
        four.setattr(team._Busy, "others", lambda: 1)  # another fit has the half of what is left
        assert (available_threads(helpers()), available_threads()) == (1, 2)
        with helping(), helping(), helping():
            assert available_threads(helpers()) == 1
    with pytest.raises(ValueError, match="no more"), helping():
        raise ValueError("no more")
    assert helpers() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_has_no_helpers():
    with helping():
        if not (child := os.fork()):
            os._exit(helpers())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert helpers() == 1


def test_callers_that_have_ended_are_forgotten(four):
    four.setattr(tuning, "LINGER_SECONDS", -1.0)
    team._Busy.until.update({-number: 0.0 for number in range(1, 2 * tuning.CALLERS_REMEMBERED)})
    Team(1).run(lambda number: None, lambda missing: True)
    assert len(team._Busy.until) <= 1


@pytest.mark.parametrize("threads", [None, 1, 7, np.int64(2)])
def test_numbers_of_threads(threads):
    assert checked_threads(threads) == threads


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2", 10**6])
def test_numbers_of_threads_that_make_no_sense(threads):
    with pytest.raises(InputError, match="threads"):
        checked_threads(threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_number_works_once_and_at_the_same_time(threads):
    barrier, seen = threading.Barrier(threads), []

    def work(number):
        barrier.wait(10)
        seen.append(number)

    crew = Team(threads)
    for _ in range(3):
        seen.clear()
        crew.run(work, lambda missing: True)
        assert sorted(seen) == list(range(threads))


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("given", [0, 1, 2, 3])
@pytest.mark.parametrize("in_workers", [False, True])
def test_ctrl_c_lets_those_at_work_come_to_an_end(monkeypatch, in_workers, given, times):
    """They wait for one another at a barrier, and some may never come."""
    gone, leave, begun, ended, pressed = threading.Event(), threading.Event(), [], [], []
    threads, submit = 3, Workers.submit

    def press():
        if len(pressed) < times:
            pressed.append(1)
            raise KeyboardInterrupt

    def work(number):
        if number == 0 and not in_workers:
            press()
        begun.append(number)
        while len(begun) < threads:
            if gone.wait(0.001):
                break
        else:
            assert leave.wait(10)
        ended.append(number)

    def give_up(missing):
        if missing or (0 not in begun and not in_workers):
            gone.set()
        leave.set()
        press()

    def interrupted(self, call):
        if calls[0] == given:
            press()
        calls[0] += 1
        submit(self, call)

    calls, crew = [0], Team(threads)
    monkeypatch.setattr(Workers, "submit", interrupted)
    if in_workers and given == threads:
        threading.Timer(0.05, leave.set).start()
        monkeypatch.setattr(Task, "wait", lambda task, wait=Task.wait: (press(), wait(task)))
    with pytest.raises(KeyboardInterrupt):
        crew.run(work, give_up, in_workers)
    assert sorted(ended) == sorted(begun)
    monkeypatch.undo()
    before = len(begun)
    crew.run(lambda number: None, lambda missing: None, in_workers)  # nobody is left over
    assert len(begun) == before


def test_nobody_works_if_the_system_refuses_a_thread(monkeypatch):
    """Those at work would wait for the missing one for ever."""
    start, left, calls = threading.Thread.start, [1], []

    def refused(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(BackhandError, match="cannot start 2 threads"):
        Team(3).run(calls.append, lambda missing: True)
    assert not calls


def test_an_error_in_a_worker_is_raised():
    def work(number):
        if number == 1:
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        Team(2).run(work, lambda missing: True)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads cannot be moved here")
def test_threads_are_left_free_to_move():
    before = os.sched_getaffinity(0)
    after = []
    crew = Team(3)
    together = threading.Barrier(3)  # each thread takes its turn
    crew.run(lambda number: together.wait(10), lambda missing: True)
    task = Task(lambda: after.append(os.sched_getaffinity(0)))
    crew._reserve(2).submit(task)
    task.wait()
    assert after == [before]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("here", "many", "where"),
    [
        (True, 2, {11: [0, 2, 3], 12: [0, 2, 3]}),  # the kernel chooses among the free ones
        (True, 3, {11: [0], 12: [2]}),
        (False, 4, {11: [0], 12: [1]}),
        (False, 9, {11: [0], 12: [1]}),
    ],
)
def test_idle_threads_wake_where_none_is_at_work(monkeypatch, here, many, where):
    moved = {}
    monkeypatch.setattr(team, "_processor_asker", lambda: lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", moved.__setitem__, raising=False)
    placement = team._Placement(here)
    placement.wake_on_idle_processors({12, 11}, many)
    assert moved == where
    moved.clear()
    placement.take()
    assert moved[0] == {0, 1, 2, 3}


def test_a_team_knows_its_idle_threads():
    crew = Team(2)
    seen = []
    for _ in range(3):
        crew.run(
            lambda number: seen.append((number, threading.get_native_id())), lambda missing: True
        )
    assert crew._reserve(1).ids == {thread for number, thread in seen if number == 1}
    crew._reserve(1).release()
