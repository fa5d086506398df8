"""Models for services: prediction only, loaded in an instant, one row in microseconds.

- `predictor`: `load_predictor`, and what it gives; imports little
- `serving`: a model's stages as machine code with a description, as they are kept in the cache
"""

from __future__ import annotations

from .predictor import Predictor, load_predictor

__all__ = ["Predictor", "load_predictor"]
