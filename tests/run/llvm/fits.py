"""Small trainings in many ways at once, as a script: ``python tests/run/llvm/fits.py WAY``.

Each way compares what it trains, bit for bit, with the same trainings one after another. The tests
beside this file run it in processes of its own, so that a hang is a timeout.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from backhand.network import Network
from backhand.run.llvm import team
from backhand.training import Rows, Settings, fit


def train(seed, threads=None, epochs=3, rows=600, callbacks=()):
    """What a training gives, as `Trained`."""
    rng = np.random.default_rng(seed)
    network = Network((20, 65, 64, 3), activation="silu", dropout=0.1)
    x = rng.standard_normal((rows, 20)).astype(np.float32)
    t = rng.standard_normal((rows, 3)).astype(np.float32)
    settings = Settings(epochs=epochs, batch=128, seed=seed, threads=threads)
    params = network.init("glorot_normal", seed)
    return fit(network, params, Rows(x, t), settings, callbacks=callbacks)


def bits(trained):
    return b"".join(a.tobytes() for layer in trained.params for a in layer)


def one(seed, threads=None):
    return bits(train(seed, threads))


SEEDS = tuple(range(12))


def in_threads():
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda seed: one(seed, (None, 1, 2, 3)[seed % 4]), SEEDS))


def _process(method, threads):
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        return pool.starmap(one, [(seed, threads) for seed in SEEDS])


def in_forked():
    one(99, 2)  # the parent has a team already, whose threads a fork leaves behind
    found = _process("fork", 2)
    assert one(99, 2) == one(99, 1)
    return found


def in_forked_while_training():
    """Forks while other threads of the parent are inside native calls."""
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            one(99, 2)

    workers = [threading.Thread(target=busy) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        return _process("fork", 2)
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def in_spawned():
    return _process("spawn", 2)


def counted(seed):
    """A training's bits, and the most threads that were at work in this process meanwhile."""
    lock, state = threading.Lock(), _Work
    run = team.Team.run
    if not state.patched:
        state.patched = True

        def watched(self, work, started):
            with lock:
                state.now += self.threads
                state.most = max(state.most, state.now)
            try:
                return run(self, work, started)
            finally:
                with lock:
                    state.now -= self.threads

        team.Team.run = watched
    found = bits(train(seed, epochs=20))
    return found, state.most


class _Work:
    now = most = 0
    patched = False


def joblib(backend, jobs=2):
    from joblib import Parallel, delayed

    counted(0)
    _Work.most = 0
    found = Parallel(n_jobs=jobs, backend=backend)(delayed(counted)(seed) for seed in SEEDS)
    cores = len(os.sched_getaffinity(0))
    most = max(threads for _, threads in found)
    given = max(1, cores // jobs) if backend == "loky" else max(cores, jobs)
    print(f"{backend}: at most {most} threads in a process, {given} given")
    assert most <= given
    return [a for a, _ in found]


def interrupted(times=60, threads=2):
    """Ctrl-C at random moments: it ends training soon, and what is there goes on to work."""
    random.seed(0)
    late, ended = [], 0
    for number in range(times):
        sent = []

        def send(sent=sent):
            time.sleep(random.random() * 0.06)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        killer = threading.Thread(target=send)
        trained = None
        try:
            killer.start()
            trained = train(number, threads, epochs=10**6, rows=20_000)
            time.sleep(1)
        except KeyboardInterrupt:  # it came before fit could take it, or after
            pass
        late.append(time.perf_counter() - sent[0])
        killer.join()
        if trained is not None:
            ended += trained.stopped == "interrupted"
            assert all(np.isfinite(a).all() for layer in trained.params for a in layer)
        if number % 10 == 0:
            assert one(1, threads) == one(1, 1)
    late.sort()
    print(f"{ended} of {times} ended by fit; latest {late[-1]:.3f} s, {late[-2]:.3f} s")
    assert team._Busy.teams == 0, "a team is counted that is not at work"
    assert ended > times // 2
    assert late[-1] < 1
    assert late[-2] < 0.2
    return


WAYS = {
    "threads": in_threads,
    "fork": in_forked,
    "fork-while-training": in_forked_while_training,
    "spawn": in_spawned,
    "loky": lambda: joblib("loky"),
    "threading": lambda: joblib("threading"),
    "interrupt-1": lambda: interrupted(30, 1),
    "interrupt-2": interrupted,
}


def main():
    with contextlib.suppress(AttributeError):
        import faulthandler

        faulthandler.dump_traceback_later(100, exit=True)
    epochs = 20 if sys.argv[1] in ("loky", "threading") else 3
    found = WAYS[sys.argv[1]]()
    if found is not None:
        want = [bits(train(seed, 1, epochs)) for seed in SEEDS]
        assert found == want, "other bits than one after another"
    print("right")


if __name__ == "__main__":
    main()
