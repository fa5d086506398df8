"""What leaves the process: models as files that run nothing when they are loaded.

- `model`, `loading`: our own files
- `program`, `samples`: a trained model as straight-line programs on one row, and rows to try it on
- `imperative`: the base of languages like C; `c`
- `onnx`
"""

from __future__ import annotations

from .loading import load
from .model import Model

__all__ = ["Model", "load"]
