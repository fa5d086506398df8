from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys

import pytest

from backhand.datasets.files import most_bytes, unpack
from backhand.errors import InputError

CONTENT = bytes(range(256)) * 40
PACK = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("how", PACK)
def test_the_content_says_what_compressed_it(tmp_path, how):
    path = tmp_path / "misnamed.bin"
    path.write_bytes(PACK[how](CONTENT))
    assert unpack(path, len(CONTENT)) == CONTENT


@pytest.mark.parametrize("how", PACK)
def test_a_bomb_is_stopped(tmp_path, how):
    path = tmp_path / "bomb"
    path.write_bytes(PACK[how](bytes(5_000_000)))
    with pytest.raises(InputError, match="unpacks to more than the 1000 bytes"):
        unpack(path, 1000)


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])
def test_a_cut_or_damaged_file_is_an_error(tmp_path, how):
    path = tmp_path / "cut"
    packed = PACK[how](CONTENT)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="damaged or cut off"):
        unpack(path, len(CONTENT))
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + bytes(b ^ 0x5A for b in packed[middle:]))
    with pytest.raises(InputError, match="cut: "):
        unpack(path, len(CONTENT))


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*nothing"):
        unpack(tmp_path / "nothing", 10)
    with pytest.raises(InputError, match="is a folder, not a file"):
        unpack(tmp_path, 10)


def test_how_much_a_file_may_ask_for(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKHAND_MEMORY", raising=False)
    whole = most_bytes()
    assert 1 << 20 < whole < 1 << 50
    path = tmp_path / "small"
    path.write_bytes(b"x")
    assert most_bytes(path) == min(whole, 256 << 20)
    for given, size in (("1000", 1000), ("2k", 2048), ("3 MB", 3 << 20), ("1GiB", 1 << 30)):
        monkeypatch.setenv("BACKHAND_MEMORY", given)
        assert most_bytes() == most_bytes(path) == size
    monkeypatch.setenv("BACKHAND_MEMORY", "much")
    with pytest.raises(InputError, match="BACKHAND_MEMORY=much: must be a size such as 8G"):
        most_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_a_limit_of_the_process_counts():
    code = (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 32, r.RLIM_INFINITY));"
        "from backhand.datasets.files import most_bytes; print(most_bytes() <= 1 << 30)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"True"
