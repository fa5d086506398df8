"""What leaves the process: models as files that run nothing when they are loaded."""

from __future__ import annotations

from .model import Model, load_model, save_model

__all__ = ["Model", "load_model", "save_model"]
