"""Arrays and a description in a file, sealed."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.export.sealed import read_sealed, write_sealed


def test_what_is_written_is_read_and_the_same_content_is_the_same_file(tmp_path):
    arrays = {"b": np.arange(3.0), "a": np.eye(2, dtype=np.float32)}
    for name in ("one", "two"):
        write_sealed(tmp_path / name, arrays, "text", "kind 1")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found, text = read_sealed(tmp_path / "one", "kind 1")
    assert text == "text"
    assert set(found) == set(arrays)
    for name, a in arrays.items():
        np.testing.assert_array_equal(found[name], a)
        assert found[name].dtype == a.dtype


def test_another_kind_and_a_changed_byte_are_refused(tmp_path):
    path = tmp_path / "one"
    write_sealed(path, {"a": np.arange(9.0)}, "text", "kind 1")
    with pytest.raises(InputError, match="'kind 1'; this reads 'kind 2'"):
        read_sealed(path, "kind 2")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(InputError, match="does not match its checksum"):
        read_sealed(path, "kind 1")
