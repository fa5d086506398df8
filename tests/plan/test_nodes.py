"""Nodes: what each means to an executor, and that shapes must fit."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.formulas import optimisers, scaling
from backhand.plan.buffers import BATCH, Buffer
from backhand.plan.nodes import (
    BatchSum,
    Clip,
    Cumulate,
    Gather,
    Lookup,
    Map,
    MemberSum,
    Product,
    ScaleRows,
    ScatterAdd,
    Update,
)
from backhand.run.arrays import Values, perform
from backhand.run.namespaces import NUMPY

N, D, K, M, C = BATCH, 4, 3, 2, 5


def named(**axes):
    return [Buffer(name, of) for name, of in axes.items()]


def performed(node, **arrays):
    at = Values(dict(arrays), NUMPY)
    perform(node, at)
    return at.at


# what products mean ------------------------------------------------------------------------------

PRODUCTS = {  # axes of left, right, bias and out, which operand is transposed, the sum by einsum
    "rows": ((N, D), (D, K), (K,), (N, K), "nd,dk->nk", ""),
    "rows by a transposed matrix": ((N, D), (K, D), (K,), (N, K), "nd,kd->nk", "right"),
    "members share": ((N, M, D), (D, K), (K,), (N, M, K), "nmd,dk->nmk", ""),
    "members share, biases apart": ((N, M, D), (D, K), (M, K), (N, M, K), "nmd,dk->nmk", ""),
    "members apart": ((N, M, D), (M, D, K), (M, K), (N, M, K), "nmd,mdk->nmk", ""),
    "members apart, transposed": ((N, M, D), (M, K, D), None, (N, M, K), "nmd,mkd->nmk", "right"),
    "over the batch": ((N, D), (N, K), None, (D, K), "nd,nk->dk", "left"),
    "over batch and members": ((N, M, D), (N, M, K), None, (D, K), "nmd,nmk->dk", "left"),
    "over the batch, members apart": (
        (N, M, D),
        (N, M, K),
        None,
        (M, D, K),
        "nmd,nmk->mdk",
        "left",
    ),
}


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("case", PRODUCTS)
def test_every_kind_of_product(case, biased, scale, rng):
    left, right, bias, out, sums, transposed = PRODUCTS[case]
    a, c, o = named(a=left, c=right, out=out)
    b = Buffer("b", bias) if biased and bias else None
    node = Product(a, transposed == "left", c, transposed == "right", o, b, scale)
    rows = {N: 6}
    given = {
        buffer.name: rng.standard_normal([rows.get(n, n) for n in buffer.axes])
        for buffer in node.reads
    }
    want = scale * np.einsum(sums, given["a"], given["c"]) + given.get("b", 0.0)
    np.testing.assert_allclose(performed(node, **given)["out"], want, rtol=1e-13, atol=1e-13)
    assert node.sums_batch == (transposed == "left")
    assert node.reads == tuple(filter(None, (a, c, b)))
    assert node.writes == (o,)


@pytest.mark.parametrize(
    ("axes", "transposed", "said"),
    [
        (((N, D), (K, D), (N, K)), "", r"out = a @ c: a \(N, 4\) and c \(3, 4\) do not go"),
        (((N, D), (D, K), (N, D)), "", r"out = a @ c: out \(N, 4\) and \(N, 3\) do not go"),
        (((N, D), (D, K), (N, K)), "right", r"out = a @ c.T: a \(N, 4\) and c \(4, 3\)"),
        (((N, D), (N, K), (K, D)), "left", r"out = a.T @ c: out \(3, 4\) and \(4, 3\)"),
        (((N, M, D), (N, K), (D, K)), "left", r"a \(N, 2, 4\) and c \(N, 3\)"),
        (((N, M, D), (M + 1, D, K), (N, M, K)), "", r"a \(N, 2, 4\) and c \(3, 4, 3\)"),
        (((N, D), (1, D, K), (N, K)), "", r"a \(N, 4\) and c \(1, 4, 3\)"),
        (((D, K), (K, D), (D, D)), "", r"a \(4, 3\) and c \(3, 4\)"),
    ],
)
def test_products_that_do_not_fit_name_both_sides(axes, transposed, said):
    a, c, out = named(**dict(zip(("a", "c", "out"), axes, strict=True)))
    with pytest.raises(InputError, match=said):
        Product(a, transposed == "left", c, transposed == "right", out)


def test_a_bias_that_does_not_fit_names_both_sides():
    a, c, out, b = named(a=(N, D), c=(D, K), out=(N, K), b=(D,))
    with pytest.raises(InputError, match=r"out = a @ c: out \(N, 3\) and b \(4,\) do not go"):
        Product(a, False, c, False, out, b)


# the other nodes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "out", "axes"),
    [((N, K), (K,), 0), ((N, M, K), (M, K), 0), ((N, M, K), (K,), (0, 1))],
)
def test_sums_over_the_batch(source, out, axes, rng):
    s, o = named(s=source, out=out)
    a = rng.standard_normal([6 if n == N else n for n in source])
    np.testing.assert_allclose(performed(BatchSum(s, o), s=a)["out"], a.sum(axes), rtol=1e-14)
    with pytest.raises(InputError, match=r"other = s.sum\(0\): other \(7,\) and"):
        BatchSum(s, Buffer("other", (7,)))


def test_sums_over_members(rng):
    s, o, other = named(s=(N, M, K), out=(N, K), other=(N, K + 1))
    a = rng.standard_normal((6, M, K))
    np.testing.assert_allclose(performed(MemberSum(s, o), s=a)["out"], a[:, 0] + a[:, 1])
    with pytest.raises(InputError, match=r"s \(N, 2, 3\) and other \(N, 4\) do not go together"):
        MemberSum(s, other)


@pytest.mark.parametrize("members", [0, 1, 3])
def test_lookups_and_their_transposes(members, rng):
    own = (members,) if members else ()
    table, index, out, back = named(
        table=(*own, C, K), index=(N, members or 1), out=(N, *own, K), back=(*own, C, K)
    )
    values = rng.standard_normal(table.axes)
    places = rng.integers(0, C, (6, members or 1)).astype(float)
    got = performed(Lookup(table, index, out), table=values, index=places)["out"]
    source = rng.standard_normal(got.shape)
    added = performed(ScatterAdd(source=out, index=index, out=back), out=source, index=places)
    want_back = np.zeros_like(values)
    for n in range(6):
        for m in range(members or 1):
            at, row = ((m,), (n, m)) if members else ((), (n,))
            place = (*at, int(places[n, m]))
            np.testing.assert_array_equal(got[row], values[place])
            want_back[place] += source[row]
    np.testing.assert_array_equal(added["back"], want_back)
    # <source, lookup(table)> = <scatter_add(source), table>: each is the other's transpose
    np.testing.assert_allclose((source * got).sum(), (want_back * values).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (((C, K), (N, 2), (N, K)), r"out \(N, 3\) and index \(N, 2\)"),
        (((C, K + 1), (N, 1), (N, K)), r"out \(N, 3\) and table \(5, 4\)"),
        (((3, C, K), (N, 2), (N, 2, K)), r"out \(N, 2, 3\) and table \(3, 5, 3\)"),
        (((C, K), (N, 2), (N, 2, K)), r"out \(N, 2, 3\) and table \(5, 3\)"),
    ],
)
def test_lookups_that_do_not_fit_name_both_sides(axes, said):
    table, index, out = named(**dict(zip(("table", "index", "out"), axes, strict=True)))
    with pytest.raises(InputError, match=rf"out = table\[index\]: {said} do not go together"):
        Lookup(table, index, out)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_sums_along_bins(reverse, plus, rng):
    s, o, p, other = named(s=(M, C, K), out=(M, C, K), p=(M, C, K), other=(M, K, C))
    a, extra = rng.standard_normal((2, M, C, K))
    node = Cumulate(s, o, reverse, p if plus else None)
    got = performed(node, s=a, p=extra)["out"]
    for c in range(C):
        want = (a[:, c:] if reverse else a[:, : c + 1]).sum(1) + extra[:, c] * plus
        np.testing.assert_allclose(got[:, c], want, rtol=1e-12, atol=1e-14)
    with pytest.raises(InputError, match=r"s \(2, 5, 3\) and other \(2, 3, 5\)"):
        Cumulate(s, other)


def test_maps_broadcast_and_name_what_does_not_fit():
    x, s, y, row, bad = named(x=(N, M, K), s=(M, K), y=(N, M, K), row=(N, M, 1), bad=(K, M))
    node = Map(scaling.scale, (x, s), (y,), (("a", 2.0),), (("b", Buffer("rate", ())),))
    assert str(node) == "y = scale(x, s, a=2, b=rate)"
    assert [b.name for b in node.reads] == ["x", "s", "rate"]
    assert Map(scaling.scale, (x, None), (row,)).reads == (x,)  # a sum over the row
    with pytest.raises(InputError, match=r"scale\(x, bad\): x \(N, 2, 3\) and bad \(3, 2\) do not"):
        Map(scaling.scale, (x, bad), (y,))
    with pytest.raises(InputError, match=r"bad = scale\(x, s\): bad \(3, 2\) and \(N, 2, 3\) do"):
        Map(scaling.scale, (x, s), (bad,))


def test_updates_read_and_write_what_they_say():
    w, g, m, bad = named(w=(D, K), g=(D, K), m=(D, K), bad=(K, D))
    node = Update(optimisers.OPTIMISERS["momentum"], w, g, (m,), penalised=True, group=1)
    assert node.reads == (w, g, m)
    assert node.writes == (w, m)
    assert str(node) == "w, m = momentum(w, g, ..., group 1)"
    with pytest.raises(InputError, match=r"update: w \(4, 3\) and bad \(3, 4\) do not go together"):
        Update(optimisers.OPTIMISERS["sgd"], w, bad, (), penalised=True)
    clip = Clip(((g, w), (bad, None)), Buffer("clip", ()))
    assert clip.reads == (g, w, bad)


def test_rows_are_scaled_by_shares_of_their_number():
    rows, share, out, bad = named(rows=(N, M, K), share=(N, 1, 1), out=(N, M, K), bad=(N, K))
    assert ScaleRows(scaling.scale, rows, share, out).reads == (rows, share)
    with pytest.raises(InputError, match=r"rows \(N, 2, 3\) and bad \(N, 3\) do not go together"):
        ScaleRows(scaling.scale, rows, share, bad)


def test_a_batch_is_gathered_in_the_kind_of_its_buffer(rng):
    x, t = Buffer("x", (N, K)), Buffer("t", (N, 1), "index")
    at = {"all_x": rng.standard_normal((9, K)), "all_t": np.arange(9)[:, None]}
    at |= {"order": np.array([3, 1]), "dtype": "float32"}
    got = performed(Gather("all_x", x), **at)["x"]
    np.testing.assert_array_equal(got, at["all_x"][[3, 1]].astype("float32"))
    assert performed(Gather("all_t", t), **at)["t"].tolist() == [[3], [1]]
    assert str(Gather("all_x", x, sparse=True)) == "x = all_x[order] (stored entries)"
