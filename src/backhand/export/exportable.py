"""`Exportable`: the methods by which trained models leave Python."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .program import Program


class Exportable:
    """What models and estimators inherit that have a `to_program`."""

    def to_program(self) -> Program:
        """The fitted model as straight-line programs, from which exports are written."""
        raise NotImplementedError

    def to_onnx(self, path: str | os.PathLike[str], rows: Any = None) -> None:
        """Write an ONNX file, which onnxruntime has run beside this model if it is installed.

        Inputs have the names of the columns and are (N, 1) each: numbers as float64, dates as days
        since 1970-01-01 in UTC, texts as strings; NaN or an empty text where a cell is missing.
        Without columns, one input ``X`` is (N, D). Outputs are ``label`` and ``probabilities``, or
        ``variable`` for numbers, (N, K).

        Parameters
        ----------
        path : path-like
        rows : array or table, optional
            Rows as `predict` takes them, to try the file with besides random ones.

        Raises
        ------
        InputError
            If onnx is not installed, the file cannot be written there, or rows do not fit.
        DiffersError
            If onnxruntime gives something else than this model, beyond rounding. No file is
            written then.
        """
        from .onnx import write_onnx
        from .programs import values_of

        write_onnx(self, path, None if rows is None else values_of(self, rows))

    def to_js(self, path: str | os.PathLike[str]) -> None:
        """Write an ES module that needs nothing but a browser or Node.

        It exports ``predict(row)``, which takes an object with the table's columns (numbers, texts,
        Dates or texts such as 2026-01-31, and null where a value is missing), or without columns
        the array that `predict` takes a row of. It gives ``{label, probabilities}``, in the
        order of ``describe().classes``, or numbers. The module also has the loss of a row and the
        derivatives by every parameter; see `export.javascript`.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        InputError
            If the file cannot be written there.
        """
        from .javascript import write_js

        write_js(self, path)

    def to_c(
        self, name: str | os.PathLike[str], rows: Any = None, *, int8: bool = False
    ) -> tuple[pathlib.Path, pathlib.Path]:
        """Write ``NAME.h`` and ``NAME.c``: C99 that needs nothing but a compiler.

        Parameters
        ----------
        name : path-like
            Where, without a suffix. Its last part begins every name in the files, so it must be an
            identifier of C.
        rows : array or table, optional
            Rows as `predict` takes them, to measure and to test with; random ones by default.
        int8 : bool
            Whether weights are stored as whole numbers of eight bits, with a scale a column. It
            makes the files smaller and the results less exact.

        Returns
        -------
        (Path, Path)
            The header and the source.

        Raises
        ------
        InputError
            If the name is no identifier of C, a file cannot be written, or rows do not fit.
        """
        from .c import write_c
        from .programs import values_of

        values = None if rows is None else values_of(self, rows)
        return write_c(self, name, values, int8=int8)
