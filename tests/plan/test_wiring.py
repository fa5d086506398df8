"""Wiring: labels, what is wanted, columns side by side, gradients that meet."""

from __future__ import annotations

import pytest

from backhand.errors import InputError
from backhand.formulas import scaling, sums
from backhand.formulas.initialisers import ones
from backhand.plan.buffers import BATCH, Buffer, Role
from backhand.plan.nodes import BatchSum, Map
from backhand.plan.recording import Symbol
from backhand.plan.wiring import FIRST_FREE_NOISE, Factors, Wiring, placed

N = BATCH


@pytest.fixture
def wire():
    return Wiring(training=True)


def entered(wire, width=4):
    return wire.reserved("x", (N, width), Role.INPUT)


def test_labels_are_unique(wire):
    assert [wire.buffer("z1", (N, 3)).name for _ in range(3)] == ["z1", "z1_2", "z1_3"]
    wire.linear_index = 2
    assert wire.parameter("w", (3, 2), ones).name == "w2"
    assert wire.parameter("w", (3, 2), ones).name == "w2_2"


def test_parameters_and_constants(wire):
    w = wire.parameter("w", (3, 2), ones, Factors(0.5, 2.0))
    b = wire.parameter("b", (2,), ones, Factors(0.5, 2.0), penalised=False)
    c = wire.parameter("c", (2,), ones, learned=False)
    assert [p.factors for p in wire.parameters] == [(0.5, 2.0), (0.5, 1.0), (1.0, 1.0)]
    assert [p.learned for p in wire.parameters] == [True, True, False]
    assert [wire.is_wanted(buffer) for buffer in (w, b, c)] == [True, True, False]
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"v0: factors must be finite numbers of at least 0"):
            wire.parameter("v", (2,), ones, Factors(1.0, bad))
        wire = Wiring()


@pytest.mark.parametrize("wrt_input", [False, True])
def test_a_gradient_is_wanted_where_something_learned_went_in(wrt_input):
    wire = Wiring(wrt_input=wrt_input)
    x = entered(wire)
    plain = wire.map(sums.copy, (x,), "plain")
    s = wire.parameter("s", (4,), ones)
    scaled = wire.map(scaling.scale, (plain, s), "scaled")
    after = wire.map(sums.copy, (scaled,), "after")
    assert [wire.is_wanted(b) for b in (x, plain)] == [wrt_input, wrt_input]
    assert wire.is_wanted(scaled)
    assert wire.is_wanted(after)
    assert wire.is_wanted(after.view("some", 1, 2))
    base = wire.buffer("base", (N, 8))
    assert not wire.is_wanted(base)
    wire.map(sums.copy, (after,), base.view("part", 0, 4))
    assert wire.is_wanted(base)


def test_results_have_the_axes_that_inputs_have_in_common(wire):
    x = wire.reserved("x", (N, 1, 3), Role.INPUT)
    r = wire.parameter("r", (2, 3), ones)
    dx, dr = wire.maps(scaling.scale_vjp, (x, r, x), ("dx", "dr"))
    assert dx.axes == dr.axes == (N, 2, 3)
    with pytest.raises(InputError, match=r"scale: x \(N, 1, 3\) and w0 \(5,\) do not go together"):
        wire.map(scaling.scale, (x, wire.parameter("w", (5,), ones)), "y")
    w = wire.parameter("w", (3, 7), ones)
    assert wire.product(Symbol(x) @ Symbol(w), "z").axes == (N, 1, 7)
    assert wire.product(Symbol(x) @ Symbol(wire.parameter("v", (7, 3), ones)).T, "u").width == 7


def test_noise_has_the_number_of_its_layer_where_that_is_free(wire):
    x = entered(wire)
    wire.noise(x.axes)
    wire.linear_index = 1
    for _ in range(3):
        wire.noise(x.axes)
    wire.linear_index = 2
    wire.noise(x.axes)
    numbers = [node.number for node in wire.nodes]
    assert numbers == [FIRST_FREE_NOISE + 1, 1, FIRST_FREE_NOISE + 2, FIRST_FREE_NOISE + 3, 2]
    assert len(set(numbers)) == 5


