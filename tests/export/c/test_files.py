"""Programs in C have the bits of the machine executor."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest

from backhand import InputError, Network
from backhand.check.examples import EXAMPLES
from backhand.export.c.files import c_texts
from backhand.export.program import program_of_network
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES

from .programs import library, results

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


def has_fma():
    info = pathlib.Path("/proc/cpuinfo")
    return not info.exists() or " fma " in info.read_text()


def problem(network, seed, rows=6):
    """Parameters, and rows that go with them."""
    rng = np.random.default_rng(seed)
    params = network.init("lecun_normal", seed)
    for name, a in params.items():
        if network.is_learned(name):
            a += rng.normal(0.0, 0.3, a.shape).astype(a.dtype)
    x = rng.normal(0.0, 1.5, (rows, network.inputs)).astype(network.dtype)
    for column, values in network.categories.items():
        x[:, column] = rng.integers(0, values, rows)
    return params, x


def assert_same(folder, networks, seed=0, **how):
    """Compile networks together; logits have the same bits, and answers are near."""
    given = [problem(network, seed + i) for i, network in enumerate(networks)]
    programs = [program_of_network(n, p) for n, (p, _) in zip(networks, given, strict=True)]
    lib = library(folder, programs, **how)
    for i, (network, (params, x)) in enumerate(zip(networks, given, strict=True)):
        want = network.forward(params, x, engine="llvm").reshape(len(x), -1)
        got = results(lib, f"m{i}_logits", x, want.shape[1], network.dtype)
        word = {"float32": np.uint32, "float64": np.uint64}[network.dtype]
        np.testing.assert_array_equal(got.view(word), want.view(word), err_msg=network.summary)
        y = programs[i].answers(x).reshape(len(x), -1)
        got = results(lib, f"m{i}_predict", x, y.shape[1], network.dtype)
        np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-6, err_msg=network.summary)


@needs_gcc
@pytest.mark.skipif(not has_fma(), reason="needs a processor with FMA")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_activation_and_loss_has_the_bits_of_the_executor(tmp_path, dtype):
    networks = [
        Network(layers, inputs=inputs, dtype=dtype, loss="softmax_cross_entropy")
        for layers, inputs in EXAMPLES.values()
    ]
    networks += [Network((5, 19, 3), activation=name, dtype=dtype) for name in ACTIVATIONS]
    for name, loss in LOSSES.items():
        outputs = max(3, 2 * loss.by_row)
        networks.append(Network((17, 33, outputs), activation="tanh", loss=name, dtype=dtype))
    assert_same(tmp_path, networks)


@pytest.mark.parametrize("prefix", ["", "2nd", "int", "a-b", "Class", "_x", "a" * 50, "ä"])
def test_a_prefix_that_is_no_identifier_is_refused(prefix):
    network = Network((2, 1))
    program = program_of_network(network, network.init("lecun_normal"))
    with pytest.raises(InputError, match="cannot begin the names"):
        c_texts(program, prefix)
