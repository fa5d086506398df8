from __future__ import annotations

import pytest

from backhand.errors import InputError
from backhand.expr.trace import trace
from backhand.run.llvm.lowering.lower import emit_vector

Z = [("z", "real")]


def test_one_vector_is_no_row():
    graph = trace(lambda xp, z: z - xp.row_max(z), Z)
    with pytest.raises(InputError, match="reduces over a row"):
        emit_vector(graph, None, {})
    graph = trace(lambda xp, t, z: xp.where(xp.is_column(t, z), z, 0.0), [("t", "index"), *Z])
    with pytest.raises(InputError, match="reads the column"):
        emit_vector(graph, None, {})


def test_a_graph_knows_what_must_be_computed_in_order():
    graph = trace(lambda xp, z: xp.exp(z - xp.row_max(z)), Z)
    (output,) = graph.outputs
    everything = graph.needed([output], set())
    assert everything == sorted(everything) == list(range(len(graph.nodes)))
    reduction = next(n for n, node in enumerate(graph.nodes) if node.op == "row_max")
    assert reduction not in graph.needed([output], {reduction})
    assert graph.stages == 1
    assert not graph.reads_columns


def test_a_graph_prints_as_a_listing():
    graph = trace(lambda xp, z: xp.where(z > 0.5, z, 0.0), Z)
    assert str(graph).splitlines()[0] == "%0 = input(z)  # real an element"
    assert "compare(%0, %1, >)" in str(graph)
    assert str(graph).splitlines()[-1].startswith("return %")
