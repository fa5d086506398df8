"""Small trainings in many ways at once, as a script: ``python tests/run/llvm/fits.py WAY``.

After the ways of Ctrl-C come the numbers of threads and of trainings: ``interrupt 2 60``.
Each way compares what it trains, bit for bit, with the same trainings one after another. The tests
beside this file run it in processes of its own, so that a hang is a timeout.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

from backhand.formulas.optimisers import choose_optimiser
from backhand.network import Network
from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan
from backhand.run.llvm import tuning
from backhand.run.llvm.host import team
from backhand.run.llvm.kernels import cancellation
from backhand.run.llvm.runtime import engine
from backhand.run.llvm.runtime import instance as instance_module
from backhand.train.config import TrainConfig
from backhand.train.fit import fit
from backhand.train.rows import Rows


def train(seed, threads=None, epochs=3, rows=600, callbacks=()):
    """What a training gives, as `FitResult`."""
    rng = np.random.default_rng(seed)
    network = Network((20, 65, 64, 3), activation="silu", dropout=0.1)
    x = rng.standard_normal((rows, 20)).astype(np.float32)
    t = rng.standard_normal((rows, 3)).astype(np.float32)
    settings = TrainConfig(epochs=epochs, batch_size=128, seed=seed, threads=threads)
    params = network.init("glorot_normal", seed)
    return fit(network, params, Rows(x, t), settings, callbacks=callbacks)


def bits(trained):
    return b"".join(a.tobytes() for a in trained.params.values())


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
    one(99, 2)  # Python itself does not survive a fork while another thread imports
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


def compile_new(number):
    """A program that no other call makes."""
    network = Network((3, 1000 + number, 2))
    network.predictor(network.init("glorot_normal"))(np.ones((2, 3), np.float32))


def in_forked_while_compiling():
    """Forks while another thread holds the compiler: the child must be able to use it."""
    os.environ["BACKHAND_CACHE"] = "off"
    one(99)
    numbers, stop = iter(range(10_000)), threading.Event()

    def busy():
        while not stop.is_set():
            compile_new(next(numbers))

    worker = threading.Thread(target=busy)
    worker.start()
    context = multiprocessing.get_context("fork")
    try:
        for number in range(20_000, 20_010):
            time.sleep(random.random() * 0.02)
            child = context.Process(target=compile_new, args=(number,), daemon=True)
            child.start()
            child.join(20)
            assert child.exitcode == 0, f"the child has not ended well: {child.exitcode}"
    finally:
        stop.set()
        worker.join()


def in_spawned():
    return _process("spawn", 2)


class Watch:
    """How many threads of one process are at work, call by call."""

    def __init__(self):
        self.lock, self.now, self.seen = threading.Lock(), 0, []

    @classmethod
    def of_process(cls):
        if not hasattr(team, "watch"):
            team.watch, run = cls(), team.Team.run

            def watched(self, *args):
                watch = team.watch
                with watch.lock:
                    watch.now += self.threads
                    watch.seen.append(watch.now)
                try:
                    return run(self, *args)
                finally:
                    with watch.lock:
                        watch.now -= self.threads

            team.Team.run = watched
        return team.watch


def counted(seed):
    """A training's bits, and how many threads were at work in this process meanwhile."""
    watch = Watch.of_process()
    first = len(watch.seen)
    return bits(train(seed, epochs=20)), watch.seen[first:]


