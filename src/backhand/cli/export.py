"""`backhand export`: a model as files of other languages."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError
from ..export import load
from . import runs


def run(model_file: Path, onnx: Path | None) -> None:
    """Write a model in each language that was asked for."""
    if onnx is None:
        raise InputError("say what to write: --onnx FILE")
    if onnx.suffix.lower() != ".onnx":
        raise InputError(f"--onnx {onnx}: its name must end in .onnx")
    model = load(runs.model_file(model_file))
    model.to_onnx(onnx)
    print(f"{onnx}: {os.path.getsize(onnx):,} bytes")
