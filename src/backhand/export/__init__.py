"""What leaves the process: models as files that run nothing when they are loaded.

- `model`, `loading`: our own files
- `program`, `programs`: trained models as straight-line programs on one row
- `samples`: rows to try a program on
- `int8`: programs with weights of eight bits
- `free_names`: names that nothing else in a file has
- `imperative`: the base of languages like C, among them `c` and `javascript`
- `onnx`: files for onnxruntime
- `exportable`: `to_c`, `to_js` and `to_onnx`, which models and estimators inherit
"""

from __future__ import annotations

from .loading import load
from .model import Model

__all__ = ["Model", "load"]
