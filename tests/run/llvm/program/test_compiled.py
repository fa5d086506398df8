"""Programs and the cache between processes; and what happens when nothing can be compiled."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from backhand.errors import BackhandError
from backhand.estimators.classifier import MLPClassifier
from backhand.formulas.activations import Activation
from backhand.formulas.optimisers import choose_optimiser, clipping
from backhand.network import Network
from backhand.plan.layers import Dropout, Linear
from backhand.plan.step import training_plan
from backhand.run.llvm.machine import compile_store
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program import compiled
from backhand.run.llvm.program.compiled import fingerprint
from backhand.run.llvm.program.kernel_plan import plan_kernels
from backhand.run.llvm.runtime import single_row as single
from backhand.train.config import TrainConfig
from backhand.train.fit import fit
from backhand.train.result import DivergedError
from backhand.train.rows import Rows

SCRIPT = """
import sys, hashlib
from backhand.run.llvm.machine import compile_store
made, emit = [], compile_store.emit_object

def counted(*args):
    made.append(1)
    return emit(*args)

compile_store.emit_object = counted
import numpy as np
from backhand.network import Network
from backhand.train.rows import Rows
from backhand.train.config import TrainConfig
from backhand.train.fit import fit
network = Network((5, int(sys.argv[1]), 2), activation="gelu")
x = np.random.default_rng(0).standard_normal((30, 5)).astype("float32")
settings = TrainConfig(epochs=2, batch_size=8)
trained = fit(network, network.init("glorot_normal"), Rows(x, x[:, :2]), settings)
digest = hashlib.sha256(b"".join(a.tobytes() for a in trained.params.values()))
print(len(made), digest.hexdigest())
"""


def start(folder, width=7):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(width)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "BACKHAND_CACHE": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    made, checksum = out.split()
    return int(made), checksum


def test_a_second_process_compiles_nothing_and_garbage_is_compiled_again(tmp_path):
    first = ended(start(tmp_path / "objects"))
    assert first[0] > 1  # what programs share, and the program
    assert ended(start(tmp_path / "objects")) == (0, first[1])
    whole = {entry: entry.read_bytes() for entry in (tmp_path / "objects").rglob("*.o")}
    assert whole

    def spoilt(spoil):
        for entry, content in whole.items():
            entry.write_bytes(spoil(content))

    for spoil in (
        lambda content: b"",
        lambda content: os.urandom(len(content)),
        lambda content: content[:-1],
        lambda content: content[:80] + bytes([content[80] ^ 1]) + content[81:],
    ):
        spoilt(spoil)
        made, checksum = ended(start(tmp_path / "objects"))
        assert made > 1
        assert checksum == first[1]
        assert ended(start(tmp_path / "objects")) == (0, first[1])


def test_two_processes_at_once_and_no_cache_at_all(tmp_path):
    pair = [start(tmp_path / "objects", 9) for _ in range(2)]
    (_, one), (_, other) = map(ended, pair)
    assert one == other
    made, checksum = ended(start("off", 9))
    assert made > 1
    assert checksum == one
    assert ended(start(tmp_path / "objects", 9)) == (0, one)


# failure ------------------------------------------------------------------------------------------


@pytest.fixture
def no_compiler(monkeypatch):
    def fail(*args):
        raise BackhandError("compiled engine: LLVM refused a generated module: planted")

    monkeypatch.setenv("BACKHAND_CACHE", "off")
    monkeypatch.setattr(compile_store, "emit_object", fail)
    monkeypatch.setattr(compile_store, "_stores", {})
    for module in (compiled, single):
        monkeypatch.setattr(module, "_known", compile_store.RecentlyUsed())


X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)


def test_a_failure_to_compile_is_an_error_and_nothing_slower_is_taken(no_compiler, monkeypatch):
    for name in ("array_executor.ArrayTrainer.epoch", "arrays.walk", "arrays.perform"):
        monkeypatch.setattr(
            f"backhand.run.{name}", lambda *a: pytest.fail("the array executor was taken")
        )
    network = Network((3, 4, 1))
    params = network.init("glorot_normal")
    rows = Rows(X, X[:, :1])
    calls = [
        lambda: fit(network, params, rows, TrainConfig(epochs=1)),
        lambda: network.forward(params, X),
        lambda: network.forward(params, X[:1]),
        lambda: network.loss_and_grads(params, rows.x, rows.t),
        lambda: MLPClassifier((4,), max_iter=2).fit(X, X[:, 0] > 0),
    ]
    for call in calls:
        with pytest.raises(BackhandError, match="planted"):
            call()


def test_the_other_executor_is_taken_when_asked_for(no_compiler):
    network = Network((3, 4, 1))
    settings = TrainConfig(epochs=1, engine="numpy")
    assert fit(network, network.init("glorot_normal"), Rows(X, X[:, :1]), settings).history


def test_an_unknown_processor_runs_code_of_its_level(monkeypatch):
    """LLVM aborts the process at a name that it does not know, unless it is told the features."""
    host = Target.host()
    unknown = Target(host.triple, "zen99", host.features, host.vector_bytes, host.registers)
    network = Network((3, 4, 1), activation="tanh")
    params = network.init("glorot_normal")
    want = network.forward(params, X)
    monkeypatch.setenv("BACKHAND_CACHE", "off")
    monkeypatch.setattr(Target, "host", classmethod(lambda cls: unknown))
    assert np.array_equal(network.forward(params, X), want)


# divergence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "elu", "softplus", "gelu", "tanh"])
def test_a_diverging_loss_stops_training_and_names_epoch_and_layer(activation, dtype):
    network = Network((3, 8, 8, 1), activation=activation, dtype=dtype)
    rate = 1e200 if dtype == "float64" else 1e30
    settings = TrainConfig(epochs=200, batch_size=4, learning_rate=rate, optimiser="sgd")
    with pytest.raises(
        DivergedError, match=r"diverged in epoch \d+: .* (layer \d|[wb]\d|logits)"
    ) as caught:
        fit(network, network.init("glorot_normal"), Rows(X, 3 + X[:, :1]), settings)
    for a in caught.value.result.params.values():
        assert np.isfinite(a).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinity_in_data_are_named_before_anything_runs(value, dtype):
    x = X.astype(dtype)
    x[13, 2] = value
    network = Network((3, 4, 1))
    with pytest.raises(BackhandError, match=r"x\[13, 2\] is (nan|inf|-inf)"):
        fit(network, network.init("glorot_normal"), Rows(x, X[:, :1]), TrainConfig(epochs=1))


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_nan_that_appears_in_the_middle_is_seen(engine):
    """A formula of a user's own that gives NaN for some inputs."""
    bad = Activation("log", lambda xp, z: xp.log(z), lambda xp, z, y, dy: dy / z, saves=("z",))
    network = Network((3, 4, 1), activation=bad)
    with pytest.raises(DivergedError, match="epoch 1"):
        fit(
            network,
            network.init("glorot_normal"),
            Rows(X, X[:, :1]),
            TrainConfig(epochs=3, engine=engine),
        )


