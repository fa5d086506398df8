"""Sparse first layers against dense ones: the same chains, so the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from backhand.check.kernels import compare_training, random_problem, trained
from backhand.errors import InputError
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.layers import Activate, Chain, Concat, LayerNorm, Linear
from backhand.run.llvm.kernels.sparse_rows import stored_entries
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.runtime.engine import CompiledTrainer

from ..problems import scalars_of

SHAPES = [  # rows, columns, hidden units, batch
    (1, 1, 1, 1),
    (2, 7, 1, 1),
    (37, 13, 5, 8),
    (31, 1, 17, 31),
    (29, 101, 127, 10),  # all whole panels of AVX-512, and a rest elsewhere
    (29, 211, 129, 7),
    (53, 33, 300, 64),
]


def problem(rows, columns, hidden, *, density=0.2, dtype="float32", seed=0):
    """A network, its parameters, and x as CSR; with an empty row and an empty column."""
    rng = np.random.default_rng(seed)
    widths = (columns, *([hidden] if hidden else []), 3)
    network = Network(
        widths,
        activation="silu",
        loss="softmax_cross_entropy",
        dropout=0.25 if hidden else 0.0,
        dtype=dtype,
    )
    params, (x, t, weight) = random_problem(rng, network, rows, True)
    x[rng.random(x.shape) >= density] = 0
    if rows > 1:
        x[rows // 2] = 0
    if columns > 1:
        x[:, columns // 2] = 0
    return network, params, sparse.csr_array(x), t, weight


def bits(network, params, data, threads=None, optimiser="adam", **keywords):
    rule = OPTIMISERS[optimiser] if isinstance(optimiser, str) else optimiser
    got, losses = trained(CompiledTrainer, network, params, data, rule, threads=threads, **keywords)
    return b"".join(a.tobytes() for a in got.values()) + np.array(losses).tobytes()


def in_turn(cases):
    """Each case in one of the dtypes, the first one first; in the other it is a campaign."""
    for number, case in enumerate(cases):
        for turn, dtype in enumerate(("float32", "float64")):
            marks = () if number % 2 == turn else pytest.mark.campaign
            yield pytest.param(*case, dtype, marks=marks)


@pytest.mark.parametrize(("rows", "columns", "hidden", "batch", "dtype"), [*in_turn(SHAPES)])
def test_the_same_bits_as_dense_rows_on_any_number_of_threads(rows, columns, hidden, batch, dtype):
    network, params, x, t, weight = problem(rows, columns, hidden, dtype=dtype)
    want = bits(network, params, (x.toarray(), t, weight), 1, batch=batch)
    for threads in (1, 2, 3, 8, None):
        assert bits(network, params, (x, t, weight), threads, batch=batch) == want, threads


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser(optimiser):
    network, params, x, t, weight = problem(23, 19, 18)
    keywords = {"optimiser": optimiser, "batch": 6}
    want = bits(network, params, (x.toarray(), t, weight), **keywords)
    assert bits(network, params, (x, t, weight), **keywords) == want


@pytest.mark.parametrize(("limit", "dtype"), [*in_turn([(1e-3,), (1.0,), (1e6,)])])
def test_clipped_gradients(limit, dtype):
    network, params, x, t, weight = problem(29, 101, 127, dtype=dtype)
    keywords = {"optimiser": clipping(OPTIMISERS["momentum"], limit), "batch": 10}
    want = bits(network, params, (x.toarray(), t, weight), 1, **keywords)
    for threads in (1, 2, 3, 3, 8):
        assert bits(network, params, (x, t, weight), threads, **keywords) == want, threads
    unlimited = bits(network, params, (x, t, weight), optimiser="momentum", batch=10)
    assert (want == unlimited) == (limit == 1e6)


@pytest.mark.parametrize("density", [0.0, 1.0])
@pytest.mark.parametrize("hidden", [0, 20])
def test_nothing_stored_and_everything_stored(density, hidden):
    network, params, x, t, _ = problem(20, 9, hidden, density=density)
    want = bits(network, params, (x.toarray(), t, None), 1, batch=7)
    assert bits(network, params, (x, t, None), 2, batch=7) == want


def test_the_same_bits_for_any_instruction_set(monkeypatch):
    network, params, x, t, weight = problem(60, 47, 137)
    want = bits(network, params, (x, t, weight), 1, batch=23)
    host = Target.host()
    for name in ("avx512", "avx2", "fma128"):
        if name == "avx512" and host.vector_bytes < 64:
            continue
        monkeypatch.setattr(Target, "host", classmethod(lambda cls, n=name: Target.named(n)))
        assert bits(network, params, (x, t, weight), 1, batch=23) == want, name


def test_the_array_executor_agrees():
    network, params, x, t, weight = problem(40, 31, 22, dtype="float64")
    line = compare_training(network, params, (x, t, weight), OPTIMISERS["momentum"], batch=9)
    assert line.passed, str(line)


@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "int64", "bool", "longdouble"])
def test_entries_of_any_type(dtype, indices):
    network, params, x, t, weight = problem(20, 9, 4)
    x.data[:] = np.round(3 * x.data)
    x = x.astype(dtype)
    x.indices, x.indptr = x.indices.astype(indices), x.indptr.astype(indices)
    dense = np.float32(x.toarray())
    want = bits(network, params, (dense, t, weight), batch=7)
    assert bits(network, params, (x, t, weight), batch=7) == want


@pytest.mark.parametrize("limit", [None, 0.1])
def test_two_layers_may_read_the_same_rows(limit):
    layers = [Concat([Linear(5), Chain([Linear(17, ntk=True), Activate("tanh")])]), Linear(3)]
    network = Network(layers, inputs=40, loss="softmax_cross_entropy")
    params, (x, t, _) = random_problem(np.random.default_rng(0), network, 50, False)
    x[np.random.default_rng(1).random(x.shape) < 0.8] = 0
    adam = OPTIMISERS["adam"]
    keywords = {"optimiser": clipping(adam, limit) if limit else adam, "batch": 10}
    want = bits(network, params, (x, t, None), 1, **keywords)
    for threads in (1, 2, 3):
        assert bits(network, params, (sparse.csr_array(x), t, None), threads, **keywords) == want


def test_a_layer_that_reads_every_element_takes_no_stored_entries():
    network = Network([LayerNorm(), Linear(3)], inputs=9, loss="softmax_cross_entropy")
    params, (x, t, _) = random_problem(np.random.default_rng(0), network, 20, False)
    with pytest.raises(InputError, match=r"x\.toarray\(\)"):
        bits(network, params, (sparse.csr_array(x), t, None), batch=7)


def test_entries_are_read_where_they_lie():
    x = sparse.random_array((9, 7), density=0.5, format="csr", rng=np.random.default_rng(0))
    found = stored_entries(x)
    assert np.shares_memory(found["all_x"], x.data)
    assert np.shares_memory(found["all_x.indices"], x.indices)


def test_one_trainer_takes_dense_and_sparse_rows_in_turn():
    network, params, x, t, weight = problem(30, 12, 128)
    order, rule = np.arange(30), OPTIMISERS["adam"]
    scalars = scalars_of(network, rule, 3, 0.1)
    found = []
    for turns in ((x, x.toarray(), x), (x.toarray(),) * 3):
        trainer = CompiledTrainer(network, params, rule)
        for rows in turns:
            trainer.epoch(rows, t, weight, order, 10, scalars, 0)
        found.append(b"".join(a.tobytes() for a in trainer.params.values()))
    assert found[0] == found[1]
