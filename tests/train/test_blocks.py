"""Epochs that come block by block: every row once, in random order, with the same bits again."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from backhand import (
    Checkpoint,
    DivergedError,
    InputError,
    Network,
    Rows,
    TrainConfig,
    fit,
    load_checkpoint,
)
from backhand.run.llvm.host.team import helpers
from backhand.train.blocks import UNINTERRUPTED, Blocks, RereadRows, ahead
from backhand.train.stored import StoredRows, stored

N = 1000
X = np.arange(N, dtype=np.float32)[:, None]
NET = Network((3, 8, 2), loss="softmax_cross_entropy")
ROW_BYTES = 8  # of X and of its targets


def rows_of(count=600, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3)).astype(np.float32)
    return Rows(x, (x[:, 0] > 0).astype(np.int64), rng.uniform(0.5, 2, count).astype(np.float32))


def in_pieces(rows, size=37):
    """A source that is read again in each epoch, whose pieces come in random order."""

    def make(rng):
        firsts = np.arange(0, len(rows), size)
        for first in firsts if rng is None else rng.permutation(firsts):
            yield rows.take(slice(first, first + size))

    return make


def reread(rows=None, window=800, **more):
    rows = Rows(X, X) if rows is None else rows
    return RereadRows(in_pieces(rows, **more), len(rows), ROW_BYTES, window)


def epoch(blocks, number=0, seed=0, batch_size=10, **more):
    with blocks.epoch(number, seed, batch_size, **more) as found:
        return [block.x[:, 0] for block in found]


def test_an_epoch_has_each_row_once_in_blocks_of_whole_batches():
    found = epoch(reread())
    assert np.array_equal(np.sort(np.concatenate(found)), X[:, 0])
    assert {len(block) for block in found} == {100}
    found = epoch(reread(), batch_size=64)
    assert [len(block) for block in found] == [128] * 7 + [104]


def test_blocks_are_as_alike_as_possible():
    assert [len(block) for block in epoch(reread(window=ROW_BYTES * 900))] == [500, 500]


def test_a_window_that_holds_all_rows_is_one_block():
    assert len(epoch(reread(window=1 << 20))) == 1


def test_orders_follow_from_seed_and_epoch_alone():
    first, again, later, other = (
        np.concatenate(epoch(reread(), number, seed))
        for number, seed in ((3, 5), (3, 5), (4, 5), (3, 6))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, other)


def test_rows_keep_their_order_where_they_are_not_shuffled():
    assert np.array_equal(np.concatenate(epoch(reread(), shuffle=False)), X[:, 0])


def test_blocks_that_are_done_are_left_out():
    every = epoch(reread())
    rest = epoch(reread(), done=3)
    assert np.array_equal(np.concatenate(every[3:]), np.concatenate(rest))


def test_a_shorter_epoch_has_other_rows_each_time():
    some = reread().first(200)
    found = [np.concatenate(epoch(some, number)) for number in range(2)]
    assert len(some) == 200
    assert [len(block) for block in found] == [200, 200]
    assert not np.array_equal(*map(np.sort, found))


@pytest.mark.parametrize("kind", ["reread", "stored"])
def test_blocks_of_sorted_rows_are_like_all_rows(kind, request):
    """Rows in order, such as of time, with blocks of a twentieth: pieces of 16 rows are mixed.

    The mean of a block of B rows in whole pieces of P has, over those of B / P pieces by chance,
    a standard deviation of at most that of the values times sqrt(P / B).
    """
    rows = Rows(np.arange(20_000, dtype=np.float32)[:, None], np.zeros((20_000, 1), np.float32))
    window = ROW_BYTES * 1000
    if kind == "reread":
        blocks = RereadRows(in_pieces(rows, size=16), len(rows), ROW_BYTES, window)
    else:
        blocks = stored([rows], window=window)
        request.addfinalizer(blocks.close)
        blocks.piece_bytes = 16 * ROW_BYTES
    means = np.array([block.mean() for number in range(5) for block in epoch(blocks, number)])
    spread = rows.x.std() * np.sqrt(16 / 1000)
    assert len(means) == 100
    assert abs(means - rows.x.mean()).max() < 4.5 * spread
    assert 0.7 * spread < means.std() < 1.3 * spread
    # who meets whom: neighbours of one epoch are strangers in the next
    first, second = (np.concatenate(epoch(blocks, number)) for number in range(2))
    place = np.argsort(first)
    assert abs(np.corrcoef(place, np.argsort(second))[0, 1]) < 0.05


def test_a_source_with_fewer_rows_than_before_is_an_error():
    blocks = RereadRows(in_pieces(Rows(X, X)), N + 1, ROW_BYTES)
    with pytest.raises(InputError, match="there are 1,000 rows where there were 1,001 before"):
        epoch(blocks)


def test_the_next_block_is_read_while_one_is_in_use():
    seen = []

    class Watched(Blocks):
        def pieces(self, rng):
            for first in range(0, N, 100):
                seen.append(first)
                yield Rows(X[first : first + 100], X[first : first + 100])

    with Watched(N, ROW_BYTES, 800).epoch(0, 0, 10) as blocks:
        next(blocks)
        deadline = time.monotonic() + 10
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert 2 <= len(seen) <= 3  # and no further ahead
    assert not [thread for thread in threading.enumerate() if "backhand-read" in thread.name]


def test_a_processor_is_left_to_the_reader_while_it_reads():
    inside, leave = threading.Event(), threading.Event()

    def pieces():
        yield 1
        inside.set()
        leave.wait(10)
        yield 2

    with ahead(pieces()) as blocks:
        assert next(blocks) == 1
        assert inside.wait(10)
        assert helpers() == 1
        leave.set()
        assert [*blocks] == [2]
        assert helpers() == 0


def test_no_thread_is_interrupted_while_it_starts_the_reader():
    """Else Python may end the reader in its place, for which it then waits for ever."""
    made = threading.Event()

    def read():
        with ahead(iter([1, 2])) as read_ahead:
            assert next(read_ahead) == 1
            made.set()

    thread = threading.Thread(target=read)
    with UNINTERRUPTED:  # as who interrupts it
        thread.start()
        assert not made.wait(0.1)
    thread.join(10)
    assert made.is_set()


def test_errors_of_the_reading_thread_reach_the_training_one():
    def make(rng):
        yield Rows(X[:500], X[:500])
        raise InputError("b.parquet: has changed")

    with pytest.raises(InputError, match=r"b\.parquet: has changed"):
        epoch(RereadRows(make, N, ROW_BYTES, 800))
    assert not [thread for thread in threading.enumerate() if "backhand-read" in thread.name]


# trainings ----------------------------------------------------------------------------------------


def config(**more):
    return TrainConfig(epochs=3, batch_size=32, learning_rate=0.01, seed=1, **more)


def trained(blocks, **more):
    return fit(NET, NET.init("lecun_normal", 0), blocks, config(), **more)


def breaking(rows):
    """Rows that cannot be read to the end in the second epoch."""
    passes, whole = [], in_pieces(rows)

    def make(rng):
        passes.append(1)
        for number, piece in enumerate(whole(rng)):
            if len(passes) == 2 and number == 12:
                raise InputError("rows.parquet: has changed")
            yield piece

    return RereadRows(make, len(rows), ROW_BYTES, 800)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_one_block_in_order_trains_as_an_array(engine):
    rows = rows_of()
    settings = config(engine=engine, shuffle=False)
    start = NET.init("lecun_normal", 0)
    one = fit(NET, start, rows, settings)
    other = fit(NET, start, reread(rows, window=1 << 20), settings)
    assert same(one.params, other.params)
    assert [line.loss for line in one.history] == [line.loss for line in other.history]


def test_several_blocks_in_order_train_as_an_array():
    rows = rows_of()
    start = NET.init("lecun_normal", 0)
    one = fit(NET, start, rows, config(shuffle=False))
    other = fit(NET, start, reread(rows), config(shuffle=False))
    assert same(one.params, other.params)
    for a, b in zip(one.history, other.history, strict=True):
        assert np.isclose(a.loss, b.loss, rtol=1e-6)  # a mean of means of float32 losses


def test_threads_change_no_bit():
    blocks = reread(rows_of())
    start = NET.init("lecun_normal", 0)
    one, two = (fit(NET, start, blocks, config(threads=n)) for n in (1, 2))
    assert same(one.params, two.params)


def test_a_training_goes_on_after_a_block_with_the_same_bits(tmp_path):
    """Its file changes in the midst of the second epoch, and is put right again."""
    rows, path = rows_of(), tmp_path / "state"
    with pytest.raises(InputError, match="has changed"):
        trained(breaking(rows), checkpoint=Checkpoint(path))
    state = load_checkpoint(path)
    assert state.epoch == 1
    assert state.part.blocks > 0
    whole = trained(reread(rows))
    resumed = trained(reread(rows), state=state)
    assert same(whole.params, resumed.params)
    assert [line.loss for line in whole.history] == [line.loss for line in resumed.history]


def test_the_best_epoch_survives_in_a_checkpoint_of_a_block(tmp_path):
    """The parameters now are then others than those of the best epoch, even if that is the last."""
    rows, path = rows_of(), tmp_path / "state"
    with pytest.raises(InputError):
        trained(breaking(rows), checkpoint=Checkpoint(path), validation=rows_of(seed=1))
    state = load_checkpoint(path)
    assert not same(state.params, state.best.params)


def test_a_loss_that_is_not_finite_names_its_layer():
    net = Network((3, 8, 1), loss="mean_squared_error", activation="relu")
    rows = Rows(rows_of().x, np.full((600, 1), 1e30, np.float32))
    with pytest.raises(DivergedError, match="training diverged in epoch 1"):
        fit(net, net.init("kaiming_normal", 0), reread(rows), config(optimiser="sgd"))


def test_lbfgs_takes_no_blocks():
    with pytest.raises(InputError, match="rows that come in blocks need another optimiser"):
        fit(NET, NET.init("lecun_normal", 0), reread(rows_of()), TrainConfig(optimiser="lbfgs"))


def test_rows_of_a_block_are_checked():
    bad = rows_of()
    bad.x[333, 1] = np.nan
    with pytest.raises(InputError, match="every feature must be finite"):
        trained(reread(bad))


def test_stored_rows_train_like_rows_that_are_read_again():
    rows = rows_of()
    with stored([rows.take(slice(0, 250)), rows.take(slice(250, None))], window=800) as kept:
        assert isinstance(kept, StoredRows)
        result = trained(kept)
    loss = fit(NET, NET.init("lecun_normal", 0), rows, config()).history[-1].loss
    assert np.isclose(result.history[-1].loss, loss, rtol=0.1)
