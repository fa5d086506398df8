"""Runs random programs with every array flush against memory that may not be touched.

As a script: ``python tests/run/llvm/guard_pages.py --cases 2000``. It prints each case before it
runs it, so that after a fault the last line names the case; `test_guard_pages.py` runs a sample.
Every case runs three times, in ordinary memory and with arrays against the end and against the
start of their pages, and must give the same bits: reading beside an array would show there too.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import faulthandler
import mmap
import os
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from backhand.check.examples import random_layers
from backhand.check.kernels import PRIMES, random_problem, tile_sizes
from backhand.estimators import MLPRegressor
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.plan.scalars import step_scalars
from backhand.plan.step import gradient_plan, training_plan
from backhand.run.llvm.runtime import binding, engine
from backhand.run.llvm.runtime import instance as instance_module
from backhand.run.llvm.runtime import single_row as single

PAGE = mmap.PAGESIZE
DTYPES = ("float32", "float64", "uint8", "int8", "int16", "uint16", "int32", "int64", "bool")
COPIED = (">f4", ">f8", ">i4", "float16", "longdouble", "uint32", "uint64")
"""What nothing compiled reads: it is copied first."""
MANY_INPUTS = (241, 256, 300, 517)
IN_PANELS = (65, 117, 128, 128, 192, 192, 253, 256, 320)
WHOLE_PAGES = (512, 1010, 1024, 2048, 4090, 4096, 8192)
KINDS = ("train", "forward", "gradients", "sparse", "parts")
LAYERED = ("train", "forward", "gradients")
"""What half the cases do with random layers, instead of a chain."""

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def reach(a):
    """How far an array's bytes reach from its first element: down (negative), and up."""
    steps = [s * (n - 1) for s, n in zip(a.strides, a.shape, strict=True) if n > 1]
    return sum(s for s in steps if s < 0), sum(s for s in steps if s > 0) + a.itemsize


class Guarded:
    """Memory between pages that may not be touched, until it is closed.

    Parameters
    ----------
    at_end : bool
        Whether arrays end where their page ends, else they begin where it begins.
    short : int
        Bytes by which every buffer is made too small on purpose: the harness must see it.
    """

    def __init__(self, at_end, short=0):
        self.at_end, self.short = at_end, short
        self.areas = []

    def place(self, size):
        """The address of so many bytes."""
        whole = -(-max(size, 1) // PAGE) * PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        start = libc.mmap(None, whole + 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        assert start not in (None, ctypes.c_void_p(-1).value), os.strerror(ctypes.get_errno())
        self.areas.append((start, whole + 2 * PAGE))
        for guard in (start, start + PAGE + whole):
            assert libc.mprotect(guard, PAGE, 0) == 0, os.strerror(ctypes.get_errno())
        return start + PAGE + (whole - size if self.at_end else 0)

    def bytes(self, size):
        """So many zero bytes as an array."""
        address = self.place(size)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)

    def allocate_arena(self, wanted):
        """In place of `instance_module.allocate_arena`: every array between guards of its own."""
        return {name: self.aligned(shape, dtype) for name, (shape, dtype) in wanted.items()}

    def aligned(self, shape, dtype):
        """In place of `instance_module.aligned`."""
        dtype = np.dtype(dtype)
        size = max(0, int(np.prod(shape)) * dtype.itemsize - self.short)
        if self.short:  # a whole array for NumPy, of which the program may touch a part
            room = self.place(size)
            ctype = ctypes.c_uint8 * int(np.prod(shape) * dtype.itemsize)
            return np.frombuffer(ctype.from_address(room), np.uint8).view(dtype).reshape(shape)
        return self.bytes(size).view(dtype).reshape(shape)

    def copy(self, a):
        """The same values and strides, without a byte to spare."""
        if a is None:
            return None
        low, high = reach(a)
        made = np.ndarray(a.shape, a.dtype, self.bytes(high - low), -low, a.strides)
        made[...] = a
        return made

    def bind(self, table, name, a, slot=None):
        """In place of `Table.bind`: what the engine made itself goes between guards too."""
        if name in ("scalars", "words", "order"):
            a = self.copy(np.ascontiguousarray(a))
        return BIND(table, name, a, slot)

    def run_pass(self, instance, given, rows, outputs):
        """In place of `Instance.run_pass`, which writes into arrays that the engine made."""
        guarded = {name: self.copy(a) for name, a in outputs.items()}
        blocks = PASS(instance, given, rows, guarded)
        for name, a in outputs.items():
            a[...] = guarded[name]
        return blocks

    def single(self, one, description, params):
        """In place of `single.SingleRow`'s beginning: its output goes between guards too."""
        SINGLE(one, description, params)
        if one.usable:
            like = one._make()
            one._make = lambda: self.bytes(like.nbytes).view(like.dtype).reshape(like.shape)

    def close(self):
        for start, size in self.areas:
            libc.munmap(start, size)
        self.areas = []


