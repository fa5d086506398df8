"""ONNX files of trained models, in the order in which a model becomes one:

- `namespace`: formulas as graphs of operations that ONNX has;
- `stages`: nodes of plans as operators;
- `writing`: a `Program` as an ONNX model: the columns of a table, stages, what is decided;
- `comparison`: runs the model beside the program, within a derived bound;
- `files`: `write_onnx`, which does all of this and writes the file.

Only operators of the default domain are written, of opset 19, the first that compares texts.
onnxruntime 1.20 of November 2024 and 1.32 are tested. Version 1.16 of 2023 runs the files, but
loses a NaN in a minimum or maximum, and with it missing dates.
"""

from __future__ import annotations

from .files import write_onnx

__all__ = ["write_onnx"]
