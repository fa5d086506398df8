"""Threads that wait for one another."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from backhand.run.llvm.kernels.barrier import emit_barrier, emit_wait
from backhand.run.llvm.machine.target import Target

from ..native import ADDRESS, NUMBER, native

X86 = Target.host().triple.startswith("x86")
PAUSE = ("llvm.x86.sse2.pause", ()) if X86 else ("llvm.aarch64.hint", (1,))


@pytest.fixture(scope="module")
def barrier():
    def emit(module):
        return emit_barrier(module, emit_wait(module, *PAUSE))

    return native(emit, [ADDRESS, NUMBER, ADDRESS])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_nobody_goes_on_before_everybody_has_arrived(barrier, threads):
    """More threads than processors: those that wait must yield."""
    words, arrived, early = np.zeros(2, np.int64), [0] * 20, []
    lock = threading.Lock()

    def work():
        for turn in range(20):
            with lock:
                arrived[turn] += 1
            barrier(words.ctypes.data, threads, words[1:].ctypes.data)
            if arrived[turn] != threads:
                early.append(turn)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert early == []
    assert words[0] == 20 * threads


def test_a_thread_that_never_comes_is_not_waited_for(barrier):
    words = np.zeros(2, np.int64)
    waiting = threading.Thread(
        target=barrier, args=(words.ctypes.data, 2, words[1:].ctypes.data), daemon=True
    )
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    words[1] = 1
    waiting.join(10)
    assert not waiting.is_alive()
