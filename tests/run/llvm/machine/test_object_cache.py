"""The cache saves time, whatever happens to it; see `test_cache_attacks` for those who mean it."""

from __future__ import annotations

import ast
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import backhand
from backhand.files import temporary_name
from backhand.run.llvm.machine import object_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of the entries."""
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects" / f"backhand-{os.geteuid()}"


def builder(code=b"code"):
    calls = []

    def build():
        calls.append(1)
        return code

    build.calls = calls
    return build


def test_second_call_reads(home):
    build = builder()
    assert object_cache.cached("a", build) == object_cache.cached("a", build) == b"code"
    assert len(build.calls) == 1
    assert object_cache.cached("b", build) == b"code"
    assert len(build.calls) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: b"",
        lambda c: b"garbage",
        lambda c: c[:-1],
        lambda c: c + b"x",
        lambda c: c[:60] + b"?" + c[61:],
        lambda c: c[: len(object_cache.MAGIC) + 32],
    ],
)
def test_garbage_is_compiled_again(home, spoil):
    object_cache.cached("a", builder(b"right code, long enough"))
    (entry,) = home.iterdir()
    entry.write_bytes(spoil(entry.read_bytes()))
    build = builder(b"right code, long enough")
    assert object_cache.cached("a", build) == b"right code, long enough"
    assert len(build.calls) == 1
    assert object_cache.cached("a", builder(b"wrong")) == b"right code, long enough"  # mended


def test_entry_of_another_key_is_not_taken(home):
    object_cache.cached("a", builder(b"for a"))
    object_cache.cached("b", builder(b"for b"))
    one, other = home.iterdir()
    one.write_bytes(other.read_bytes())
    assert object_cache.cached("a", builder(b"for a")) == b"for a"
    assert object_cache.cached("b", builder(b"for b")) == b"for b"


def test_what_is_made_is_closed_to_others_whatever_the_umask(home):
    code = (
        "import os; from backhand.run.llvm.machine import object_cache; os.umask(0); "
        "object_cache.write('key', b'x')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert object_cache.folder() == home
    (entry,) = home.iterdir()
    assert object_cache.read("key") == b"x"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home.parent, home, entry)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_relative_folder_is_one_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKHAND_CACHE", "near")
    assert object_cache.folder() == tmp_path / "near" / f"backhand-{os.geteuid()}"


def test_the_default_is_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKHAND_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = object_cache.folder()
    assert found is not None
    assert found.is_relative_to(tmp_path)


@pytest.mark.parametrize("place", ["~/.cache", "relative"])
def test_no_home_costs_time_and_nothing_else(tmp_path, monkeypatch, place):
    monkeypatch.delenv("BACKHAND_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: Path(place) / name)
    monkeypatch.chdir(tmp_path)
    assert object_cache.cached("a", builder()) == b"code"
    assert object_cache.folder() is None
    assert list(tmp_path.iterdir()) == []


def test_a_working_folder_that_is_gone_costs_nothing(home, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    object_cache.write("a", b"code")
    assert object_cache.read("a") == b"code"


def test_off_where_users_are_not_told_apart(home, monkeypatch):
    monkeypatch.delattr(os, "geteuid")
    assert object_cache.cached("a", builder()) == b"code"
    assert object_cache.read("a") is None
    assert not home.exists()


def test_off(home, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", "off")
    build = builder()
    object_cache.cached("a", build)
    object_cache.cached("a", build)
    assert len(build.calls) == 2
    assert not home.exists()


def test_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "file" / "objects"))
    assert object_cache.cached("a", builder()) == b"code"


@pytest.mark.parametrize("call", ["replace", "open", "mkdir"])
def test_full_disk(home, monkeypatch, call):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert object_cache.cached("a", builder()) == b"code"
    assert not home.exists() or list(home.iterdir()) == []  # nothing half-written stays


def test_failure_to_build_goes_through(home):
    def build():
        raise ValueError("no code")

    with pytest.raises(ValueError, match="no code"):
        object_cache.cached("a", build)


def test_old_entries_go(home, monkeypatch):
    monkeypatch.setattr(object_cache, "LARGEST", 10)
    for number in range(25):
        object_cache.cached(str(number), builder())
        entry = object_cache._entry(home, str(number))
        os.utime(entry, (number, number))
    left = {path.name for path in home.iterdir()}
    assert len(left) <= 10
    assert {object_cache._entry(home, str(number)).name for number in range(20, 25)} <= left


def test_entries_of_other_versions_age_with_the_rest(home, monkeypatch):
    """Whoever wrote them: an entry is known by its name alone, and its age by its date."""
    monkeypatch.setattr(object_cache, "LARGEST", 10)
    for number in range(8):
        object_cache.write(f"another version {number}", b"code")
    older = set(home.iterdir())
    for path in older:
        path.write_bytes(b"backhand object 0\n")
        os.utime(path, (1, 1))
    for number in range(4):
        object_cache.write(f"{number}", b"code")
    assert len(older & set(home.iterdir())) < 8
    for number in range(4):
        assert object_cache.read(f"{number}") == b"code"


def test_what_killed_processes_left_goes_with_the_next_write(home):
    object_cache.write("a", b"code")
    new, old = (home / temporary_name() for _ in range(2))
    former = home.parent / ".new-0a_b1c2d"
    for path in (new, old, former):
        path.write_bytes(b"half an entry")
    for path in (old, former):
        os.utime(path, (0, 0))
    object_cache.write("b", b"code")
    assert [path.exists() for path in (new, old, former)] == [True, False, False]


def test_nothing_goes_from_a_folder_where_others_may_write(home):
    object_cache.write("a", b"code")
    home.parent.chmod(0o1777)  # as /tmp
    theirs = home.parent / ".new-data2024"
    theirs.write_bytes(b"somebody's")
    os.utime(theirs, (0, 0))
    object_cache.write("b", b"code")
    assert object_cache.read("b") == b"code"
    assert theirs.exists()


def parts(path):
    """The parts of the package that a file imports."""
    package = Path(backhand.__file__).parent
    within = path.relative_to(package).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = within[: len(within) - node.level + 1] + tuple((node.module or "").split("."))
            yield next(filter(None, (*base, *(alias.name for alias in node.names))))


def test_the_key_covers_all_code_that_has_a_part_in_generating_code():
    package = Path(backhand.__file__).parent
    files = [path for part in object_cache.GENERATING for path in (package / part).rglob("*.py")]
    assert Path(object_cache.__file__) in files
    found = {part for path in files for part in parts(path)}
    # messages, files and what containers grant are in no generated code
    assert found <= {*object_cache.GENERATING, "control_groups", "errors", "files"}


def test_the_key_changes_with_any_source(tmp_path, monkeypatch):
    sources = [tmp_path / name for name in ("plan/a.py", "run/b.py", "run/llvm/ir/deep/c.py")]
    for path in (*sources, tmp_path / "run/llvm/machine/object_cache.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.setattr(
        object_cache, "__file__", str(tmp_path / "run/llvm/machine/object_cache.py")
    )
    seen = {object_cache.generator.__wrapped__()}
    for path in sources:
        path.write_text("changed")
        seen.add(object_cache.generator.__wrapped__())
    sources[-1].rename(sources[-1].with_name("d.py"))
    seen.add(object_cache.generator.__wrapped__())
    assert len(seen) == 5


def _write_many(path, seconds):
    os.environ["BACKHAND_CACHE"] = str(path)
    for number in range(200):
        key = str(number % 3)
        assert (
            object_cache.cached(key, lambda key=key: key.encode() * 10000) == key.encode() * 10000
        )


def test_two_processes_at_once(home):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(home, 1)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
