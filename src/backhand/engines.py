"""The table of executors, and which of them computes: as asked for, or as the machine allows."""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from typing import Any

from .errors import BackhandError, unknown_name
from .run.executor import Executor

Array = Any

ENGINES = {"llvm": "backhand.run.llvm.executor", "numpy": "backhand.run.array_executor"}
"""The module of each executor, by the name that ``engine=`` takes; the first one that is available
is the default, and the last one takes any arrays on any machine."""


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
    *preferred, last = ENGINES
    for name in preferred:
        try:
            executor(name).check_available()
        except BackhandError as error:
            warnings.warn(
                f"{error}. NumPy computes instead, which is slower; BACKHAND_ENGINE=numpy silences "
                "this",
                UserWarning,
                stacklevel=2,
            )
        else:
            return name
    return last


def checked_engine(engine: Any) -> str:
    """The name of an executor; the default one for None. InputError if there is none such."""
    if engine is None:
        return default_engine()
    if not isinstance(engine, str) or engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    return str(engine)


def executor(engine: str | None = None, x: Array = None) -> Executor:
    """The executor of a name, by default the default one.

    Parameters
    ----------
    engine : str, optional
    x : array, optional
        Inputs that it is to read. Tensors, and sparse rows outside of training, are always for the
        array executor.
    """
    found = _loaded(ENGINES[checked_engine(engine)])
    return found if x is None or found.reads(x) else _loaded([*ENGINES.values()][-1])


def _loaded(module: str) -> Executor:
    found: Executor = importlib.import_module(module).EXECUTOR
    return found
