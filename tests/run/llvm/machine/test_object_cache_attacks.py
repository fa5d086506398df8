"""Entries and folders as an enemy, or an accident, may leave them.

Nothing that somebody else could have written is taken, nothing of theirs is removed, and nothing's
permissions change. It costs time: the code is compiled again.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import stat

import pytest

from backhand.run.llvm.machine import object_cache

ANOTHER = 65534
GOOD = b"what this user compiled"
EVIL = b"what somebody else wrote"


class Others:
    """Makes files somebody else's: in truth as root, else in what the system is heard to say."""

    def __init__(self, monkeypatch):
        self.known = set()
        if os.geteuid() != 0:
            for name in ("stat", "lstat", "fstat"):
                monkeypatch.setattr(os, name, self.heard(getattr(os, name)))
            monkeypatch.setattr(os, "lchown", self.pretend)

    def pretend(self, path, uid, gid):
        status = os.lstat(path)
        self.known.add((status.st_dev, status.st_ino))

    def heard(self, ask):
        def asked(*args, **kwargs):
            status = ask(*args, **kwargs)
            if (status.st_dev, status.st_ino) not in self.known:
                return status
            return os.stat_result((*status[:4], ANOTHER, ANOTHER, *status[6:]))

        return asked


@pytest.fixture(autouse=True)
def _others(monkeypatch):
    Others(monkeypatch)
    object_cache._report.cache_clear()


def theirs(path):
    os.lchown(path, ANOTHER, ANOTHER)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """The folder that is named, which is there already."""
    folder = tmp_path / "above" / "named"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BACKHAND_CACHE", str(folder))
    return folder


def snapshot(top):
    """What is there, whose it is, with which permissions."""
    found = {}
    for folder, names, files in os.walk(top):
        for path in (os.path.join(folder, name) for name in ["", *names, *files]):
            status = os.lstat(path)
            found[path] = (status.st_ino, status.st_mode, status.st_uid)
    return found


def valid(key, code=EVIL):
    """The content of a file that is whole: its checksum is no secret."""
    return object_cache.MAGIC + object_cache._seal(key, code) + code


# entries ------------------------------------------------------------------------------------------


def foreign(entry, elsewhere):
    entry.write_bytes(valid("key"))
    theirs(entry)


def link(entry, elsewhere):
    elsewhere.write_bytes(valid("key"))
    entry.symlink_to(elsewhere)


def hard_link(entry, elsewhere):
    elsewhere.write_bytes(valid("key"))
    os.link(elsewhere, entry)


def open_to(bits):
    def write(entry, elsewhere):
        entry.write_bytes(valid("key"))
        entry.chmod(bits)

    return write


def fifo(entry, elsewhere):
    os.mkfifo(entry)


def foreign_fifo(entry, elsewhere):
    os.mkfifo(entry, 0o666)
    theirs(entry)


def folder(entry, elsewhere):
    entry.mkdir()
    (entry / "content").write_bytes(valid("key"))


def bound_socket(entry, elsewhere):
    with socket.socket(socket.AF_UNIX) as made:
        back = os.getcwd()
        os.chdir(entry.parent)  # for names of sockets have to be short
        made.bind(entry.name)
        os.chdir(back)


