"""Random networks of all layers, activations and losses: bits of C, here and under emulators."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.emulation import BOARDS
from tests.campaigns import share_of

from backhand import Network
from backhand.check.examples import random_layers
from backhand.export.c import write_c
from backhand.export.int8 import as_int8
from backhand.export.program import program_of_network
from backhand.formulas.losses import LOSSES

from .programs import needs_gcc
from .test_files import assert_same, has_fma, problem

pytestmark = pytest.mark.campaign

BATCH = 25


def random_network(seed):
    """A network of any kind; one in five is of float64."""
    rng = np.random.default_rng(seed)
    loss = str(rng.choice(list(LOSSES)))
    outputs = int(rng.choice([2, 3, 7, 17] if LOSSES[loss].by_row else [1, 2, 5, 16, 33]))
    layers = random_layers(rng, inputs := int(rng.choice([1, 3, 8, 21])), outputs)
    dtype = "float64" if rng.random() < 0.2 else "float32"
    return Network(layers, inputs=inputs, loss=loss, dtype=dtype)


@needs_gcc
@pytest.mark.skipif(not has_fma(), reason="needs a processor with FMA")
@pytest.mark.parametrize("batch", range(share_of(500 // BATCH)))
def test_500_random_networks_have_the_bits_of_the_executor(tmp_path, batch):
    seeds = range(batch * BATCH, (batch + 1) * BATCH)
    assert_same(tmp_path, [random_network(seed) for seed in seeds], seed=batch * BATCH)


@pytest.mark.parametrize("seed", range(share_of(40)))
@pytest.mark.parametrize("name", ["AArch64", "Cortex-M4F", "Cortex-M0", "RISC-V RV32IMAC"])
def test_a_share_of_them_passes_its_self_test_elsewhere(tmp_path, name, seed):
    board = BOARDS[name]
    if not board.there:
        pytest.skip(f"needs {board.prefix}gcc and {board.run[0]}")
    network = random_network(seed)
    params, x = problem(network, seed)
    program = program_of_network(network, params)
    program = as_int8(program) if seed % 5 == 4 else program
    write_c(program, tmp_path / "net", x)
    flag = "-Os" if name == "Cortex-M0" else "-O2"
    built = board.build(tmp_path, [tmp_path / "net.c"], (flag, "-DNET_SELFTEST"))
    assert board.result(built) == 0
