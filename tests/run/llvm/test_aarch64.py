"""Whole programs for AArch64 give the same bits as the host's, under user-mode emulation.

It needs Debian's packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from backhand.check.examples import EXAMPLES
from backhand.check.kernels import random_problem, trained
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.plan.step import training_plan
from backhand.run.llvm.machine.target import Target, emit_object
from backhand.run.llvm.program.emit import emit_program
from backhand.run.llvm.program.kernel_plan import plan_kernels
from backhand.run.llvm.runtime import engine
from backhand.run.llvm.runtime import instance as instance_module

DRIVER = pathlib.Path(__file__).with_name("emulated.c")
LINKER = "aarch64-linux-gnu-gcc"
EMULATOR = next(filter(shutil.which, ("qemu-aarch64", "qemu-aarch64-static")), None)


def emulated(test):
    """Leave a test to the campaigns, and skip it there without what it needs."""
    needs = "needs Debian's qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"
    there = bool(EMULATOR and shutil.which(LINKER))
    return pytest.mark.campaign(pytest.mark.skipif(not there, reason=needs)(test))


def dumped(instance, first, last, threads):
    """The table and buffers of a runner as the driver reads them, and the names of the buffers."""
    instance.table.set(first=first, last=last, threads=threads)
    instance.barrier[:2] = instance.blocks_done[...] = 0
    words = [np.int64([threads, len(instance.code.slots)]).tobytes()]
    names = []
    for name in instance.code.slots:
        if name not in instance.table:
            words.append(np.int64([-1, instance.table.number(name)]).tobytes())
        else:
            buffer = instance.table[name]
            assert buffer.flags.c_contiguous, name
            words.append(np.int64(buffer.nbytes).tobytes() + buffer.tobytes())
            names.append(name)
    return b"".join(words), names


class Emulation:
    """Repeats under emulation what the engine runs here, and compares every buffer."""

    def __init__(self, folder, monkeypatch, threads):
        self.folder, self.threads, self.runs = folder, threads, 0
        self.binaries = {}
        compiled, run = engine.compiled, instance_module.Instance.run

        def remembered(kernel_plan, sources):
            code = compiled(kernel_plan, sources)
            self.binaries[id(code)] = self.linked(kernel_plan, sources)
            return code

        def compared(instance, first, last, threads, seconds, allow_partial_update=False):
            content, names = dumped(instance, first, last, self.threads)
            got = self.emulate(self.binaries[id(instance.code)], content)
            run(instance, first, last, threads, seconds, allow_partial_update)
            self.compare(instance, names, got)

        monkeypatch.setattr(engine, "compiled", remembered)
        monkeypatch.setattr(instance_module.Instance, "run", compared)

    def linked(self, kernel_plan, sources):
        target = Target.named("aarch64")
        stem = self.folder / f"program{len(self.binaries)}"
        module = emit_program(kernel_plan, target, sources)
        stem.with_suffix(".o").write_bytes(emit_object(module, target))
        parts = [str(DRIVER), f"{stem}.o", "-o", str(stem)]
        subprocess.run([LINKER, "-static", "-pthread", "-O1", *parts], check=True, timeout=60)
        return stem

    def emulate(self, binary, content):
        into, out = self.folder / "in", self.folder / "out"
        into.write_bytes(content)
        subprocess.run([EMULATOR, binary, into, out], check=True, timeout=60)
        return out.read_bytes()

    def compare(self, instance, names, content):
        self.runs += 1
        for name in names:
            here = instance.table[name]
            there = np.frombuffer(content[: here.nbytes], here.dtype).reshape(here.shape)
            content = content[here.nbytes :]
            if name not in ("barrier", "split_k.done"):  # these depend on the number of threads
                assert there.tobytes() == here.tobytes(), f"{name} differs"


CASES = [
    ("float32", "gelu", "softmax_cross_entropy", "adam", 1),
    ("float64", "mish", "huber", "adamw", 1),
    ("float32", "tanh", "poisson", "nesterov", 3),
    ("float64", "elu", "binary_cross_entropy", "momentum", 2),
]


@emulated
@pytest.mark.parametrize(("dtype", "activation", "loss", "optimiser", "threads"), CASES)
def test_training_gives_the_same_bits(
    tmp_path, monkeypatch, dtype, activation, loss, optimiser, threads
):
    emulation = Emulation(tmp_path, monkeypatch, threads)
    rng = np.random.default_rng(0)
    network = Network(
        (21, 37, 18, 19),
        activation=[activation, "softplus"],
        loss=loss,
        dropout=[0.25, 0.0],
        dtype=dtype,
    )
    params, data = random_problem(rng, network, 60, True)
    trained(
        engine.CompiledTrainer,
        network,
        params,
        data,
        OPTIMISERS[optimiser],
        batch=23,
        steps=9,
        threads=1,
    )
    assert emulation.runs >= 3


@emulated
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_split_k_gives_the_same_bits(tmp_path, monkeypatch, dtype):
    emulation = Emulation(tmp_path, monkeypatch, 2)
    rng = np.random.default_rng(0)
    network = Network((300, 20, 3), activation="silu", loss="softmax_cross_entropy", dtype=dtype)
    params, data = random_problem(rng, network, 250, True)
    trainer = engine.CompiledTrainer
    trained(trainer, network, params, data, OPTIMISERS["adam"], batch=101, steps=3, threads=2)
    assert emulation.runs >= 1


@emulated
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_gives_the_same_bits(tmp_path, monkeypatch, dtype):
    emulation = Emulation(tmp_path, monkeypatch, 1)
    network = Network((7, 33, 33, 5), activation=["logistic", "silu"], dtype=dtype)
    x = np.random.default_rng(1).integers(0, 255, (40, 7)).astype(np.uint8)
    network.predictor(network.init("glorot_normal"))(x)
    assert emulation.runs == 1


@emulated
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_gives_the_same_bits(tmp_path, monkeypatch, name):
    emulation = Emulation(tmp_path, monkeypatch, 1 + len(name) % 3)
    layers, inputs = EXAMPLES[name]
    network = Network(layers, inputs=inputs, loss="softmax_cross_entropy")
    params, data = random_problem(np.random.default_rng(0), network, 30, True)
    given = network, params, data, OPTIMISERS["adam"]
    trained(engine.CompiledTrainer, *given, batch=11, steps=3, threads=1)
    assert emulation.runs >= 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_makes_object_code(name):
    """Without emulation: LLVM accepts every program for AArch64."""
    layers, inputs = EXAMPLES[name]
    network = Network(layers, inputs=inputs, loss="softmax_cross_entropy")
    target, real, index = Target.named("aarch64"), np.dtype("f4"), np.dtype("i8")
    sources = {"all_x": real, "all_t": index, "all_weight": real}
    kernel_plan = plan_kernels(training_plan(network, OPTIMISERS["adam"]))
    code = emit_object(emit_program(kernel_plan, target, sources), target)
    assert code[:4] == b"\x7fELF"
    assert code[18] == 183  # EM_AARCH64


def test_every_formula_makes_object_code(monkeypatch):
    """Without emulation: LLVM accepts every program for AArch64."""
    made = []
    compiled = engine.compiled

    def remembered(kernel_plan, sources):
        target = Target.named("aarch64")
        module = emit_program(kernel_plan, target, sources)
        made.append(emit_object(module, target))
        return compiled(kernel_plan, sources)

    monkeypatch.setattr(engine, "compiled", remembered)
    rng = np.random.default_rng(0)
    names, losses = list(ACTIVATIONS), list(LOSSES)
    for number in range(0, len(names), 3):
        network = Network(
            (3, 4, 4, 4, 2),
            activation=[names[(number + i) % len(names)] for i in range(3)],
            loss=losses[number // 2 % len(losses)],
            dropout=0.1,
        )
        params, data = random_problem(rng, network, 5, True)
        trainer = engine.CompiledTrainer
        trained(trainer, network, params, data, OPTIMISERS["adam"], batch=5, steps=1)
    assert all(code[:4] == b"\x7fELF" and code[18] == 183 for code in made)  # EM_AARCH64
    assert len(made) == -(-len(names) // 3)
