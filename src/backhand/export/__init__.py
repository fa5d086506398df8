"""What leaves the process: models as files that run nothing when they are loaded."""

from __future__ import annotations

from .loading import load
from .model import Model

__all__ = ["Model", "load"]
