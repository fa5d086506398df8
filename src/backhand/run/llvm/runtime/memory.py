"""Memory that native code reads and writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tuning

Array = Any


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros that begin on a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + tuning.CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % tuning.CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)
