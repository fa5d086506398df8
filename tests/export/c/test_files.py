"""Programs in C have the bits of the machine executor."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from backhand import InputError, Network
from backhand.check.examples import EXAMPLES
from backhand.export.c.files import c_texts, write_c
from backhand.export.imperative.exact import run_exactly
from backhand.export.program import program_of_network
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES

from ..programs import chain_program, table_program
from .programs import assert_self_tests, compiled, library, needs_gcc, results


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
    """Compile networks together; logits have the executor's bits, and answers those of `exact`."""
    given = [problem(network, seed + i) for i, network in enumerate(networks)]
    programs = [program_of_network(n, p) for n, (p, _) in zip(networks, given, strict=True)]
    lib = library(folder, programs, **how)
    for i, (network, (params, x)) in enumerate(zip(networks, given, strict=True)):
        want = network.forward(params, x, engine="llvm")
        shape, want = want.shape, want.reshape(len(x), -1)
        got = results(lib, f"m{i}_logits", x, want.shape[1], network.dtype)
        word = {"float32": np.uint32, "float64": np.uint64}[network.dtype]
        np.testing.assert_array_equal(got.view(word), want.view(word), err_msg=network.summary)
        y = run_exactly(programs[i].answer, (got.reshape(shape),), True).reshape(len(x), -1)
        got = results(lib, f"m{i}_predict", x, y.shape[1], network.dtype)
        np.testing.assert_array_equal(got, y, err_msg=network.summary)


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


KINDS = ("numbers", "largest", "threshold", "labels", "largest_logit", "positive_logit")

FLAGS = [
    ("gcc", "-O2", "-march=native"),
    ("gcc", "-O0"),
    ("gcc", "-O3", "-march=native", "-std=gnu99"),
    ("clang", "-O2", "-march=native"),
    ("clang", "-O1"),
]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_self_tests_pass_with_fma_and_without(tmp_path, flags):
    if not shutil.which(flags[0]):
        pytest.skip(f"needs {flags[0]}")
    kinds = KINDS if flags == FLAGS[0] else KINDS[:1]
    programs = [table_program(kind) for kind in kinds] + [chain_program(dtype="float64")]
    assert_self_tests(tmp_path, programs, flags[0], flags[1:])


@needs_gcc
def test_a_wrong_weight_fails_the_self_test(tmp_path):
    header, source = c_texts(chain_program(), "net")
    (tmp_path / "net.h").write_text(header)
    begins = source.index("_w1[24] = {") + len("_w1[24] = {")
    source = source[:begins] + " 0x1.8p9f," + source[source.index(",", begins) + 1 :]
    (tmp_path / "net.c").write_text(source)
    compiled(tmp_path / "net.c", tmp_path / "net", flags=("-DNET_SELFTEST",))
    assert subprocess.run([tmp_path / "net"]).returncode == 1


def test_scratch_memory_is_at_most_twice_the_widest_layer():
    network = Network((9, 100, 80, 60, 70, 90, 3), activation="silu")
    params, _ = problem(network, 0)
    header, _ = c_texts(program_of_network(network, params), "net")
    assert re.search(r"#define NET_SCRATCH (\d+)", header)[1] == "183"
    assert "#define NET_FLASH_BYTES 99492" in header


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_fast_math_is_refused(tmp_path, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    write_c(chain_program(), tmp_path / "net")
    command = [compiler, "-ffast-math", "-c", tmp_path / "net.c", "-o", tmp_path / "net.o"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode
    assert "without -ffast-math" in found.stderr


def test_both_files_are_written_or_none(tmp_path):
    program = chain_program()
    (tmp_path / "net.c").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*net\.c: is a folder"):
        write_c(program, tmp_path / "net")
    assert [file.name for file in tmp_path.iterdir()] == ["net.c"]


@pytest.mark.parametrize(
    "prefix", ["", "2nd", "int", "a-b", "Class", "_x", "a" * 50, "ä", "net.c", "stdint", "time"]
)
def test_a_prefix_that_is_no_identifier_is_refused(prefix):
    network = Network((2, 1))
    program = program_of_network(network, network.init("lecun_normal"))
    with pytest.raises(InputError, match="cannot begin the names"):
        c_texts(program, prefix)