def test_columns_side_by_side_are_written_where_they_lie(wire):
    x = entered(wire)
    a = wire.map(sums.copy, (x,), "a")
    b = wire.map(sums.copy, (a,), "b")
    joined = wire.join("joined", [b, x, a, a])
    out = wire.map(sums.copy, (joined,), "out")
    *copies, last = wire.placed(tuple(wire.nodes))
    assert [str(node) for node in copies] == [
        "a = copy(x)",
        "b = copy(a)",
        "x_copy = copy(x)",
        "a_copy = copy(a)",
    ]
    places = {node.writes[0].name: node.writes[0].base_columns for node in copies}
    assert places == {
        "b": [0, 1, 2, 3],
        "x_copy": [4, 5, 6, 7],
        "a": [8, 9, 10, 11],
        "a_copy": [12, 13, 14, 15],
    }
    assert copies[1].reads[0].base == joined
    assert (last.reads, last.writes) == ((joined,), (out,))


def test_what_is_joined_twice_lies_in_the_outermost(wire):
    x = entered(wire)
    a, b, c = (wire.map(sums.copy, (x,), name) for name in "abc")
    inner = wire.join("inner", [a, b])
    some = inner.view("some", 3, 2)
    wire.map(sums.copy, (some,), "of_inner")
    outer = wire.join("outer", [c, inner])
    nodes = {node.writes[0].name: node for node in wire.placed(tuple(wire.nodes))}
    for name, columns in {"a": [4, 5, 6, 7], "b": [8, 9, 10, 11], "c": [0, 1, 2, 3]}.items():
        assert nodes[name].writes[0].base == outer
        assert nodes[name].writes[0].base_columns == columns
    assert nodes["of_inner"].reads[0].base_columns == [7, 8]


def test_members_do_not_lie_side_by_side(wire):
    x = wire.reserved("x", (N, 2, 3))
    with pytest.raises(InputError, match=r"x \(N, 2, 3\) has members, and no columns that lie"):
        wire.join("joined", [x])


def test_a_gradient_of_some_columns_is_zero_in_the_others(wire):
    x = entered(wire)
    part = wire.buffer("part", (N, 2))
    whole = wire.padded("dx", part, 1, x)
    assert whole.axes == x.axes
    written = [(node.formula.__name__, node.writes[0].base_columns) for node in wire.nodes]
    assert written == [("copy", [1, 2]), ("nothing", [0]), ("nothing", [3])]
    assert len(Wiring().padded("dx", x, 0, x).axes) == 2


def test_gradients_of_several_readers_are_added_up(wire):
    a, b, c = (wire.buffer(name, (N, 2)) for name in "abc")
    assert wire.sum("d", []) is None
    assert wire.sum("d", [None, a, None]) is a
    total = wire.sum("d", [a, None, b, c])
    assert [str(node) for node in wire.nodes] == ["d = add(a, b)", "d_2 = add(d, c)"]
    assert total.name == "d_2"


def test_a_parameter_has_one_gradient(wire):
    s = wire.parameter("s", (2,), ones)
    rows = wire.buffer("rows", (N, 2))
    wire.gradient(s, rows)
    (node,) = wire.nodes
    assert node == BatchSum(rows, wire.gradients[s])
    assert wire.gradients[s].role is Role.GRADIENT
    with pytest.raises(InputError, match="s0 has two gradients: a parameter has one layer"):
        wire.gradient(s, Symbol(rows).sum(0))


def test_nodes_are_placed_with_views_of_views():
    base, home = Buffer("a", (N, 4)), Buffer("home", (N, 9))
    view = base.view("some", 1, 2)
    node = Map(sums.add, (view, base.view("rest", 2, 2)), (Buffer("out", (N, 2)),))
    moved = placed(node, {base: home.view("a", 5, 4)})
    assert [b.base for b in moved.inputs] == [home, home]
    assert [b.base_columns for b in moved.inputs] == [[6, 7], [7, 8]]
    assert moved.outs == node.outs


@pytest.mark.parametrize("axes", [(N, 2), (N, 1, 1)])
def test_categories_stand_in_one_column_of_the_inputs(wire, axes):
    with pytest.raises(InputError, match="an embedding takes one column of the inputs, not x"):
        wire.whole_numbers(wire.reserved("x", axes, Role.ACTIVATION), 3)
    x = entered(wire)
    wire.whole_numbers(x.view("some", 1, 2).view("one", 1, 1), 5)
    wire.whole_numbers(x.view("first", 0, 1), 2)
    wire.whole_numbers(x.view("again", 2, 1), 4)
    assert wire.categories == {2: 4, 0: 2}


def test_no_layer_has_the_label_of_a_per_step_scalar_or_of_the_planner():
    wire = Wiring()
    wire.linear_index = 1
    assert wire.parameter("beta", (3,), None).name == "beta1_2"  # beta1 is one of Adam's
    for name in ("step", "seed", "loss", "rate", "l2"):
        assert wire.buffer(name, (3,)).name == f"{name}_2"
