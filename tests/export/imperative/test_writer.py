"""Nodes of whole gradient plans, as C, against the array executor."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from backhand import InputError, Network
from backhand.check.examples import EXAMPLES
from backhand.export.c.dialect import C
from backhand.export.imperative import Writer
from backhand.plan.step import forward_plan, gradient_plan
from backhand.run.arrays import walk

from ..c.programs import WARNINGS

LOSSES = ("softmax_cross_entropy", "mean_squared_error")


def gradients(folder, cases):
    """Each case's loss, gradients and dx of one row, by C."""
    source = ["#include <stdint.h>"]
    for i, (plan, params, _) in enumerate(cases):
        dialect = C(f"m{i}")
        writer = Writer(dialect)
        constants = {p.buffer: params[p.buffer.name] for p in plan.parameters}
        given, results = (plan.x, plan.t, plan.weight), (plan.loss, plan.dx, *by(plan).values())
        routine = writer.routine("step", "float64", given, plan.nodes, constants, results)
        definitions = writer.definitions()
        source += dialect.helper_texts()
        source += ["\n".join(dialect.array(*a)) for a in writer.arrays]
        source += ["\n".join(lines) for lines in definitions]
        arguments = [f"a[{k}]" for k in range(len(results) + 3)]
        arguments[1] = "(int32_t *)a[1]" if plan.t.kind == "index" else "a[1]"
        arguments += ["s"] * (routine.scratch > 0)
        source.append(
            f"void g{i}(double **a);\nvoid g{i}(double **a)\n{{\n"
            f"    double s[{max(routine.scratch, 1)}];\n    (void)s;\n"
            f"    m{i}_step_f64({', '.join(arguments)});\n}}"
        )
    (folder / "g.c").write_text("\n\n".join(source) + "\n")
    command = ["gcc", *WARNINGS, "-O1", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", folder / "g.so", folder / "g.c"], check=True)
    return ctypes.CDLL(str(folder / "g.so"))


def by(plan):
    return {b.name: gradient for b, gradient in plan.gradients}


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_one_row_are_those_of_the_array_executor(tmp_path, loss):
    cases, rng = [], np.random.default_rng(4)
    for layers, inputs in EXAMPLES.values():
        network = Network(layers, inputs=inputs, dtype="float64", loss=loss)
        plan = gradient_plan(network, wrt_input=True)
        params = network.init("lecun_normal", 3)
        for name, a in params.items():
            if network.is_learned(name):
                a += rng.normal(0.0, 0.3, a.shape)
        x = rng.normal(0.0, 1.0, (1, inputs))
        for column, values in network.categories.items():
            x[:, column] = rng.integers(0, values, 1)
        t = np.array([[2]], np.int32) if network.loss.by_row else rng.normal(0.0, 1.0, (1, 3))
        cases.append((plan, params, {"x": x, "t": t, "weight": np.ones((1, 1))}))
    lib = gradients(tmp_path, cases)
    for i, (plan, params, given) in enumerate(cases):
        want = walk(plan, {**given, **params})
        names = [plan.loss.name, plan.dx.name, *(g.name for g in by(plan).values())]
        got = [np.full(np.shape(want[name]), np.nan) for name in names]
        arrays = [*(np.ascontiguousarray(a) for a in given.values()), *got]
        getattr(lib, f"g{i}")((ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays)))
        for name, a in zip(names, got, strict=True):
            np.testing.assert_allclose(a, want[name], rtol=1e-9, atol=1e-11, err_msg=name)


def test_what_is_not_of_one_row_is_refused():
    network = Network((3, 4, 2), dropout=0.5)
    plan = forward_plan(network, dropout=True)
    constants = {p.buffer: np.zeros(network.shapes[p.buffer.name]) for p in plan.parameters}
    with pytest.raises(InputError, match="not of one row"):
        Writer(C("m")).routine("f", "float32", (plan.x,), plan.nodes, constants, (plan.logits,))
