"""Weights of eight bits: near the real ones, and with the same bits in C."""

from __future__ import annotations

import numpy as np

from backhand import Network
from backhand.check.examples import EXAMPLES
from backhand.export.imperative.exact import run_exactly
from backhand.export.int8 import as_int8
from backhand.export.program import program_of_network

from .c.programs import library, needs_gcc, results


def problem(seed, layers, inputs=None):
    network = Network(layers, inputs=inputs)
    params = network.init("lecun_normal", seed)
    x = np.random.default_rng(seed).normal(0.0, 1.0, (6, network.inputs)).astype(np.float32)
    for column, values in network.categories.items():
        x[:, column] = np.random.default_rng(seed).integers(0, values, 6)
    return program_of_network(network, params), x


def test_a_weight_is_half_a_step_of_its_column_off_at_most():
    program, _ = problem(0, (20, 7))
    (before,), (after,) = program.networks, as_int8(program).networks
    w = next(a for b, a in before.constants.items() if b.name == "w1")
    whole = next(a for a in after.constants.values() if a.dtype == np.int8)
    step = np.abs(w).max(0) / 127
    assert whole.shape == w.shape
    assert (np.abs(whole * step - w) <= step * 0.5001).all()
    assert (np.abs(whole).max(0) == 127).all()


@needs_gcc
def test_every_layer_has_the_bits_of_its_stage(tmp_path):
    given = [problem(3, layers, inputs) for layers, inputs in EXAMPLES.values()]
    programs = [as_int8(program) for program, _ in given]
    lib = library(tmp_path, programs)
    for i, (program, (real, x)) in enumerate(zip(programs, given, strict=True)):
        want = run_exactly(program.networks[0], (x,), True).reshape(len(x), -1)
        got = results(lib, f"m{i}_logits", x, want.shape[1], "float32")
        np.testing.assert_array_equal(got, want)
        near = real.logits(x)[0].reshape(len(x), -1)
        np.testing.assert_allclose(got, near, atol=0.1 * np.abs(near).max())
