"""Modules of whole programs, which LLVM accepts for every instruction set."""

from __future__ import annotations

import pytest
from llvmlite import binding

from backhand.run.llvm.machine.target import NAMED, Target
from backhand.run.llvm.program.emit import emit_program

from .plans import KINDS, SPARSE_KINDS, training

PROGRAMS = {
    "plain": ((20, 50, 3), {}),
    "split-k": ((784, 50, 10), {}),
    "panels": ((30, 256, 3), {}),
    "dropout": ((20, 50, 40, 3), {"dropout": 0.5}),
    "clipped": ((20, 50, 3), {"clip": 1.0}),
    "sparse": ((20, 50, 3), {"sparse": True}),
    "sparse and clipped": ((20, 50, 3), {"sparse": True, "clip": 1.0}),
    "one layer": ((20, 3), {"optimiser": "sgd"}),
}


def emitted(name, target):
    widths, keywords = PROGRAMS[name]
    arranged, scalars = training(*widths, **keywords)
    kinds = SPARSE_KINDS if keywords.get("sparse") else KINDS
    return emit_program(arranged, Target.named(target), kinds, scalars)


@pytest.mark.parametrize("target", NAMED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_one_function_and_what_it_calls(name, target):
    parsed = binding.parse_assembly(str(emitted(name, target)))
    parsed.verify()
    defined = [function for function in parsed.functions if not function.is_declaration]
    assert [f.name for f in defined if f.linkage != binding.Linkage.internal] == ["run"]
    text = {function.name: str(function) for function in defined}
    called = "".join(text.values()) + "".join(map(str, parsed.global_variables))
    for function in text:
        assert function == "run" or f"@{function}" in called or f'@"{function}"' in called


def test_the_same_schedule_is_the_same_text():
    """Or the functions of two processes would not be recognised as the same."""
    assert str(emitted("dropout", "avx2")) == str(emitted("dropout", "avx2"))
