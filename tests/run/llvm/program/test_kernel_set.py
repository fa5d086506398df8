"""Layers that compute the same share a kernel."""

from __future__ import annotations

import numpy as np

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.kernel_plan import Fused
from backhand.run.llvm.program.kernel_set import Kernels

from .plans import training


def kernels_of(arranged, scalars):
    made = []
    kernels = Kernels(
        ir.Module("test"),
        Target.named("avx512"),
        np.dtype("float32"),
        arranged.plan,
        scalars,
        compile_ready=lambda module: made.append(module),
    )
    return kernels, made


def columns_of(arranged, group):
    return arranged.shapes[group.product.out][1]


def test_layers_of_one_activation_share_a_kernel_and_others_do_not():
    widths = (64, 256, 256, 256, 256, 16)
    arranged, scalars = training(*widths, activation=["relu", "relu", "tanh", "relu"])
    kernels, made = kernels_of(arranged, scalars)
    forward = [g for g in arranged.rowwise if isinstance(g, Fused)][:5]
    first, second, third, fourth, logits = (
        kernels.fused(group, None, columns_of(arranged, group))[0] for group in forward
    )
    assert first is second
    assert second is fourth
    assert len({f.name for f in (first, third, logits)}) == 3
    assert len(made) == 3  # once for each


def test_updates_of_weights_and_of_biases_have_a_kernel_each():
    arranged, scalars = training(64, 256, 256, 16)
    kernels, _ = kernels_of(arranged, scalars)
    made = {}
    for batch_sum in arranged.batch_sums:
        parameter = batch_sum.update.parameter
        columns = 16 if parameter.endswith("3") else 256
        function, operands = kernels.batch_sum(batch_sum, columns)
        assert operands == (parameter, f"m_{parameter}", f"v_{parameter}")
        made.setdefault(parameter[0], set()).add(function.name)
    assert len(made["w"]) == len(made["b"]) == 1


def test_functions_without_formulas_are_made_once():
    arranged, scalars = training(64, 256, 16)
    kernels, _ = kernels_of(arranged, scalars)
    for make in (kernels.barrier, kernels.wait, kernels.add_loss, kernels.transpose):
        assert make() is make()


def test_pieces_of_work_are_whole_tiles():
    arranged, scalars = training(784, 256, 16)
    kernels, _ = kernels_of(arranged, scalars)
    for depth, columns in ((1, 1), (784, 256), (10**6, 10**4)):
        assert kernels.rows_at_once(depth, columns) % kernels.height == 0
    assert kernels.unit(784) == kernels.height
    assert kernels.unit(10) == 1
