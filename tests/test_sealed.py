"""Arrays and a description in a file, sealed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from backhand import sealed
from backhand.errors import InputError
from backhand.sealed import read_sealed, write_sealed

ABOUT = {"holds": "a test", "numbers": [1, 2.5, None]}


def test_what_is_written_is_read_and_the_same_content_is_the_same_file(tmp_path):
    arrays = {"b": np.arange(3.0), "a": np.eye(2, dtype=np.float32)}
    for name in ("one", "two"):
        write_sealed(tmp_path / name, arrays, ABOUT)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found, about = read_sealed(tmp_path / "one")
    assert about == ABOUT
    assert set(found) == set(arrays)
    for name, a in arrays.items():
        np.testing.assert_array_equal(found[name], a)
        assert found[name].dtype == a.dtype


def test_another_version_and_a_changed_byte_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "one"
    with monkeypatch.context() as other:
        other.setattr(sealed, "FORMAT", "backhand 99")
        write_sealed(path, {"a": np.arange(9.0)}, ABOUT)
    with pytest.raises(InputError, match="has the format backhand 99; this reads backhand 1"):
        read_sealed(path)
    write_sealed(path, {"a": np.arange(9.0)}, ABOUT)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(InputError, match="does not match its checksum"):
        read_sealed(path)


def headed(path, header, size=0):
    """A file of a header and so much of nothing, which takes no room on a disk."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(sealed.LENGTH, "little") + header)
        file.truncate(file.tell() + size)


def described(end=8, text="text"):
    seal = json.dumps({"format": sealed.FORMAT, "about": text, "sha256": ""})
    array = {"dtype": "F64", "shape": [end // 8], "data_offsets": [0, end]}
    return {"__metadata__": {sealed.KEY: seal}, "a": array}


@pytest.mark.parametrize(
    ("end", "size"), [(8, 2**40), (8, 9), (8, 7), (2**40, 8), (-8, 8), (2**70, 8), (0, 8), (8, 0)]
)
def test_a_header_accounts_for_every_byte_before_any_is_read(tmp_path, end, size):
    headed(tmp_path / "one", described(end), size)
    with pytest.raises(InputError, match=r"truncated or damaged \(its arrays end at"):
        read_sealed(tmp_path / "one")


@pytest.mark.parametrize(
    "change",
    [
        {"a": 1},
        {"a": {}},
        {"a": {"data_offsets": []}},
        {"a": {"data_offsets": [0, "x"]}},
        {"a": {"data_offsets": [0, float("inf")]}},
        {"a": {"data_offsets": [0, float("nan")]}},
        {"a": {"data_offsets": [0, None]}},
        {"__metadata__": 3},
        {"__metadata__": {sealed.KEY: "3"}},
        {"__metadata__": {sealed.KEY: 3}},
    ],
)
def test_headers_of_another_form_are_refused(tmp_path, change):
    headed(tmp_path / "one", described() | change, 8)
    with pytest.raises(InputError, match=r"one is not a model: truncated or no safetensors file"):
        read_sealed(tmp_path / "one")


def test_a_file_larger_than_the_memory_is_one_line(tmp_path):
    try:
        headed(tmp_path / "one", described(2**43), 2**43)
    except OSError:
        pytest.skip("this file system has no files of 8 TB")
    with pytest.raises(InputError, match="not enough memory"):
        read_sealed(tmp_path / "one")


BOMB = """
import resource, sys
from pathlib import Path
from backhand.errors import InputError
from backhand.sealed import read_sealed
import numpy, safetensors.numpy
try:
    read_sealed(Path(sys.argv[1]))
except InputError as error:
    print(error)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.exists():  # else what the parent once had counts, too
    peak = status.read_text().partition("VmHWM:")[2].split()[0]
print(peak)
"""


@pytest.mark.parametrize("count", [33_000_000, 4_500_000], ids=["too long", "just allowed"])
def test_a_header_cannot_ask_for_gigabytes(tmp_path, count):
    """JSON of empty lists has the most memory for a byte; 99 MB of them had 2.3 GB."""
    pytest.importorskip("resource", reason="this system does not say how much memory is used")
    headed(tmp_path / "one", b'{"a":[' + b"[]," * count + b"[]]}")
    code = [sys.executable, "-c", BOMB, str(tmp_path / "one")]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    message, peak = done.stdout.splitlines()
    assert "one is " in message
    assert int(peak) * (1 if sys.platform == "darwin" else 1024) < 2**29 + 2**27


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*one: its description takes 2.,...,... b"):
        write_sealed(tmp_path / "one", {"a": np.arange(3.0)}, {"holds": "x" * 20_000_000})
    assert os.listdir(tmp_path) == []
    write_sealed(tmp_path / "one", {"a": np.arange(3.0)}, {"holds": "x" * 16_000_000})
    assert len(read_sealed(tmp_path / "one")[1]["holds"]) == 16_000_000
