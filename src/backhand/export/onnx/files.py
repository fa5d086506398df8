"""`write_onnx`: a program as an ONNX file that was tried before it was written."""

from __future__ import annotations

import importlib.util
import os

from ...errors import InputError
from ...files import as_path, write_whole
from ..program import Program
from .writing import onnx_model


def write_onnx(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a program as an ONNX file; see `writing.onnx_model` for its inputs and outputs.

    Where onnxruntime is installed, the model is run first, on random rows.

    Parameters
    ----------
    program : Program
    path : path-like

    Raises
    ------
    InputError
        If onnx is not installed, or the file cannot be written there.
    DiffersError
        If onnxruntime gives something else than the program, beyond rounding.
    """
    path = as_path(path)
    if importlib.util.find_spec("onnx") is None:
        raise InputError("ONNX files need onnx: run pip install 'backhand[onnx]'")
    from onnx import checker

    model = onnx_model(program)
    checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    if importlib.util.find_spec("onnxruntime") is not None:
        from .comparison import compare_samples

        compare_samples(program, content)
    write_whole(path, content)