def joblib(backend, jobs=2):
    from joblib import Parallel, delayed

    if backend == "threading":
        tuning.LINGER_SECONDS = 1e9  # who waits for a processor on a busy machine is not at rest
    found = Parallel(n_jobs=jobs, backend=backend)(delayed(counted)(seed) for seed in SEEDS)
    cores = len(os.sched_getaffinity(0))
    given = max(1, cores // jobs) if backend == "loky" else max(cores, jobs)
    seen = np.concatenate([threads for _, threads in found])
    beyond = float((seen > given).mean())
    print(f"{backend}: {given} threads given, more in {beyond:.1%} of calls, at most {seen.max()}")
    assert beyond <= (0.0 if backend == "loky" else 0.2)  # threads learn of each other by and by
    return [a for a, _ in found]


def counting_calls():
    """An event that the next call of native code sets, and the list that each appends to."""
    begun, calls, run = threading.Event(), [], instance_module.Instance.run

    def counted(self, *args):
        calls.append(1)
        begun.set()
        return run(self, *args)

    instance_module.Instance.run = counted
    return begun, calls


def interrupted(threads, times):
    """Ctrl-C at random moments: no further call of native code, and what is there works on.

    Most of them come while it trains, the others maybe before. How long a call may take is for the
    tests of `thread_tuner`.
    """
    random.seed(0)
    begun, calls = counting_calls()
    for number in range(times):
        begun.clear()
        early, sent = number % 4 == 3, []

        def send(early=early, sent=sent):
            early or begun.wait()
            time.sleep(random.random() * 0.06)
            os.kill(os.getpid(), signal.SIGINT)
            sent.append(len(calls))

        killer = threading.Thread(target=send)
        trained = None
        try:
            killer.start()
            trained = train(number, threads, epochs=10**6, rows=20_000)
        except KeyboardInterrupt:
            assert early, "fit has not taken Ctrl-C"
        killer.join()
        # the main thread may have been about to begin one, and while it does, to end another
        assert len(calls) - sent[0] <= 2, f"{len(calls) - sent[0]} calls after Ctrl-C"
        if trained is not None:
            assert trained.stopped == "interrupted"
            assert all(np.isfinite(a).all() for a in trained.params.values())
        if number % 10 == 0:
            assert one(1, threads) == one(1, 1)
    assert max(team._Busy.until.values()) < np.inf, "a thread counts as at work for ever"


class Steps:
    """A training whose parameters and state are known after each of its few steps."""

    BATCH, COUNT = 1000, 4

    def __init__(self, optimiser, threads, widths=(60, 300, 200, 3), density=None):
        rng = np.random.default_rng(0)
        rows = self.BATCH * self.COUNT
        self.network = Network(widths, activation="silu", dropout=0.1)
        self.optimiser, self.threads = choose_optimiser(optimiser), threads
        self.x = rng.standard_normal((rows, widths[0])).astype(np.float32)
        if density:
            self.x = sparse.csr_array(self.x * (rng.random(self.x.shape) < density))
        self.t = rng.standard_normal((rows, widths[-1])).astype(np.float32)
        self.start = self.network.init("glorot_normal")
        trainer = self.trainer()
        self.known, self.params = [self.bits(trainer)], [trainer.params]
        for step in range(self.COUNT):
            self.run(trainer, step, step + 1)
            self.known.append(self.bits(trainer))
            self.params.append(trainer.params)

    def trainer(self):
        return engine.CompiledTrainer(self.network, self.start, self.optimiser, 7, self.threads)

    def run(self, trainer, first, last):
        """Steps ``first`` to ``last - 1``."""
        steps = np.arange(first, last, dtype=float)
        plan, rates = training_plan(self.network, self.optimiser), np.full(len(steps), 1e-3)
        scalars = step_scalars(plan, self.optimiser, steps, rates, l2=0.01)
        order = np.arange(first * self.BATCH, last * self.BATCH)
        trainer.epoch(self.x, self.t, None, order, self.BATCH, scalars, first)

    @staticmethod
    def bits(trainer):
        arrays = [*trainer.params.values(), *trainer.state.values()]
        return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def whole_step(whole, trainer):
    """How many steps have made the parameters and the state."""
    return whole.known.index(whole.bits(trainer))


def outlived():
    """Trainings in a thread that goes on when the main thread has ended, with new threads."""
    main = threading.main_thread()

    def go_on():
        main.join()
        found = [bits(train(seed, 3)) for seed in SEEDS]
        assert found == [bits(train(seed, 1)) for seed in SEEDS]
        print("right after the end")

    threading.Thread(target=go_on).start()


def interrupted_in_a_batch(threads, times):
    """Ctrl-C in long batches, of which the native code works off a small piece at a time.

    Where it falls is chance, so only many times have to leave batches at each kind of place.
    """
    os.environ["BACKHAND_CACHE"] = "off"
    tuning.PIECE_WORK, tuning.CALL_SECONDS, tuning.LONG_SECONDS = 1 << 18, 0.0, 0.0
    random.seed(1)
    left, tried = {"rows": 0, "sums": 0}, 0
    trainings = [Steps(optimiser, threads) for optimiser in ("adam", "sgd")]
    trainings.append(Steps("adam", threads, (900, 160, 40, 3), 0.1))
    # more of them where a busy machine has spoilt the aim
    many = times >= 40
    while tried < 2 * times or (many and min(left.values()) < 3 and tried < 16 * times):
        for whole in trainings:
            tried += 1
            trainer = whole.trainer()
            whole.run(trainer, 0, 1)
            wait = random.random() * 0.9 * (whole.COUNT - 1) * trainer._tuner.seconds
            killer = threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT))
            try:
                killer.start()
                whole.run(trainer, 1, whole.COUNT)
                time.sleep(10)  # it comes after the last step
            except KeyboardInterrupt:
                pass
            stop = trainer._instance.stop
            left["rows"] += int(stop[cancellation.ROWS + 1])
            left["sums"] += int(stop[cancellation.SUMS + 1])
            done = whole_step(whole, trainer)
            if done < whole.COUNT:  # and from there it goes on as if nothing had been
                whole.run(trainer, done, whole.COUNT)
                assert whole.bits(trainer) == whole.known[-1]
    print(f"{left} of {tried} were left")
    assert not many or min(left.values()) >= 3


WAYS = {
    "threads": in_threads,
    "fork": in_forked,
    "fork-while-training": in_forked_while_training,
    "fork-while-compiling": in_forked_while_compiling,
    "spawn": in_spawned,
    "loky": lambda: joblib("loky"),
    "threading": lambda: joblib("threading"),
    "outlived": outlived,
    "interrupt": interrupted,
    "interrupt-batch": interrupted_in_a_batch,
}


def main():
    with contextlib.suppress(AttributeError):
        import faulthandler

        faulthandler.dump_traceback_later(500, exit=True)
    way, *numbers = sys.argv[1:]
    epochs = 20 if way in ("loky", "threading") else 3
    processors = os.sched_getaffinity(0)
    found = WAYS[way](*map(int, numbers))
    assert os.sched_getaffinity(0) == processors, "the main thread is left on some processors"
    if found is not None:
        want = [bits(train(seed, 1, epochs)) for seed in SEEDS]
        assert found == want, "other bits than one after another"
    print("right")


if __name__ == "__main__":
    main()