def device(entry, elsewhere):
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(entry, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero


def sparse(entry, elsewhere):
    with open(entry, "wb") as file:
        file.write(valid("key"))
        file.truncate(1 << 42)


ENTRIES = {
    "foreign": foreign,
    "link to a whole entry": link,
    "link to /dev/zero": lambda entry, elsewhere: entry.symlink_to("/dev/zero"),
    "dangling link": lambda entry, elsewhere: entry.symlink_to(elsewhere),
    "hard link": hard_link,
    "open to the group": open_to(0o620),
    "open to all": open_to(0o602),
    "fifo": fifo,
    "foreign fifo": foreign_fifo,
    "folder": folder,
    "socket": bound_socket,
    "device": device,
    "4 TB": sparse,
}
MENDED = ("open to the group", "open to all", "hard link", "4 TB")  # files of this user's own


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_hostile_entry_costs_time_and_nothing_else(base, tmp_path, kind, monkeypatch):
    path = object_cache.folder()
    entry, elsewhere = object_cache._entry(path, "key"), tmp_path / "elsewhere"
    ENTRIES[kind](entry, elsewhere)
    before = snapshot(tmp_path)
    descriptors = len(os.listdir("/dev/fd"))
    assert object_cache.read("key") is None
    assert snapshot(tmp_path) == before
    assert object_cache.cached("key", lambda: GOOD) == GOOD
    if kind in MENDED:
        del before[str(entry)]
        assert object_cache.read("key") == GOOD
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    else:
        assert object_cache.read("key") is None
    monkeypatch.setattr(object_cache, "LARGEST", 4)
    for number in range(20):  # others are kept, and make room for themselves alone
        object_cache.write(f"{number}", GOOD)
    assert object_cache.read("19") == GOOD
    after = snapshot(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert len(os.listdir("/dev/fd")) == descriptors


def test_files_of_others_are_never_removed(base, monkeypatch):
    monkeypatch.setattr(object_cache, "LARGEST", 4)
    path = object_cache.folder()
    names = [f"module{n}.o" for n in range(20)] + ["backhand-1.o", ".new-notes", ".new-features"]
    names += [
        object_cache._entry(path, "x").name + "~",
        ".backhand-notes.part",
        f"backhand-{'g' * 64}.o",
    ]
    for place in (base, path):
        for name in names:
            (place / name).write_text("another program's")
            os.utime(place / name, (0, 0))
    for number in range(8):
        foreign(object_cache._entry(path, f"theirs {number}"), None)
        os.utime(object_cache._entry(path, f"theirs {number}"), (0, 0))
    before = snapshot(base)
    for number in range(20):
        object_cache.write(f"{number}", GOOD)
    after = snapshot(base)
    assert {name: after.get(name) for name in before} == before
    assert sum(object_cache.read(f"{number}") == GOOD for number in range(20)) in range(1, 5)


# folders ------------------------------------------------------------------------------------------


def plant(path):
    """A folder of entries with a whole one, as this user's own would be."""
    path.mkdir(mode=0o700)
    entry = object_cache._entry(path, "key")
    entry.write_bytes(valid("key"))
    entry.chmod(0o600)
    return path


def own(base):
    return base / f"backhand-{os.geteuid()}"


def mode(bits, place=lambda base: base):
    def change(base):
        if not own(base).exists():
            plant(own(base))
        place(base).chmod(bits)

    return change


def foreign_own(base):
    theirs(plant(own(base)))


def foreign_base(base):
    plant(own(base))
    theirs(base)


def foreign_sticky(base):
    mode(0o1777)(base)
    theirs(base)


def foreign_parent(base):
    plant(own(base))
    theirs(base.parent)


def foreign_link(base):
    plant(own(base))
    base.rename(base.with_name("moved"))
    base.symlink_to("moved")
    theirs(base)


def foreign_link_to_entries(base):
    plant(base.parent / "planted")
    own(base).symlink_to("../planted")
    theirs(own(base))


def link_into_the_open(base):
    open_ = base.parent / "open"
    open_.mkdir()
    plant(open_ / "planted")
    open_.chmod(0o777)
    base.rmdir()
    base.symlink_to("open/planted")


def link_over_foreign_link(base):
    plant(own(base))
    base.rename(base.with_name("moved"))
    (base.parent / "between").symlink_to("moved")
    theirs(base.parent / "between")
    base.symlink_to("between")


UNSAFE = {
    "others write to the named folder": mode(0o777),
    "the group writes to the named folder": mode(0o775),
    "others write above": mode(0o777, lambda base: base.parent),
    "others write to the entries": mode(0o707, own),
    "the group writes to the entries": mode(0o770, own),
    "sticky entries": mode(0o1777, own),
    "foreign entries": foreign_own,
    "foreign named folder": foreign_base,
    "foreign sticky folder": foreign_sticky,
    "foreign parent": foreign_parent,
    "foreign link": foreign_link,
    "foreign link to the entries": foreign_link_to_entries,
    "link over a foreign link": link_over_foreign_link,
    "link into a folder that others write to": link_into_the_open,
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_an_unsafe_folder_is_not_used_and_that_is_said_once(base, tmp_path, kind, caplog):
    UNSAFE[kind](base)
    before = snapshot(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert object_cache.folder() is None
            assert object_cache.read("key") is None
            assert object_cache.cached("key", lambda: GOOD) == GOOD
    assert snapshot(tmp_path) == before
    (record,) = caplog.records
    said = record.getMessage()
    assert record.name == "backhand"
    assert str(tmp_path) in said
    assert "set BACKHAND_CACHE" in said
    assert "\n" not in said


def linked(base):
    base.rename(base.with_name("moved"))
    base.symlink_to(base.with_name("moved"))


def links_to_links(base):
    linked(base)
    for number in range(3):
        base.rename(base.with_name(f"link{number}"))
        base.symlink_to(f"../{base.parent.name}/./link{number}/")


SAFE = {
    "plain": lambda base: None,
    "readable": lambda base: base.chmod(0o755),
    "sticky, as /tmp": lambda base: base.chmod(0o1777),
    "sticky above": lambda base: base.parent.chmod(0o1777),
    "own link": linked,
    "own links to links": links_to_links,
    "own link that leads nowhere yet": lambda base: (base.rmdir(), base.symlink_to("new")),
    "not there yet": lambda base: shutil.rmtree(base.parent),
}


@pytest.mark.parametrize("kind", SAFE)
def test_a_safe_folder_is_used_and_left_as_it_was(base, tmp_path, kind, caplog):
    SAFE[kind](base)
    before = snapshot(tmp_path)
    assert object_cache.cached("key", lambda: GOOD) == GOOD
    assert object_cache.read("key") == GOOD
    after = snapshot(tmp_path)
    assert {name: after.get(name) for name in before} == before
    new = [after[name][1] for name in set(after) - set(before)]
    assert all(not bits & 0o077 for bits in new if not stat.S_ISLNK(bits))
    assert caplog.records == []


def test_a_link_to_itself_costs_time_and_nothing_else(base):
    base.rmdir()
    base.symlink_to(base.name)
    assert object_cache.folder() is None
    assert object_cache.cached("key", lambda: GOOD) == GOOD


def test_the_home_of_another_user_is_not_used(tmp_path, monkeypatch):
    """As under sudo with HOME left as it was: root would leave files there, and run such files."""
    home = tmp_path / "home"
    home.mkdir()
    theirs(home)
    monkeypatch.delenv("BACKHAND_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    object_cache.write("key", GOOD)
    assert object_cache.read("key") is None
    assert list(home.iterdir()) == []


def test_a_folder_that_is_exchanged_after_it_was_found_is_checked_again(base):
    path = object_cache.folder()
    object_cache.write("key", GOOD)
    path.chmod(0o777)
    assert object_cache._read(object_cache._entry(path, "key"), "key") is None
    with pytest.raises(OSError, match="other users can write"):
        object_cache._write(object_cache._entry(path, "key"), "key", EVIL)
    path.chmod(0o700)
    assert object_cache.read("key") == GOOD
    theirs(path)
    assert object_cache._read(object_cache._entry(path, "key"), "key") is None
