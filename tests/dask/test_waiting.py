"""Results of tasks: an error where workers are lost, and none where they only take long."""

from __future__ import annotations

import types
from concurrent.futures import CancelledError

import pytest

pytest.importorskip("distributed")

from backhand.dask import waiting
from backhand.dask.waiting import LostError, result_of


class Future:
    status = "pending"

    def __init__(self, *answers):
        self._answers = [*answers]

    def result(self, timeout):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(workers=("a",)):
    return types.SimpleNamespace(
        scheduler_info=lambda n_workers: {"workers": workers},
        gather=lambda futures: [future.result(0) for future in futures],
    )


def test_a_task_that_takes_long_is_waited_for():
    assert result_of(client(), Future(TimeoutError(), TimeoutError(), 5)) == 5
    assert result_of(client(), [Future(1), Future(2)]) == [1, 2]


def test_a_lost_task_is_one_line():
    with pytest.raises(LostError, match="workers of the cluster were lost: gone; see their logs"):
        result_of(client(), Future(CancelledError("gone")))


def test_without_workers_it_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with pytest.raises(LostError, match="the cluster has had no worker for 0 s"):
        result_of(client(()), Future(TimeoutError()))
