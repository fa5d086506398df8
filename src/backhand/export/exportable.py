"""`Exportable`: the methods by which trained models leave Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Program


class Exportable:
    """What models and estimators inherit that have a `to_program`."""

    def to_program(self) -> Program:
        """The fitted model as straight-line programs, from which exports are written."""
        raise NotImplementedError

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write an ONNX file, which onnxruntime has run beside this model if it is installed.

        Inputs have the names of the columns and are (N, 1) each: numbers as float64, dates as days
        since 1970-01-01 in UTC, texts as strings; NaN or an empty text where a cell is missing.
        Without columns, one input ``X`` is (N, D). Outputs are ``label`` and ``probabilities``, or
        ``variable`` for numbers, (N, K).

        Parameters
        ----------
        path : path-like

        Raises
        ------
        InputError
            If onnx is not installed, or the file cannot be written there.
        DiffersError
            If onnxruntime gives something else than this model, beyond rounding. No file is
            written then.
        """
        from .onnx import write_onnx

        write_onnx(self, path)
