from __future__ import annotations

import multiprocessing
import os
import stat

import pytest

from backhand.run.llvm import cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects"


def builder(code=b"code"):
    calls = []

    def build():
        calls.append(1)
        return code

    build.calls = calls
    return build


def test_second_call_reads(home):
    build = builder()
    assert cache.cached("a", build) == cache.cached("a", build) == b"code"
    assert len(build.calls) == 1
    assert cache.cached("b", build) == b"code"
    assert len(build.calls) == 2


def test_folder_is_closed_to_others(home):
    cache.cached("a", builder())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    home.chmod(0o755)
    cache.folder()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_folder_of_somebody_else_is_not_used(home, monkeypatch):
    cache.cached("a", builder())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert cache.folder() is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: b"",
        lambda c: b"garbage",
        lambda c: c[:-1],
        lambda c: c + b"x",
        lambda c: c[:60] + b"?" + c[61:],
        lambda c: c[: len(cache.MAGIC) + 32],
    ],
)
def test_garbage_is_compiled_again(home, spoil):
    cache.cached("a", builder(b"right code, long enough"))
    (entry,) = home.iterdir()
    entry.write_bytes(spoil(entry.read_bytes()))
    build = builder(b"right code, long enough")
    assert cache.cached("a", build) == b"right code, long enough"
    assert len(build.calls) == 1
    assert cache.cached("a", builder(b"wrong")) == b"right code, long enough"  # mended


def test_entry_of_another_key_is_not_taken(home):
    cache.cached("a", builder(b"for a"))
    cache.cached("b", builder(b"for b"))
    one, other = home.iterdir()
    one.write_bytes(other.read_bytes())
    assert cache.cached("a", builder(b"for a")) == b"for a"
    assert cache.cached("b", builder(b"for b")) == b"for b"


def test_off(home, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", "off")
    build = builder()
    cache.cached("a", build)
    cache.cached("a", build)
    assert len(build.calls) == 2
    assert not home.exists()


def test_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "file" / "objects"))
    assert cache.cached("a", builder()) == b"code"


@pytest.mark.parametrize("call", ["replace", "fdopen"])
def test_full_disk(home, monkeypatch, call):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    assert cache.cached("a", builder()) == b"code"
    monkeypatch.undo()
    os.environ["BACKHAND_CACHE"] = str(home)
    try:
        assert [p.name for p in home.iterdir()] == []  # nothing half-written stays
    finally:
        del os.environ["BACKHAND_CACHE"]


def test_failure_to_build_goes_through(home):
    def build():
        raise ValueError("no code")

    with pytest.raises(ValueError, match="no code"):
        cache.cached("a", build)


def test_old_entries_go(home, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST", 10)
    for number in range(25):
        cache.cached(str(number), builder())
    assert len(list(home.iterdir())) <= 10


def _write_many(path, seconds):
    os.environ["BACKHAND_CACHE"] = str(path)
    for number in range(200):
        key = str(number % 3)
        assert cache.cached(key, lambda key=key: key.encode() * 10000) == key.encode() * 10000


def test_two_processes_at_once(home):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(home, 1)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
