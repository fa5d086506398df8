"""Layers that compute the same share a kernel."""

from __future__ import annotations

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.kernel_plan import Fused
from backhand.run.llvm.program.kernel_set import Kernels

from .plans import training


def kernels_of(kernel_plan):
    made = []
    target = Target.named("avx512")
    return Kernels(ir.Module("test"), target, kernel_plan, compile_ready=made.append), made


def test_layers_of_one_activation_share_a_kernel_and_others_do_not():
    kernel_plan = training(64, 256, 256, 256, 256, 16, activation=["relu", "relu", "tanh", "relu"])
    kernels, made = kernels_of(kernel_plan)
    forward = [kernel for kernel in kernel_plan.kernels if isinstance(kernel, Fused)][:5]
    first, second, third, fourth, logits = (kernels.fused(kernel, None)[0] for kernel in forward)
    assert first is second
    assert second is fourth
    assert len({f.name for f in (first, third, logits)}) == 3
    assert len(made) == 3  # once for each


def test_updates_of_weights_and_of_biases_have_a_kernel_each():
    kernel_plan = training(64, 256, 256, 16)
    kernels, _ = kernels_of(kernel_plan)
    made = {}
    for each in kernel_plan.sums:
        function, operands = kernels.sum(each, each.update.parameter.width)
        assert operands == each.update.writes
        made.setdefault(len(each.update.parameter.axes), set()).add(function.name)
    assert [len(names) for names in made.values()] == [1, 1]


def test_functions_without_formulas_are_made_once():
    kernels, _ = kernels_of(training(64, 256, 16))
    for make in (kernels.barrier, kernels.wait, kernels.add_loss, kernels.transpose):
        assert make() is make()


def test_pieces_of_work_are_whole_tiles():
    kernels, _ = kernels_of(training(784, 256, 16))
    for depth, columns in ((1, 1), (784, 256), (10**6, 10**4)):
        assert kernels.rows_at_once(depth, columns) % kernels.height == 0
    assert kernels.unit(784) == kernels.height
    assert kernels.unit(10) == 1