ALIGNED, ARENA, BIND, PASS, SINGLE = (
    instance_module.aligned,
    instance_module.allocate_arena,
    binding.Table.bind,
    instance_module.Instance.run_pass,
    single.SingleRow.__init__,
)


class Ordinary:
    """Memory as it comes."""

    aligned = staticmethod(ALIGNED)
    allocate_arena = staticmethod(ARENA)
    bind = staticmethod(BIND)
    run_pass = staticmethod(PASS)
    single = staticmethod(SINGLE)

    def copy(self, a):
        return a

    def close(self):
        pass


def install(memory):
    """Let the engine take its memory here."""
    instance_module.aligned, instance_module.allocate_arena = memory.aligned, memory.allocate_arena
    binding.Table.bind = lambda one, *args: memory.bind(one, *args)
    instance_module.Instance.run_pass = lambda one, *args: memory.run_pass(one, *args)
    single.SingleRow.__init__ = lambda one, *args: memory.single(one, *args)


def strided(rng, a):
    """The same rows at another distance, backwards, with elements apart, or one row for all."""
    choice = int(rng.integers(8))
    if choice < 2:
        return a
    if choice == 2:
        return np.asfortranarray(a)
    if choice == 3:
        return np.ascontiguousarray(a[:, ::-1])[:, ::-1]
    if choice == 4:
        return np.broadcast_to(a[:1], a.shape)
    apart = 2 if choice == 5 else 1
    wide = np.zeros((len(a), apart * a.shape[1] + int(rng.integers(1, 5))), a.dtype)
    view = wide[:, : apart * a.shape[1] : apart]
    view[...] = a[::-1] if choice == 7 else a
    return view[::-1] if choice == 7 else view


def _chain(rng, sizes, loss, dtype, splits_k):
    """A network of linear layers, whose first one may have a way of its own."""
    widths = [int(rng.choice(sizes)) for _ in range(int(rng.integers(2, 5)))]
    if len(widths) > 2 and rng.random() < 0.5:  # the first layer's weights lie in panels
        widths[1] = int(rng.choice(IN_PANELS))
    if rng.random() < 0.05:  # rows of whole pages, which strides avoid
        widths[int(rng.integers(len(widths)))] = int(rng.choice(WHOLE_PAGES))
    if splits_k:  # threads may own inputs of the first layer
        widths[0], widths[1] = int(rng.choice(MANY_INPUTS)), int(rng.integers(1, 60))
    widths[-1] = max(widths[-1], 2 if loss.by_row else 1)
    activations = rng.choice(list(ACTIVATIONS), len(widths) - 2).tolist()
    dropout = float(rng.choice([0.0, 0.3]))
    chosen = activations or "relu"
    return Network(widths, activation=chosen, loss=loss, dropout=dropout, dtype=dtype)


