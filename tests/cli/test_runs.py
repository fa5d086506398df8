"""Run folders: whole, under a name of their own, and not lost."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from backhand.cli import runs
from backhand.errors import BackhandError, InputError
from backhand.files import temporary_name


def write(folder):
    (folder / "model").write_text(str(threading.get_ident()))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_runs_that_end_together_get_a_name_each(tmp_path):
    kept, start = [], threading.Barrier(8)

    def end():
        def filled(folder):
            write(folder)
            start.wait()

        kept.append(runs.RunFolder(tmp_path / "runs" / "a").keep(filled, done=True))

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {fault for _, fault in kept} == {""}
    assert names(tmp_path / "runs") == ["a", *(f"a-{n}" for n in range(2, 9))]
    assert len({(path / "model").read_text() for path, _ in kept}) == 8


def test_a_name_that_was_taken_meanwhile_is_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    kept = [
        runs.RunFolder(tmp_path / name).keep(write, done=True)[0].name
        for name in ("folder", "file", "empty")
    ]
    assert kept == ["folder-2", "file-2", "empty"]
    assert (tmp_path / "file").read_text() == "mine"
    assert names(tmp_path / "folder") == ["mine"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), InputError("a: No space left")])
def test_what_cannot_be_written_there_is_kept_elsewhere(tmp_path, monkeypatch, error):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))

    def full(folder):
        write(folder)
        if folder.parent.name != "tmp":
            raise error

    kept, fault = runs.RunFolder(tmp_path / "runs" / "a").keep(full, done=True)
    assert kept == tmp_path / "tmp" / "a"
    assert fault.endswith(f"No space left; the run is kept in {kept}")
    assert ".backhand-" not in fault
    assert names(tmp_path) == ["tmp"]  # nothing half-written, and no empty folder
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "b"))
    with pytest.raises(BackhandError, match="No space left; nor can the run be kept elsewhere"):
        runs.RunFolder(tmp_path / "runs" / "a").keep(full, done=True)


def test_ctrl_c_while_it_is_written_leaves_nothing(tmp_path):
    def interrupted(folder):
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.RunFolder(tmp_path / "runs" / "a").keep(interrupted, done=True)
    assert names(tmp_path) == []


def test_old_leftovers_of_ours_are_removed_and_nothing_else(tmp_path):
    old, new = temporary_name(), temporary_name()
    others = ["other", ".hidden", ".backhand-mine", f"{old}.more", ".a-12345678"]
    for name in (old, new, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text("half")
    link, long_ago = tmp_path / temporary_name(), time.time() - 7200
    link.symlink_to(tmp_path / "other")
    for name in (old, *others):
        os.utime(tmp_path / name, (long_ago, long_ago))
    os.utime(link, (long_ago, long_ago), follow_symlinks=False)
    runs.RunFolder(tmp_path / "a").keep(write, done=True)
    assert names(tmp_path) == sorted(["a", new, link.name, *others])
    assert names(tmp_path / "other") == ["model"]


def test_where_a_run_may_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for place, said in (
        ("full", "is already there"),
        ("file", "is already there"),
        ("file/run", "cannot write to"),
    ):
        with pytest.raises(InputError, match=said):
            runs.checked_place(tmp_path / place, "a")
    for place in ("empty", "new", "new/deep/er"):
        assert runs.checked_place(tmp_path / place, "a") == tmp_path / place
    assert runs.checked_place(None, "a").parent.name == "runs"
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InputError, match="is the folder that you are in"):
        runs.checked_place(Path("."), "a")
    assert names(tmp_path) == ["empty", "file", "full"]  # asking leaves nothing


def test_the_first_checkpoint_takes_the_name_and_the_run_joins_it(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("")
    folder = runs.RunFolder(tmp_path / "a")
    for text in ("one", "two"):
        folder.write_checkpoint(lambda path, text=text: path.write_text(text))
    assert names(tmp_path) == ["a", "a-2"]
    assert (tmp_path / "a-2" / runs.CHECKPOINT).read_text() == "two"
    assert folder.keep(write, done=False) == (tmp_path / "a-2", "")
    assert names(tmp_path / "a-2") == [runs.CHECKPOINT, "model"]
    assert folder.resumable
    left = tmp_path / "a-2" / temporary_name()
    left.mkdir()  # by a process that was killed before this one began
    os.utime(left, (time.time() - 60,) * 2)
    again = runs.RunFolder(tmp_path / "a-2", ours=True)
    assert again.keep(write, done=True) == (tmp_path / "a-2", "")
    assert names(tmp_path / "a-2") == ["model"]
    assert not again.resumable


def test_a_run_that_cannot_join_its_checkpoint_is_kept_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    folder = runs.RunFolder(tmp_path / "a")
    folder.write_checkpoint(lambda path: path.write_text("state"))

    def full(place):
        write(place)
        if "tmp" not in place.parts[-2]:
            raise InputError(f"cannot write {place / 'model'}: No space left")

    kept, fault = folder.keep(full, done=True)
    assert kept == tmp_path / "tmp" / "a"
    assert (
        fault
        == f"cannot write {tmp_path / 'a' / 'model'}: No space left; the run is kept in {kept}"
    )
    assert names(tmp_path / "a") == [runs.CHECKPOINT]  # nothing half-written
    folder.drop_checkpoint()
    assert names(tmp_path) == ["tmp"]
