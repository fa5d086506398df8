from __future__ import annotations

import bz2
import gzip
import lzma

import pytest

from backhand.datasets.files import unpack
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