class Case:
    """A random program and its data; the same for the same seed and number."""

    ways: ClassVar = collections.Counter()  # what the engine chose

    def __init__(self, seed, number):
        rng = np.random.default_rng((seed, number))
        sizes = (*tile_sizes(), *PRIMES, *range(1, 9), 100, 129)
        most = (*sizes, 257, 515)  # rows: a pass without learning takes 256 at once
        self.kind = KINDS[int(rng.integers(len(KINDS)))]
        loss = list(LOSSES.values())[int(rng.integers(len(LOSSES)))]
        dtype = str(rng.choice(["float32", "float64"]))
        splits_k = False
        if self.kind in LAYERED and rng.random() < 0.5:
            inputs, outputs = (int(rng.choice(sizes)) for _ in range(2))
            outputs = len(loss.levels) or max(outputs, 2 if loss.by_row else 1)
            layers = random_layers(rng, inputs, outputs, blocks=int(rng.integers(1, 5)))
            self.network = network = Network(layers, inputs=inputs, loss=loss, dtype=dtype)
        else:
            splits_k = rng.random() < 0.15
            self.network = network = _chain(rng, sizes, loss, dtype, splits_k)
        self.optimiser = list(OPTIMISERS.values())[int(rng.integers(len(OPTIMISERS)))]
        rows, self.batch = int(rng.choice(most)), int(rng.choice(sizes))
        if splits_k:
            rows, self.batch = rows + 99, self.batch + 99
        self.threads = int(rng.integers(1, 4))
        single = self.kind == "forward" and number % 3 == 0  # one row has a way of its own
        rows = 1 if single else rows
        params, (x, t, weight) = random_problem(rng, network, rows, bool(rng.integers(2)))
        dtypes = [network.dtype] if single else [*DTYPES, *COPIED, *2 * [network.dtype]]
        x = (2 * x).astype(str(rng.choice(dtypes)))
        for column, values in network.categories.items():
            x[:, column] = rng.integers(0, min(values, 2 if x.dtype == bool else values), rows)
        if not loss.by_row:
            t = t.astype(str(rng.choice(["float32", "float64"])))
        self.params, self.x, self.t = params, strided(rng, x), strided(rng, t)
        self.weight = None if weight is None else strided(rng, weight)
        used = int(rng.integers(1, rows + 1))
        self.order = rng.permutation(rows)[:used].astype(np.int64)

    def __str__(self):
        net, x = self.network, self.x
        if net.is_chain:
            activations = ",".join(a.name for a in net.activations)
            layers = f"{'-'.join(map(str, net.widths))} {activations} dropout {net.dropout}"
        else:
            layers = f"{net.inputs} {', '.join(map(str, net.layers))}"
        return (
            f"{self.kind} {layers} {net.dtype} {net.loss.name} "
            f"{self.optimiser.name} batch {self.batch} of {len(self.order)}/{len(x)} rows, "
            f"x {x.dtype} strides {x.strides}, t {self.t.dtype}, "
            f"weight {self.weight is not None}, threads {self.threads}"
        )

    def run(self, memory):
        """What the program gives, as bytes."""
        install(memory)
        try:
            x, t, weight = (memory.copy(a) for a in (self.x, self.t, self.weight))
            got = getattr(self, f"_{self.kind}")(memory, x, t, weight)
            return b"".join(np.ascontiguousarray(a).tobytes() for a in got)
        finally:
            install(Ordinary())

    def _train(self, memory, x, t, weight):
        trainer = engine.CompiledTrainer(
            self.network, self.params, self.optimiser, 5, threads=self.threads
        )
        batch = min(self.batch, len(self.order))
        batches = -(-len(self.order) // batch)
        order = memory.copy(self.order)
        for epoch in range(2):
            steps = np.arange(batches, dtype=float) + epoch * batches
            plan, rates = training_plan(self.network, self.optimiser), np.full(batches, 1e-3)
            scalars = step_scalars(plan, self.optimiser, steps, rates, l2=0.01)
            trainer.epoch(x, t, weight, order, batch, scalars, epoch * batches)
        code = trainer._instance.code
        self.ways["panels"] += bool(code.packed)
        self.ways[code.partition_mode(batch, self.threads)] += 1
        return [*trainer.params.values()]

    def _sparse(self, memory, x, t, weight):
        """Training on stored entries, some of which lie at the ends of their arrays."""
        if x.dtype.str[1:] == "f2" or not x.dtype.isnative:
            x = x.astype(self.network.dtype)  # SciPy has no such sparse matrices
        kept = np.random.default_rng(len(x)).random(x.shape) < 0.3
        rows = csr_array(np.where(kept, x, 0).astype(x.dtype))
        wide = np.int64 if self.batch % 2 else np.int32
        rows.data, rows.indices = memory.copy(rows.data), memory.copy(rows.indices.astype(wide))
        rows.indptr = memory.copy(rows.indptr.astype(np.int64))
        return self._train(memory, rows, t, weight)

    def _parts(self, memory, x, t, weight):
        """Two calls of partial_fit; parameters, and the dtype and layout of X, change between."""
        t, weight = np.ravel(t[:, :1]), None if weight is None else np.ravel(weight)
        dtype, hidden = self.network.dtype, self.network.widths[1:-1]
        made = MLPRegressor(
            hidden_layer_sizes=hidden,
            solver="sgd",
            random_state=0,
            threads=self.threads,
            dtype=dtype,
        )
        try:
            made.partial_fit(x, memory.copy(t), weight)
        except ValueError:  # it diverges, in any memory
            return [self.x[:1]]
        made.set_params(hidden_layer_sizes=(3, 200), activation="tanh", batch_size=self.batch)
        made.set_params(dtype="float64", solver="adam", alpha=0.1)
        other = memory.copy(np.asfortranarray(x[::-1].astype(DTYPES[len(x) % len(DTYPES)])))
        with contextlib.suppress(ValueError):  # the refusal may be the same in all memories
            made.partial_fit(other, memory.copy(t[::-1]))
        predicted = []
        with contextlib.suppress(ValueError):  # it overflows
            predicted.append(made.predict(x))
        return [*made.coefs_, *made.intercepts_, *predicted]

    def _forward(self, memory, x, t, weight):
        """Weights are read in their homes, and so is what is written there later."""
        homes = {name: instance_module.aligned_copy(a) for name, a in self.params.items()}
        forward = engine.Forward(self.network, homes, self.threads, in_place=True)
        before = forward(x)
        for a in homes.values():
            a *= 0.5
        return [before, forward(x)]

    def _gradients(self, memory, x, t, weight):
        network = self.network
        if x.dtype != network.dtype:
            x = memory.copy(np.ascontiguousarray(x, network.dtype))
        if weight is None:
            weight = memory.copy(np.ones((len(x), 1), network.dtype))
        plan = gradient_plan(network, wrt_input=True)
        given = {"x": x, "t": t, "weight": weight}
        outputs = plan.dx.name, plan.logits.name
        got = engine.execute(plan, self.params, given, outputs, self.threads)
        return [np.array(got[name]) for name in sorted(got)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--short", type=int, default=0, help="plant a fault of so many bytes")
    options = parser.parse_args()
    faulthandler.enable()
    kinds = collections.Counter()
    for number in range(options.first, options.first + options.cases):
        case = Case(options.seed, number)
        print(f"case {number}: {case}", flush=True)
        kinds[case.kind, case.network.dtype, case.threads] += 1
        want = case.run(Ordinary())
        for place in ("end", "start"):
            print(f"  against the {place}", flush=True)
            memory = Guarded(place == "end", options.short)
            got = case.run(memory)
            assert got == want, "other bits between guard pages"
            memory.close()
    for what, count in sorted(kinds.items()):
        print(f"{count} x {' '.join(map(str, what))} threads")
    for way, count in sorted(Case.ways.items()):
        print(f"{count // 3} x first layer in {way}")  # each case runs three times
    print(f"{options.cases} cases without a fault")


if __name__ == "__main__":
    main()
