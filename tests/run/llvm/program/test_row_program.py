"""The stages of a model: what is shared among them, and what stands in the table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.export.program import program_of_network
from backhand.network import Network
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.row_program import RowProgram, RowStage, emit_row_program
from backhand.serve.serving import row_program


def program_of(*networks):
    """The networks as they are drawn, with the answer of the first."""
    drawn = [program_of_network(n, n.init("glorot_normal", k)) for k, n in enumerate(networks)]
    programs = [row_program(one) for one in drawn]
    return RowProgram(tuple(p.networks[0] for p in programs), programs[0].answer)


def test_networks_that_compute_the_same_share_a_function():
    one, other = Network((3, 8, 2)), Network((3, 9, 2))
    symbols = program_of(one, other, Network((3, 8, 2))).symbols(Target.host())
    assert symbols[0] == symbols[2]
    assert len(set(symbols)) == 3  # with the answer


def test_the_answer_does_not_share_with_a_network_where_subnormal_numbers_count():
    """A network that is alike to the answer of another: zeros for subnormals are its own."""
    network = Network((2, 2), loss="softmax_cross_entropy")
    (stage,) = program_of(network).networks
    alike = RowStage(stage.plan, stage.constants)
    assert len(set(RowProgram((stage,), alike).symbols(Target.host()))) == 2


@pytest.mark.parametrize("shows", [False, True])
def test_what_there_is_of_y(shows):
    network = Network((3, 8, 5), loss="softmax_cross_entropy")
    rows = dataclasses.replace(program_of(network), shows_logits=shows)
    assert rows.results == (10 if shows else 5)
    assert rows.inputs == 3
    assert rows.dtype == np.float32


def test_a_program_that_prepares_nothing_has_one_entry_point():
    program = program_of(Network((3, 8, 2)))
    module = emit_row_program(program, program.symbols(Target.host()), 0)
    text = str(module)
    assert '"prepared"' in text
    assert '"raw"' not in text
