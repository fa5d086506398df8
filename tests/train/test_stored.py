"""Rows on the disk: the bits that were written, and nothing left of them."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from backhand import InputError, Network, Rows, TrainConfig, fit, stream_rows
from backhand.train import stored as module
from backhand.train.blocks import RereadRows
from backhand.train.stored import StoredRows, disk_allowed, stored

RNG = np.random.default_rng(0)
ROWS = Rows(
    RNG.normal(size=(500, 4)).astype(np.float32),
    RNG.integers(0, 3, 500),
    RNG.uniform(size=(500, 1)),
)


def in_parts(rows, *ends):
    return [rows.take(slice(a, b)) for a, b in zip((0, *ends), (*ends, None), strict=True)]


def assert_same(got, want):
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        assert a is None or (a.dtype == b.dtype and np.array_equal(a, b))


@pytest.mark.parametrize("rows", [ROWS, Rows(ROWS.x, ROWS.t)], ids=["weighted", "plain"])
def test_rows_come_back_as_they_were(rows, tmp_path):
    with stored(in_parts(rows, 100, 100, 333), str(tmp_path)) as kept:
        assert len(kept) == 500
        assert kept.row_bytes == 16 + 8 + (8 if rows.weight is not None else 0)
        assert_same(kept.read(0, 500), rows)
        assert_same(kept.read(90, 30), rows.take(slice(90, 120)))
        assert_same(kept.read(500, 0), rows.take(slice(0, 0)))


def test_threads_read_at_once():
    faults = []
    with stored([ROWS]) as kept:
        kept.piece_bytes = 64

        def read(seed):
            for _ in range(5):
                x = np.concatenate([r.x for r in kept.pieces(np.random.default_rng(seed))])
                if not np.array_equal(np.sort(x, axis=0), np.sort(ROWS.x, axis=0)):
                    faults.append(seed)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not faults


def test_nothing_is_left_after_an_error(tmp_path):
    def broken():
        yield ROWS
        raise InputError("b.csv: has changed")

    with pytest.raises(InputError, match="has changed"):
        stored(broken(), str(tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform == "win32", reason="files have names there")
def test_nothing_is_left_of_a_process_that_was_killed(tmp_path):
    script = (
        "import os, sys, signal, numpy as np\n"
        "from backhand import Rows\n"
        "from backhand.train.stored import stored\n"
        "kept = stored([Rows(np.zeros((1000, 9)), np.zeros(1000))], sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    assert done.returncode == -9
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        StoredRows(str(tmp_path / "nowhere")).add(ROWS)
    with pytest.raises(InputError, match="nowhere"):
        disk_allowed(None, str(tmp_path / "nowhere"))


def test_a_full_disk_is_an_error_that_names_the_remedy(monkeypatch):
    with StoredRows() as kept:
        kept.add(ROWS)

        class Full:
            def seek(self, *_):
                pass

            def write(self, _):
                raise OSError(28, "No space left on device")

        real, kept._files[0] = kept._files[0], Full()
        with pytest.raises(InputError, match="No space left on device; name another folder"):
            kept.add(ROWS)
        kept._files[0] = real


def test_half_of_what_is_free_may_be_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    assert disk_allowed(None, str(tmp_path)) == 50
    assert disk_allowed(7, str(tmp_path)) == 7


# rows of a function ------------------------------------------------------------------------------


def parts():
    return (part for part in in_parts(Rows(ROWS.x, ROWS.t), 100, 333))


@pytest.mark.parametrize(("disk", "kind"), [(None, StoredRows), (100, RereadRows)])
def test_rows_of_a_function_are_learned_from(disk, kind, tmp_path):
    net = Network((4, 8, 3), loss="softmax_cross_entropy")
    config = TrainConfig(epochs=2, batch_size=50)
    rows = stream_rows(parts, disk=disk, scratch=str(tmp_path), window="1K")
    assert isinstance(rows, kind)
    assert len(rows) == 500
    start = net.init("lecun_normal", 0)
    one, other = (fit(net, start, rows, config).params for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    if kind is StoredRows:
        rows.close()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "there are no rows"),
        ([3], "part 1 of the rows must be Rows"),
        ([(ROWS.x, ROWS.t), (ROWS.x[:, 1:], ROWS.t)], "part 2 of the rows has"),
        ([(ROWS.x, ROWS.t[1:])], "part 1 of the rows has x and t of"),
        ([(3, 4)], "part 1 of the rows must be Rows"),
        ([([[1, 2], [3]], [0, 1])], "part 1 of the rows must be Rows"),
    ],
    ids=["none", "number", "shape", "lengths", "scalars", "ragged"],
)
def test_parts_that_are_no_rows(made, message):
    with pytest.raises(InputError, match=message):
        stream_rows(lambda: iter(made))
