"""Nothing reaches native code that it was not compiled for."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import scipy.sparse as sp

from backhand.errors import InputError
from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.run.llvm import tuning
from backhand.run.llvm.program.buffers import Slot
from backhand.run.llvm.runtime.binding import Table, check_sources, with_padding
from backhand.run.llvm.runtime.engine import CompiledTrainer, Forward, execute
from backhand.run.llvm.runtime.instance import aligned_copy

from ..problems import scalars_of

REAL = np.dtype(np.float32)
SLOTS = {
    "rows": None,
    "x": Slot(REAL, (None, 3), True),
    "x.stride": None,
    "out": Slot(REAL, (None, 2)),
    "w": Slot(REAL, (4, 16)),
    "order": Slot(np.dtype(np.int64), (None,)),
}


def test_what_fits_is_bound_with_its_stride_and_kept_until_it_is_released():
    table = Table(SLOTS)
    x = np.zeros((5, 8), np.float32)[::-2, :3]
    known = weakref.ref(x)
    assert table.bind("x", x) is table["x"] is x
    assert table.number("x") == x.ctypes.data
    assert table.number("x.stride") == -64
    table.release(["x", "out"])
    assert table.number("x") == 0
    assert "x" not in table
    del x
    assert known() is None


@pytest.mark.parametrize(
    ("name", "a"),
    [
        ("x", np.zeros((5, 3))),  # another dtype
        ("x", np.zeros((5, 3), ">f4")),
        ("x", np.zeros((5, 4), np.float32)),  # another width
        ("x", np.zeros(3, np.float32)),
        ("x", np.zeros((5, 6), np.float32)[:, ::2]),  # gaps within a row
        ("x", np.zeros((3, 5), np.float32).T),
        ("x", np.zeros(61, np.uint8)[1:].view(np.float32).reshape(5, 3)),  # not aligned
        ("out", np.zeros((5, 4), np.float32)[:, :2]),  # gaps between rows
        ("w", np.zeros((3, 16), np.float32)),
        ("w", np.zeros((4, 4), np.float32)),
        ("order", np.arange(3, dtype=np.int32)),
        ("order", np.arange(6)[::2]),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(name, a):
    table = Table(SLOTS)
    with pytest.raises(InputError, match=rf"^{name} is .*compiled program reads"):
        table.bind(name, a)
    assert name not in table
    assert table.number(name) == 0


def test_an_address_is_never_written_as_a_number():
    with pytest.raises(AssertionError, match="address"):
        Table(SLOTS).set(x=1)


@pytest.mark.parametrize("order", [[0, 5], [-1], [2**40]])
def test_an_order_stays_within_the_rows(order):
    sources = {"x": np.zeros((5, 3)), "t": np.zeros((5, 1))}
    assert check_sources(sources, 3, np.array([4, 0])) == 2
    with pytest.raises(InputError, match="order of rows"):
        check_sources(sources, 3, np.array(order))


def test_all_arrays_have_the_same_rows():
    with pytest.raises(InputError, match="x 5, t 4"):
        check_sources({"x": np.zeros((5, 3)), "t": np.zeros((4, 1))}, 3)


def damaged():
    """Ways of damaging the rows of a sparse matrix, as functions of it."""

    def fault(part, place, value):
        def change(rows):
            getattr(rows, part)[place] = value

        change.__name__ = f"{part}[{place}] = {value}"
        return change

    yield from (fault("indices", 0, v) for v in (9, 2**30, -1, -(2**31)))
    yield from (fault("indptr", p, v) for p in (0, 3, -1) for v in (-1, 2**30))


@pytest.mark.parametrize("fault", list(damaged()), ids=lambda f: f.__name__)
@pytest.mark.parametrize("entries", [0, 7])
def test_entries_of_sparse_rows_lie_within_them(fault, entries):
    rows = sp.csr_array((np.ones(entries), (np.arange(entries) % 6, np.arange(entries))), (6, 9))
    sources = {"all_x": rows.data, "all_x.indices": rows.indices, "all_x.indptr": rows.indptr}
    assert check_sources(sources, 9) == 6
    if not entries and "indices" in fault.__name__:
        return
    fault(rows)
    with pytest.raises(InputError, match="malformed sparse"):
        check_sources(sources, 9)


def test_padding_is_read_only_where_it_is_the_arrays_own():
    home = aligned_copy(np.ones((5, 3), np.float32))
    whole = with_padding(home, home.strides[0] // 4)
    assert whole.shape[0] == 5
    np.testing.assert_array_equal(whole[:, :3], 1)
    np.testing.assert_array_equal(whole[:, 3:], 0)
    for a in (np.ones((5, 3), np.float32), home[:, :2].copy(), np.ones((5, 16), np.float32)[:, 5:]):
        with pytest.raises(InputError, match="no padding of their own"):
            with_padding(a, 16)


# through the executor's doors -------------------------------------------------------------------


@pytest.fixture
def network():
    return Network((6, 5, 2), loss="mean_squared_error")


@pytest.fixture
def trainer(network):
    return CompiledTrainer(network, network.init("kaiming_normal"), OPTIMISERS["sgd"])


def one_epoch(trainer, x, t, weight=None, order=None):
    order = np.arange(len(t)) if order is None else order
    scalars = scalars_of(trainer.description, trainer.optimiser, -(-len(order) // 4), 0.1)
    return trainer.epoch(x, t, weight, order, 4, scalars, 0)


def given(rows=8, inputs=6, outputs=2, weights=None):
    x = np.ones((rows, inputs), np.float32)
    t = np.ones((rows, outputs), np.float32)
    return x, t, None if weights is None else np.ones((weights, 1), np.float32)


@pytest.mark.parametrize(
    ("data", "order"),
    [
        (given(inputs=5), None),
        (given(inputs=7), None),
        (given(outputs=1), None),
        (given(outputs=3), None),
        (given(weights=7), None),
        (given(), np.array([8])),
        (given(), np.array([-1])),
        (given(), np.array([0.5])),
        ((given()[0][:7], *given()[1:]), None),
    ],
)
def test_an_epoch_takes_what_its_network_was_compiled_for(trainer, data, order):
    before = trainer.params
    with pytest.raises(InputError):
        one_epoch(trainer, *data, order=order)
    for name, a in trainer.params.items():
        np.testing.assert_array_equal(before[name], a)
    assert np.isfinite(one_epoch(trainer, *given()))


def test_targets_of_another_dtype_get_a_program_of_their_own(trainer):
    x, t, _ = given()
    assert one_epoch(trainer, x, t) > 0
    assert one_epoch(trainer, x, t.astype(np.uint8)) > 0


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<i8", ">i2"])
@pytest.mark.parametrize("offset", [0, 1])
def test_any_alignment_and_byte_order_is_read(network, dtype, offset):
    room = np.zeros(5 * 6 * 8 + 1, np.uint8)
    x = np.ndarray((5, 6), dtype, room, offset)
    x[...] = np.arange(30).reshape(5, 6) % 7
    params = network.init("kaiming_normal")
    want = Forward(network, params)(x.astype(np.float32))
    np.testing.assert_array_equal(Forward(network, params)(x), want)


@pytest.mark.parametrize("dtype", [">i4", "u1", "<i8"])
def test_class_indices_of_any_kind_are_read_and_others_refused(dtype):
    network = Network((6, 5, 3), loss="softmax_cross_entropy")
    x, t = given()[0], (np.arange(8) % 3)[:, None]
    losses = []
    for kind in (np.int64, dtype):
        trainer = CompiledTrainer(network, network.init("kaiming_normal"), OPTIMISERS["sgd"])
        losses.append(one_epoch(trainer, x, t.astype(kind)))
        with pytest.raises(InputError, match="class indices"):
            one_epoch(trainer, x, t.astype(np.float16))
    assert losses[0] == losses[1]


def test_an_array_that_is_resized_between_two_epochs_is_refused(trainer):
    x, t, _ = given()
    one_epoch(trainer, x, t)
    x.resize((2, 6), refcheck=False)
    with pytest.raises(InputError, match="numbers of rows"):
        one_epoch(trainer, x, t)


def test_sparse_rows_that_are_damaged_between_two_epochs_are_refused(trainer):
    _, t, _ = given()
    rows = sp.csr_array(np.eye(8, 6, dtype=np.float32))
    one_epoch(trainer, rows, t)
    rows.indices[2] = 6
    with pytest.raises(InputError, match="column 6"):
        one_epoch(trainer, rows, t)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8])
def test_parameters_of_another_dtype_are_converted(network, dtype):
    params = {"w1": np.ones((6, 5), dtype), "b1": np.ones(5, dtype)}
    params |= {"w2": np.ones((5, 2), dtype), "b2": np.ones(2)}
    x = np.ones((3, 6), np.float32)
    np.testing.assert_array_equal(Forward(network, params)(x), np.full((3, 2), 36, np.float32))
    np.testing.assert_array_equal(Forward(network, params)(x[:1]), [[36, 36]])
    start = CompiledTrainer(network, params, OPTIMISERS["sgd"]).params
    assert all(a.dtype == np.float32 for a in start.values())


def test_shared_parameters_of_another_dtype_are_refused(network):
    homes = {name: aligned_copy(np.ones(shape, np.int8)) for name, shape in network.shapes.items()}
    predict = Forward(network, homes, in_place=True)
    for rows in (1, 3):
        with pytest.raises(InputError, match="w1 is int8"):
            predict(np.ones((rows, 6), np.float32))


@pytest.mark.parametrize("x", [3.0, None, "abc", {"a": [1.0]}, np.ones(6), np.ones((2, 3, 6))])
def test_rows_that_are_none_are_refused_in_one_line(network, x):
    with pytest.raises(InputError, match=r"^x "):
        Forward(network, network.init("kaiming_normal"))(x)


def test_values_beyond_the_dtype_are_named(network):
    x = np.ones((3, 6))
    x[1, 4] = 1e39
    with pytest.raises(InputError, match=r"x is 1e\+39 in row 1, column 4"):
        Forward(network, network.init("kaiming_normal"))(x)


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_of_the_callers_outlives_a_call(network, threads):
    trainer = CompiledTrainer(
        network, network.init("kaiming_normal"), OPTIMISERS["adam"], threads=threads
    )
    predict = Forward(network, network.init("kaiming_normal"), threads=threads)
    known = []
    for dtype in (np.float32, np.float64):
        x, t, weight = (a.astype(dtype) for a in given(rows=600, weights=600))
        order = np.arange(600)
        scalars = scalars_of(network, trainer.optimiser, 150, 0.1)
        trainer.epoch(x, t, weight, order, 4, scalars, 0)
        known += [weakref.ref(predict(x)), weakref.ref(predict(x[:1]))]
        known += [weakref.ref(a) for a in (x, t, weight, order)]
        del x, t, weight, order
    gc.collect()
    assert [ref() for ref in known] == [None] * len(known)


def test_threads_end_after_a_pause(network):
    before = threading.active_count()
    trainers = [
        CompiledTrainer(network, network.init("kaiming_normal"), OPTIMISERS["sgd"], threads=3)
        for _ in range(4)
    ]
    for trainer in trainers:
        one_epoch(trainer, *given())
    mine = [t for t in threading.enumerate() if t.name.startswith("backhand_")]
    assert mine
    for thread in mine:
        thread.join(50 * tuning.THREAD_IDLE_SECONDS)
    assert threading.active_count() <= before
    assert all(np.isfinite(one_epoch(trainer, *given())) for trainer in trainers)  # hired again


def test_gradients_take_what_fits(network):
    from backhand.plan.step import gradient_plan

    params = network.init("kaiming_normal")
    x, t, weight = given(weights=8)
    for bad in ({"t": t[:7]}, {"weight": weight[:5]}, {"t": t[:, :1]}, {"x": x[:, :5]}):
        with pytest.raises(InputError):
            execute(gradient_plan(network), params, {"x": x, "t": t, "weight": weight, **bad})
