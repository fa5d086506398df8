"""The BLAS behind NumPy's products and SciPy's sums, which has threads of its own."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_blas_thread() -> Any:
    """A context in which the BLAS adds up in one order, whatever the threads of the machine."""
    return _pools().limit(limits=1, user_api="blas")
