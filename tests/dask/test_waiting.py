"""Results of tasks: an error where workers are lost, and none where they only take long."""

from __future__ import annotations

import asyncio
import threading
import types
from concurrent.futures import CancelledError

import pytest

pytest.importorskip("distributed")

from backhand.dask import waiting
from backhand.dask.waiting import LostError, result_of


@pytest.fixture
def client(monkeypatch):
    """A function that makes a client, whose futures are functions that return after a while."""
    monkeypatch.setattr(waiting, "LOOKED", 0.01)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def gather(futures, asynchronous):
        await asyncio.sleep(0.1)
        return [future() for future in futures]

    def made(running):
        scheduler = types.SimpleNamespace(running=running)
        return types.SimpleNamespace(
            gather=gather,
            run_on_scheduler=lambda function: function(scheduler),
            loop=types.SimpleNamespace(asyncio_loop=loop),
        )

    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def raising(error):
    def raised():
        raise error

    return raised


def test_a_task_that_takes_long_is_waited_for(client):
    assert result_of(client({"a"}), lambda: 5) == 5
    assert result_of(client({"a"}), [lambda: 1, lambda: 2]) == [1, 2]


def test_a_task_that_itself_ran_out_of_time_says_so(client):
    with pytest.raises(TimeoutError, match="of its own"):
        result_of(client({"a"}), raising(TimeoutError("of its own")))


def test_a_lost_task_is_one_line(client):
    with pytest.raises(LostError, match="workers of the cluster were lost: gone; see their logs"):
        result_of(client({"a"}), raising(CancelledError("gone")))


def test_without_workers_it_does_not_wait_for_ever(client, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.02)
    with pytest.raises(LostError, match="the cluster has had no running worker for 0 s"):
        result_of(client(set()), lambda: 5)
    assert result_of(client({"a"}), lambda: 5) == 5