# keys ---------------------------------------------------------------------------------------------


def test_a_formula_has_the_fingerprint_of_what_it_does():
    def scaled(factor):
        return lambda xp, z: factor * z

    assert fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    assert fingerprint(scaled(2.0)) != fingerprint(scaled(3.0))
    assert fingerprint(lambda z: z + 1) != fingerprint(lambda z: z + 2)
    assert fingerprint(functools.partial(scaled, 2)) != fingerprint(functools.partial(scaled, 3))


def test_what_is_worked_out_once_a_step_is_no_part_of_the_key():
    def key(rate, dropout, limit, units=5):
        layers = [Linear(units, learning_rate=rate), Dropout(dropout), Linear(2)]
        network = Network(layers, inputs=3)
        optimiser = clipping(choose_optimiser(f"adam:beta1={0.8 + dropout}"), limit)
        kernel_plan = plan_kernels(training_plan(network, optimiser))
        return compiled.program_key(kernel_plan, Target.host(), {"all_x": np.dtype("f4")})

    assert key(2.0, 0.1, 1.0) == key(3.0, 0.15, 2.0)
    assert key(2.0, 0.1, 1.0) != key(2.0, 0.1, 1.0, units=6)
    assert key(1.0, 0.1, 1.0) != key(2.0, 0.1, 1.0)  # one group of parameters, or two


EVERY_FINGERPRINT = """
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS
from backhand.run.llvm.program.compiled import fingerprint
for a in ACTIVATIONS.values():
    print(fingerprint(a.forward), fingerprint(a.vjp))
for a in LOSSES.values():
    print(fingerprint(a.value), fingerprint(a.grad))
for a in OPTIMISERS.values():
    print(fingerprint(a.update))
"""


def test_every_formula_has_the_same_fingerprint_in_every_process():
    # or its machine code would be looked for in vain in the cache
    found = {
        subprocess.run(
            [sys.executable, "-c", EVERY_FINGERPRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(found) == 1
    assert "adam" in found.pop()


@pytest.mark.parametrize(
    ("widths", "rows", "steps", "threads"),
    [
        ((10, 32, 32, 2), 32, 10_000, (1, 1)),  # so small that nobody else is asked
        ((13, 100, 3), 133, 10_000, (1, 7)),  # small steps
        ((64, 100, 10), 200, 7, (1, 1)),  # a few middling ones
        ((64, 100, 10), 250, 100, (6, 8)),
        ((16, 16, 16, 2), 1024, 1000, (3, 8)),  # narrow layers, many rows
        ((784, 256, 128, 10), 128, 400, (8, 8)),
    ],
)
def test_an_epoch_wakes_threads_for_enough_work_alone(widths, rows, steps, threads):
    flops = 3 * sum(2 * d * k for d, k in itertools.pairwise(widths))
    code = compiled.Compiled(None, None, {}, None, flops, 0, 0, {})
    assert code.training_threads(rows, steps, available=lambda: 8) == threads


def test_a_pass_over_few_rows_wakes_no_thread():
    flops = sum(2 * d * k for d, k in itertools.pairwise((784, 256, 128, 10)))
    code = compiled.Compiled(None, None, {}, None, flops, 0, 0, {})
    threads = [code.pass_threads(rows, lambda: 8) for rows in (2, 64, 128, 10_000)]
    assert threads == [1, 1, 2, 8]


class Slope:
    """What a layer's formula may belong to."""

    def __init__(self, slope):
        self.slope = slope

    def method(self, xp, z):
        return z * self.slope

    def keyword(self):
        def formula(xp, z, *, slope=self.slope):
            return z * slope

        return formula


def test_what_a_formula_belongs_to_and_its_defaults_are_part_of_its_fingerprint():
    for make in (lambda s: Slope(s).method, lambda s: Slope(s).keyword()):
        assert fingerprint(make(2.0)) == fingerprint(make(2.0))
        assert fingerprint(make(2.0)) != fingerprint(make(3.0))
