"""`write_onnx`: a trained model as an ONNX file that was tried before it was written."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from ...errors import InputError
from ...files import as_path, write_whole
from ..programs import program_of
from .writing import onnx_model


def write_onnx(model: Any, path: str | os.PathLike[str], values: Any = None) -> None:
    """Write a trained model as an ONNX file; see `writing.onnx_model` for its inputs and outputs.

    Where onnxruntime is installed, the model is run first, on random rows.

    Parameters
    ----------
    model : Model, TableModel, fitted estimator, (Network, parameters) or Program
    path : path-like
    values : array (N, columns) or (N, D), optional
        Of rows to try the file with besides random ones, as the program takes them.

    Raises
    ------
    InputError
        If onnx is not installed, a text has half of a pair of surrogates, or the file cannot be
        written there.
    DiffersError
        If onnxruntime gives something else than the model, beyond rounding.
    """
    path = as_path(path)
    if importlib.util.find_spec("onnx") is None:
        raise InputError("ONNX files need onnx: run pip install 'backhand[onnx]'")
    from onnx import checker

    program = program_of(model)
    try:
        made = onnx_model(program)
    except UnicodeEncodeError as error:
        some = f"{error.object!a:.60}"
        raise InputError(f"{some} cannot be a text in ONNX, which is UTF-8: rename it") from None
    checker.check_model(made, full_check=True)
    content = made.SerializeToString()
    if importlib.util.find_spec("onnxruntime") is not None:
        from .comparison import compare, compare_samples

        compare_samples(program, content)
        if values is not None:
            compare(program, content, values)
    write_whole(path, content)
