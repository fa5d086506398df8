"""What leaves the process: models as files that run nothing when they are loaded.

- `model`, `loading`: our own files
- `program`, `programs`: trained models as straight-line programs on one row
- `samples`: rows to try a program on
- `exportable`: `to_onnx` and its like, which models and estimators inherit
- `int8`: programs with weights of eight bits
- `imperative`: the base of languages like C; `c`
- `javascript`, also of that base
- `onnx`
"""

from __future__ import annotations

from .loading import load
from .model import Model

__all__ = ["Model", "load"]
