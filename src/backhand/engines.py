"""Which executor computes: machine code or arrays, as asked for or as the processor allows."""

from __future__ import annotations

import functools
import os
import warnings
from typing import Any

from .errors import BackhandError, unknown_name
from .run.namespaces import is_sparse, is_tensor

Array = Any

ENGINES = ("llvm", "numpy")
"""The executors: machine code, and the array executor."""


def default_engine() -> str:
    """The executor that is taken where none is named.

    It is that of the environment's BACKHAND_ENGINE, else llvm; but numpy, with one warning, on a
    processor for which nothing can be compiled, such as one without fused multiply-add.

    Raises
    ------
    InputError
        If the environment names an executor that there is not.
    """
    named = os.environ.get("BACKHAND_ENGINE")
    return checked_engine(named) if named else _engine_of_the_processor()


@functools.cache
def _engine_of_the_processor() -> str:
    from .run.llvm.machine.target import Target  # LLVM is not loaded for a processor that is known

    try:
        Target.host()
    except BackhandError as error:
        warnings.warn(
            f"{error}. NumPy computes instead, more slowly (BACKHAND_ENGINE=numpy says so too)",
            UserWarning,
            stacklevel=2,
        )
        return "numpy"
    return "llvm"


def checked_engine(engine: Any) -> str:
    """The name of an executor; the default one for None. InputError if there is none such."""
    if engine is None:
        return default_engine()
    if not isinstance(engine, str) or engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    return str(engine)


def compiles(engine: str | None, x: Array) -> bool:
    """Whether machine code is to work on ``x``: not on tensors, which autograd sees, or sparse."""
    return checked_engine(engine) == "llvm" and not (is_tensor(x) or is_sparse(x))
