"""Files are there whole or not at all, with the permissions of any other file."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
import tokenize

import pytest

import backhand
from backhand import MLPClassifier, Model, files
from backhand.datasets.files import unpack
from backhand.errors import InputError
from backhand.files import (
    ABANDONED,
    TEMPORARY,
    as_path,
    is_there,
    reading,
    replacing,
    sweep,
    temporary_name,
    write_together,
    write_whole,
)

LONG_AGO = 0


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def leftover(folder, name=None, age=2 * ABANDONED, content=b"half"):
    path = folder / (name or temporary_name())
    path.write_bytes(content)
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    for content in (b"one", b"", b"another"):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002, 0o000])
def test_a_file_has_the_permissions_that_open_gives(tmp_path, mask):
    code = "import os, sys; from backhand.files import write_whole; os.umask(int(sys.argv[2])); "
    code += "write_whole(sys.argv[1] + '/ours', b''); open(sys.argv[1] + '/plain', 'w').close()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(mask)], check=True)
    assert mode(tmp_path / "ours") == mode(tmp_path / "plain") == 0o666 & ~mask


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o400])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, bits):
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(bits)
    write_whole(path, b"after")
    assert (path.read_bytes(), mode(path)) == (b"after", bits)


def test_the_umask_is_never_touched(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "umask", lambda mask: asked.append(mask) or 0o022)
    threads = [
        threading.Thread(target=write_whole, args=(tmp_path / str(n), b"x")) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asked, len(os.listdir(tmp_path))) == ([], 4)


def test_no_source_of_ours_asks_for_the_umask():
    source = os.path.dirname(files.__file__)
    for folder, _, names in os.walk(source):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    assert not re.search(r"\bos\.umask\b", file.read()), name


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    (tmp_path / "file").write_bytes(b"before")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(InputError, match=r"cannot write .*file: No space left"):
        write_whole(tmp_path / "file", b"after")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_files_that_belong_together_are_replaced_together(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_bytes(b"before")
    contents = {str(tmp_path / name): b"after" for name in "ab"}
    with pytest.raises(InputError, match=r"cannot write .*none/c: make the folder .*none first"):
        write_together({**contents, str(tmp_path / "none/c"): b""})
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"before"] * 2
    write_together(contents)
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"after"] * 2
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_an_exception_in_the_block_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_bytes(b"before")

    def interrupted():
        with replacing(tmp_path / "file") as file:
            file.write(b"after")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_places_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "none" / "x", tmp_path / "file" / "x", tmp_path):
        with pytest.raises(InputError, match="cannot write"):
            write_whole(place, b"content")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "target").write_bytes(b"somebody's")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", b"ours")
    assert (tmp_path / "target").read_bytes() == b"somebody's"
    assert (tmp_path / "link").read_bytes() == b"ours"


@pytest.mark.skipif(sys.platform != "linux", reason="needs pipes and links to open files")
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_not_replaced(tmp_path, linked):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    places = [tmp_path / "pipe", tmp_path / "folder", tmp_path / "device"]
    (tmp_path / "device").symlink_to("/dev/null")
    if linked:
        places = [tmp_path / f"to {path.name}" for path in places]
        for path in places:
            path.symlink_to(path.name[3:])
    before = {path: path.lstat() for path in places}
    for path in places:
        with pytest.raises(InputError, match=r"cannot write .*: is (not a regular|a folder, not)"):
            write_whole(path, b"content")
    assert {path: path.lstat()[:4] for path in places} == {p: s[:4] for p, s in before.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="needs links to open files")
def test_a_link_to_an_open_file_is_not_replaced(tmp_path):
    with open(tmp_path / "redirected", "wb") as file:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{file.fileno()}")
        with pytest.raises(InputError, match="is not a regular file"):
            write_whole(tmp_path / "stdout", b"content")
    assert (tmp_path / "stdout").is_symlink()


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    write_whole(tmp_path / ("n" * 255), b"content")


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    code = "import os, signal, sys; from backhand.files import replacing\n"
    code += "with replacing(sys.argv[1]) as file:\n"
    code += "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert killed.returncode < 0
    (left,) = tmp_path.iterdir()
    assert TEMPORARY.fullmatch(left.name)
    write_whole(tmp_path / "file", b"content")
    assert left.exists()  # it may still be written
    os.utime(left, (LONG_AGO, LONG_AGO))
    write_whole(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_but_leftovers_is_removed(tmp_path, monkeypatch):
    others = [
        *(".backhand-", ".backhand-0.part", "backhand-" + "0" * 32 + ".part", "model.part"),
        *(".backhand-" + "0" * 32, ".backhand-" + "g" * 32 + ".part", ".file.swp", "x.o", ".new-a"),
        ".backhand-" + "0" * 32 + ".part2",
    ]
    kept = [leftover(tmp_path, name) for name in others]
    kept.append(leftover(tmp_path, age=0.5 * ABANDONED))
    folder, link = tmp_path / temporary_name(), tmp_path / temporary_name()
    folder.mkdir()
    leftover(folder, "content")
    link.symlink_to(kept[0])
    for path in (folder, link):
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    gone = [leftover(tmp_path) for _ in range(5)]
    sweep(str(tmp_path))
    assert [path.exists() for path in gone] == [False] * 5
    assert {*kept, folder, link} == set(tmp_path.iterdir())
    theirs = leftover(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    sweep(str(tmp_path))
    assert theirs.exists()


def test_a_folder_that_cannot_be_listed_is_no_error(tmp_path):
    sweep(str(tmp_path / "nothing"))


@pytest.mark.parametrize("given", [3, None, ["a"], {}, b"a", "a\0b", "", "\ud800"])
def test_what_is_no_path_is_refused_in_one_line(given, tmp_path):
    with pytest.raises(InputError) as caught:
        as_path(given)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    with pytest.raises(InputError):
        write_whole(given, b"")


def test_whether_a_file_is_there(tmp_path):
    (tmp_path / "a").touch()
    found = [is_there(tmp_path / name) for name in ("", "a", "b", "a/b")]
    assert found == [True, True, False, False]
    with pytest.raises(InputError, match=r"nnn: cannot be read: .*too long"):
        is_there("n" * 5000)


def test_paths_may_be_texts_and_path_objects(tmp_path):
    for given in (str(tmp_path / "a"), tmp_path / "a"):
        assert as_path(given) == str(tmp_path / "a")
        write_whole(given, b"whole")
    assert as_path("./digits") == "./digits"  # not the data set of that name
    assert os.listdir(tmp_path) == ["a"]


# Reading


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no\nsense"), r".*f: is no table \(no\)"),
        (tokenize.TokenError("EOF", (2, 0)), r".*f: is no table \(\('EOF', \(2, 0\)\)\)"),
        (RuntimeError(), r".*f: is no table \(RuntimeError\)"),
        (UserWarning("\x1b[31m"), r".*f: is no table \(\\x1b\[31m\)"),
        (MemoryError(), r".*f: there is not enough memory to read it"),
        (PermissionError(13, "Permission denied"), r".*f: cannot be read: Permission denied"),
        (InputError("our own"), r"our own"),
    ],
)
def test_whatever_a_library_raises_is_one_line(tmp_path, error, message):
    (tmp_path / "f").touch()
    with pytest.raises(InputError, match=f"^{message}$"), reading(tmp_path / "f", "is no table"):
        raise error


def test_ctrl_c_is_not_taken_for_damage(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(KeyboardInterrupt), reading(tmp_path / "f"):
        raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("command", ["predict", "show", "train"])
def test_a_pipe_is_not_waited_for(tmp_path, command):
    os.mkfifo(tmp_path / "pipe.csv")
    arguments = [command, str(tmp_path / "pipe.csv"), *(["x.csv"] if command == "predict" else [])]
    found = subprocess.run(
        [sys.executable, "-m", "backhand", *arguments], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 2
    assert found.stderr.endswith("pipe.csv: is not a regular file\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    "read",
    [
        Model.load,
        MLPClassifier.load,
        lambda path: backhand.datasets.load(str(path)),
        lambda path: unpack(path, 10),
    ],
)
def test_no_reader_takes_what_is_no_file(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.pkl")
    (tmp_path / "link.pkl").symlink_to("pipe.pkl")
    (tmp_path / "folder.pkl").mkdir()
    for name in ("pipe", "link", "folder"):
        with pytest.raises(InputError, match=rf"{name}.pkl: is (not a regular file|a folder, no)"):
            read(tmp_path / f"{name}.pkl")
    with pytest.raises(InputError, match=r"no such file: .*none.pkl"):
        read(tmp_path / "none.pkl")
