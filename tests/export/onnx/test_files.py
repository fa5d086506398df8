"""`write_onnx`: files are tried before they are written, and are there whole or not at all."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from tests.export.programs import chain_program, table_program

from backhand.errors import InputError
from backhand.export.onnx import comparison, write_onnx
from backhand.export.onnx.comparison import DiffersError

onnx = pytest.importorskip("onnx")


def test_a_file_is_written(tmp_path):
    write_onnx(table_program(), tmp_path / "flats.onnx")
    model = onnx.load(tmp_path / "flats.onnx")
    assert model.producer_name == "backhand"
    assert [path.name for path in tmp_path.iterdir()] == ["flats.onnx"]


def test_a_text_that_is_no_unicode_is_one_line(tmp_path):
    program = table_program(classes=("a", "b\ud800", "c"))
    with pytest.raises(InputError, match=r"^'b\\ud800' cannot be a text in ONNX"):
        write_onnx(program, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def without(monkeypatch, *names):
    """Have packages be missing."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in names else find(n))
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    without(monkeypatch, "onnx")
    with pytest.raises(
        InputError, match=r"^ONNX files need onnx: run pip install 'backhand\[onnx\]'$"
    ):
        write_onnx(chain_program(), tmp_path / "a.onnx")


def test_without_onnxruntime_a_file_is_written(tmp_path, monkeypatch):
    without(monkeypatch, "onnxruntime")
    write_onnx(chain_program(), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").stat().st_size > 0


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"before")
    other = comparison.bounded

    def off(program, rows):
        logits, y = other(program, rows)
        return logits, y + 1.0

    monkeypatch.setattr(comparison, "bounded", off)
    with pytest.raises(DiffersError):
        write_onnx(chain_program(), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == b"before"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"^cannot write .*a\.onnx: "):
        write_onnx(chain_program(), tmp_path / "none" / "a.onnx")
