"""Comparison 3: kernels that are right pass, and faults planted in machine code are caught."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.check import run_checks
from backhand.check.kernels import (
    check_activation_kernel,
    check_loss_kernel,
    check_program,
    check_training,
    identity_parameters,
    shaped_network,
    tile_sizes,
    vector_functions,
)
from backhand.check.mathematics import allowed, mathematics, sensitivity
from backhand.expr import functions
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.nodes import BatchSum, Map, NormaliseWeights, Product
from backhand.plan.step import gradient_plan
from backhand.run.llvm.kernels.tile import choose_tile
from backhand.run.llvm.machine.compile_store import RecentlyUsed
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.runtime.engine import CompiledTrainer, execute


@pytest.fixture
def lines(checks):
    return [line for line in checks if line.kind == "kernel"]


def test_everything_passes(lines):
    assert [str(line) for line in lines if not line.passed] == []


def test_every_formula_in_both_dtypes_and_every_optimiser_is_there(lines):
    said = [line.what for line in lines]
    for dtype in ("float32", "float64"):
        for name in ACTIVATIONS:
            assert f"{name} {dtype}, emitted" in said
            assert f"{name}_vjp {dtype}, emitted" in said
        for name in LOSSES:
            assert f"{name} {dtype}, emitted" in said
            assert f"{name}_grad {dtype}, emitted" in said
        for name in functions.TABLE:
            assert f"xp.{name} {dtype}, emitted" in said
        for name in OPTIMISERS:
            assert any(what.startswith(f"{name}: ") and dtype in what for what in said), name


def test_bounds_are_close_to_what_is_seen(lines):
    """A bound that nothing comes near would show little."""
    elementwise = [line.error for line in lines if "emitted" in line.what and line.error > 0]
    assert np.median(elementwise) > 0.1


def test_run_checks_has_them_unless_nothing_is_compiled(monkeypatch):
    def of_kernels():
        lines = run_checks(networks=1)
        return next((line for line in lines if line.kind == "kernel"), None)

    assert of_kernels() is not None
    monkeypatch.setenv("BACKHAND_ENGINE", "numpy")
    assert of_kernels() is None


def test_sizes_stand_around_every_tile():
    tile, target = choose_tile(Target.host()), Target.host()
    sizes = {*tile.rows, *(v * target.lanes("float32") for v in tile.vectors)}
    assert {s + d for s in sizes for d in (-1, 0, 1)} - {0} <= set(tile_sizes())


# planted faults -----------------------------------------------------------------------------------


def changed(change):
    """An executor that compiles another plan than it is asked for."""

    def run(plan, *args, **kwargs):
        nodes = tuple(change(node) for node in plan.nodes)
        return execute(dataclasses.replace(plan, nodes=nodes), *args, **kwargs)

    return run


def spoiled(name, spoil):
    """An executor whose result of one buffer is changed."""

    def run(*args, **kwargs):
        got = execute(*args, **kwargs)
        return {k: spoil(np.array(v)) if k == name else v for k, v in got.items()}

    return run


def failures(lines):
    return [line.what.rpartition(": ")[2] for line in lines if not line.passed]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_result_few_ulp_off_is_caught(dtype):
    def off(a):
        a[2, 3] += (6 if a.dtype == np.float32 else 24) * np.spacing(a[2, 3])
        return a

    lines = check_activation_kernel(ACTIVATIONS["elu"], dtype, execute=spoiled("y1", off))
    assert failures(lines) == [f"elu {dtype}, emitted"]
    assert "y1 [2, 3]" in str(lines[0])
    lines = check_activation_kernel(ACTIVATIONS["silu"], "float32", execute=spoiled("dz1", off))
    assert failures(lines) == ["silu_vjp float32, emitted"]


def test_a_flipped_bit_in_the_last_lane_is_caught():
    def flip(a):
        a.view(np.uint32)[-1, -1] ^= 1 << 10
        return a

    lines = check_activation_kernel(ACTIVATIONS["gelu"], "float32", execute=spoiled("y1", flip))
    assert failures(lines)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("part", ["forward", "vjp"])
def test_a_constant_one_part_in_100000_off_is_caught(name, part):
    right = getattr(ACTIVATIONS[name], part)

    def wrong(xp, *args, **keywords):
        return right(xp, *args, **keywords) * 1.00001

    def change(node):
        is_it = isinstance(node, Map) and node.formula is right
        return dataclasses.replace(node, formula=wrong) if is_it else node

    lines = check_activation_kernel(ACTIVATIONS[name], "float32", execute=changed(change))
    want = f"{name}{'_vjp' * (part == 'vjp')} float32, emitted"
    assert failures(lines) == [want]


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_wrong_loss_or_gradient_is_caught(name):
    loss = LOSSES[name]

    def change(node):
        is_it = isinstance(node, Map) and node.formula is loss.grad
        wrong = lambda xp, *a, **k: loss.grad(xp, *a, **k) + 1e-5  # noqa: E731
        return dataclasses.replace(node, formula=wrong) if is_it else node

    lines = check_loss_kernel(loss, "float32", execute=changed(change))
    assert failures(lines) == [f"{name}_grad float32, emitted"]


SURE = [-90.0, -33.0, -15.0, -3.0, -0.1, 0.0, 0.7, 4.0, 15.0, 16.5, 40.0, 87.0]


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if loss.definition])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_machine_code_has_the_digits_of_the_true_loss(name, dtype):
    """The other checks compare it with NumPy, which runs the same formula."""
    loss = LOSSES[name]
    network = Network((3, 3) if loss.by_row else (1, 1), loss=loss, dtype=dtype)
    plan, params = gradient_plan(network), identity_parameters(network)
    function = mathematics(loss.definition)
    for z in SURE:
        for t in {"class": (0, 1), "positive": (1, 3)}.get(loss.target, (0, 1)):
            x = np.array([[z, 0.25, -1.0] if loss.by_row else [z]], dtype)
            target = np.array([[t]], "int64" if loss.by_row else dtype)
            given = {"x": x, "t": target, "weight": np.ones((1, 1), dtype)}
            got = execute(plan, params, given, ())["loss"]
            at = x[0].astype(float).tolist() if loss.by_row else float(x[0, 0])
            want, size = sensitivity(function, {"z": at, **loss.keywords}, t=t)
            assert abs(float(got) - want) <= allowed(np.array(want), size, dtype), (z, t)


NETWORK = Network((17, 6, 6, 15), activation="tanh", loss="huber")


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        (lambda n: dataclasses.replace(n, left=n.right, right=n.left), "sums over the batch"),
        (lambda n: dataclasses.replace(n, bias=None), "forward"),
        (lambda n: dataclasses.replace(n, right_transposed=not n.right_transposed), "backward"),
    ],
    ids=["dw transposed", "bias left out", "w not transposed"],
)
def test_a_wrong_product_is_caught(change, caught):
    hit = {"sums over the batch": "dw2", "forward": "z2", "backward": "dy1"}[caught]

    def planted(node):
        return change(node) if isinstance(node, Product) and node.out.name == hit else node

    rng = np.random.default_rng(0)
    assert failures(check_program(rng, NETWORK)) == []
    assert caught in failures(check_program(rng, NETWORK, changed(planted)))


def test_a_sum_that_leaves_out_a_row_or_a_missing_1_over_n_is_caught():
    rng = np.random.default_rng(1)

    def short(a):
        return a * (1 - 1e-4)

    assert failures(check_program(rng, NETWORK, spoiled("db3", short))) == ["sums over the batch"]
    dz2 = gradient_plan(NETWORK).buffers["dz2"]

    def planted(node):
        if isinstance(node, NormaliseWeights):
            return dataclasses.replace(node, outputs=node.outputs + 1)
        if isinstance(node, BatchSum) and node.out.name == "db1":
            return dataclasses.replace(node, source=dz2)
        return node

    assert set(failures(check_program(rng, NETWORK, changed(planted)))) >= {"backward", "loss"}


def test_a_wrong_vector_function_in_emitted_code_is_caught(monkeypatch):
    """Here the fault is in the machine code of ``exp`` itself: 8 ULP."""
    right = functions.TABLE["exp"]

    def wrong(xp, x):
        return right.formula(xp, x) * (1 + 8 * 2.0**-23)

    monkeypatch.setenv("BACKHAND_CACHE", "off")
    monkeypatch.setattr("backhand.run.llvm.program.compiled._known", RecentlyUsed())
    monkeypatch.setitem(functions.TABLE, "exp", dataclasses.replace(right, formula=wrong))
    functions.function_graph.cache_clear()
    try:
        lines = check_activation_kernel(ACTIVATIONS["logistic"], "float32")
    finally:
        functions.function_graph.cache_clear()
    assert "logistic float32, emitted" in failures(lines)


@pytest.mark.parametrize("name", functions.TABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_function_that_is_8_ulp_off_is_caught(name, dtype):
    (right,) = (f for f in vector_functions() if f.name == f"xp.{name}")
    off = 1 + 8 * float(np.finfo(dtype).eps)

    def change(node):
        is_it = isinstance(node, Map) and node.formula is right.forward
        wrong = lambda xp, z: right.forward(xp, z) * off  # noqa: E731
        return dataclasses.replace(node, formula=wrong) if is_it else node

    assert failures(check_activation_kernel(right, dtype)) == []
    wrong = check_activation_kernel(right, dtype, execute=changed(change))
    assert failures(wrong) == [f"xp.{name} {dtype}, emitted"]


@pytest.mark.parametrize("name", list(OPTIMISERS))
def test_a_wrong_update_is_caught(name):
    right = OPTIMISERS[name]

    def update(xp, w, g, *state, **scalars):
        new = right.update(xp, w, g, *state, **scalars)
        return (new[0] * 0.9999, *new[1:])

    class Wrong(CompiledTrainer):
        def __init__(self, network, params, optimiser, *args, **keywords):
            wrong = dataclasses.replace(optimiser, update=update)
            super().__init__(network, params, wrong, *args, **keywords)

    rng = np.random.default_rng(2)
    for dtype in ("float32", "float64"):
        network = shaped_network(rng, 4, dtype)
        assert not check_training(rng, network, right, kind=Wrong).passed


@pytest.mark.parametrize("number", [0, 1])
def test_a_wrong_limit_of_gradients_is_caught(number):
    class Wrong(CompiledTrainer):
        def __init__(self, network, params, optimiser, *args, **keywords):
            wrong = dataclasses.replace(optimiser, clip_norm=1.1 * optimiser.clip_norm)
            super().__init__(network, params, wrong, *args, **keywords)

    rng = np.random.default_rng(2)
    network, optimiser = shaped_network(rng, number), clipping(OPTIMISERS["sgd"], 0.05)
    assert check_training(np.random.default_rng(4), network, optimiser).passed
    assert not check_training(np.random.default_rng(4), network, optimiser, kind=Wrong).passed


def test_a_batch_too_few_is_caught():
    class Forgetful(CompiledTrainer):
        def epoch(self, x, t, weight, order, *args):
            return super().epoch(x, t, weight, np.append(order[:-1], order[0]), *args)

    line = check_training(np.random.default_rng(3), NETWORK, OPTIMISERS["sgd"], kind=Forgetful)
    assert not line.passed
