"""The choice of threads by what calls took, on machines made of a table."""

from __future__ import annotations

import pytest

from backhand.run.llvm.host.thread_tuner import ThreadTuner
from backhand.run.llvm.tuning import (
    CALL_SECONDS,
    FIRST_TRIAL_SECONDS,
    HELD_BACK_SECONDS,
    TRIAL_SECONDS,
)


def trained(tuner, times, seconds):
    """Train for so many seconds where ``times[threads]`` is a batch's; the share of each number."""
    spent, clock = dict.fromkeys(times, 0.0), 0.0
    while clock < seconds:
        threads, batches = tuner.next(8)
        took = batches * times[threads]
        tuner.record(threads, batches, took)
        spent[threads] += took
        clock += took
    return {threads: one / clock for threads, one in spent.items()}


def test_threads_that_gain_are_kept_and_seldom_doubted():
    tuner = ThreadTuner(2)
    share = trained(tuner, {1: 17e-5, 2: 10e-5}, 20.0)
    assert tuner.threads == 2
    assert 0 < share[1] < 0.02


def test_threads_that_cost_are_left_and_come_back_when_they_gain():
    tuner = ThreadTuner(2)
    assert trained(tuner, {1: 116e-6, 2: 165e-6}, 2.0)[2] < 0.15
    assert tuner.threads == 1
    trained(tuner, {1: 116e-6, 2: 72e-6}, 3.0)
    assert tuner.threads == 2


@pytest.mark.parametrize("start", [1, 2, 8])
@pytest.mark.parametrize("best", [1, 2, 4, 8])
def test_the_best_of_many_is_found_step_by_step(best, start):
    tuner = ThreadTuner(start, 8)
    trained(tuner, {n: 1e-4 * (1 + abs(n - best)) for n in (1, 2, 4, 8)}, 20.0)
    assert tuner.threads == best


def test_more_than_the_cost_model_gives_are_tried_at_little_cost():
    tuner = ThreadTuner(1, 2)
    # five comparisons, of two turns with as many batches as one thread does in 5 ms
    assert trained(tuner, {1: 5e-5, 2: 12e-5}, 5.0)[2] < 5 * 2 * 0.0125 / 5.0
    assert tuner.threads == 1
    trained(tuner, {1: 5e-5, 2: 3e-5}, 3.0)
    assert tuner.threads == 2
    assert trained(ThreadTuner(1), {1: 5e-5, 2: 3e-5}, 3.0)[2] == 0


def test_a_number_that_was_asked_for_stays():
    tuner = ThreadTuner(2, fixed=True)
    assert trained(tuner, {1: 1e-5, 2: 1e-3}, 5.0) == {1: 0.0, 2: 1.0}


def test_little_gain_changes_nothing_and_one_thread_has_no_other():
    tuner = ThreadTuner(2)
    trained(tuner, {1: 98e-6, 2: 100e-6}, 5.0)
    assert tuner.threads == 2
    assert trained(ThreadTuner(1), {1: 1e-4}, 5.0) == {1: pytest.approx(1.0)}


def test_long_steps_are_not_compared():
    assert trained(ThreadTuner(2), {1: 3 * TRIAL_SECONDS, 2: 2 * TRIAL_SECONDS}, 5.0)[1] == 0


def test_one_batch_first_then_calls_that_leave_time_for_signals():
    tuner = ThreadTuner(1)
    assert tuner.next(8) == (1, 1)
    tuner.record(1, 1, 1e-3)
    assert tuner.next(8) == (1, round(CALL_SECONDS / 1e-3))
    tuner.record(1, 50, FIRST_TRIAL_SECONDS / 4)  # faster than thought
    assert tuner.next(8) == (1, round(CALL_SECONDS / 5e-4))
    tuner.record(1, 1, 1.0)
    assert tuner.next(8) == (1, 1)


def test_threads_are_held_back_for_a_while_and_what_was_learned_stays():
    times = {1: 4e-4, 2: 2e-4, 3: 15e-5, 4: 1e-4}
    tuner = ThreadTuner(4)
    assert tuner.next(3) == (3, 1)  # nothing is known yet
    tuner.record(3, 1, times[3])
    trained(tuner, times, 20.0)
    for _ in range(1000):
        assert tuner.next(3) == (3, round(HELD_BACK_SECONDS / times[4]))
        tuner.record(3, 100, 100 * times[3])
    assert (tuner.threads, tuner.seconds) == (4, pytest.approx(times[4]))
    assert trained(tuner, times, 20.0)[4] > 0.95


def test_no_more_threads_than_there_are_even_to_try_them():
    times, tuner = {1: 2e-4, 2: 1e-4, 4: 5e-5}, ThreadTuner(1, 4)
    for available in (1, 2, 1):
        for _ in range(1000):
            threads, batches = tuner.next(available)
            assert threads <= available
            tuner.record(threads, batches, batches * times[threads])
    assert trained(tuner, times, 5.0)[4] > 0.8
