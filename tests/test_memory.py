from __future__ import annotations

import subprocess
import sys

import pytest

from backhand.errors import InputError
from backhand.memory import as_bytes, most_bytes


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


def test_sizes_are_numbers_or_text():
    assert [as_bytes(given, "disk") for given in (0, 7, "7", "1G")] == [0, 7, 7, 1 << 30]
    for wrong in (-1, True, 1.5, None, "1X", "-1"):
        with pytest.raises(InputError, match=r"disk=.*: must be a size such as 8G"):
            as_bytes(wrong, "disk")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_a_limit_of_the_process_counts():
    code = (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 32, r.RLIM_INFINITY));"
        "from backhand.memory import most_bytes; print(most_bytes() <= 1 << 30)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"True"
