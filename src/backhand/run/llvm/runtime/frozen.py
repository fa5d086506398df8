"""A model's functions of one row with all that they read, as bytes that are loaded without LLVM.

What is frozen has been checked: `row_program` binds every array to its table first. It comes from
the cache of compiled code, which only this user can write to; see `machine.object_cache`.
"""

from __future__ import annotations

import ctypes
import functools
import json
from typing import Any

import numpy as np

from .. import tuning
from ..machine.object_cache import packed, unpacked
from ..machine.target import loaded
from .memory import aligned

Array = Any
Doubles = Any
"""An array of ctypes' doubles."""


def frozen(about: dict[str, Any], constants: bytes, code: bytes) -> bytes:
    """What `RowFunctions` loads: a description, the constants as they lie in memory, and code.

    Parameters
    ----------
    about : dict
        ``constants`` and ``scratch``: the number of each entry of the table that is an address in
        that memory, with its offset; ``scratch_bytes``; ``prepared_bytes`` and ``raw_bytes`` of
        a row, 0 for none; ``outputs``, numbers of y; ``work``, operations for a row.
    constants, code : bytes
    """
    return packed([json.dumps(about).encode(), constants, code])


class RowFunctions:
    """The functions of a model on rows, safe from several threads at once.

    Each call has memory of its own for what is between the stages; constants are shared.
    """

    def __init__(self, content: bytes) -> None:
        described, constants, code = unpacked(content)
        self._about = json.loads(described)
        self._code = loaded(code)
        self._constants = aligned((len(constants),), np.uint8)
        self._constants[:] = np.frombuffer(constants, np.uint8)
        self._idle: list[tuple[int, Array, Array]] = []
        self.outputs = int(self._about["outputs"])
        self._one = ctypes.c_double * self.outputs
        self._work = int(self._about["work"])
        self.prepared = self._function("prepared", "prepared_bytes")
        self.raw = self._function("raw", "raw_bytes")

    def _function(self, name: str, size: str) -> Any:
        """``f(rows, count)``, which runs a function of the code; None if there is none."""
        row_bytes = int(self._about[size])
        if not row_bytes:
            return None
        kinds = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        address = self._code.address(name)
        keeps_lock = ctypes.PYFUNCTYPE(ctypes.c_int64, *kinds)(address)
        releases_lock = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)
        return functools.partial(self._run, keeps_lock, releases_lock, row_bytes)

    def _run(
        self,
        keeps_lock: Any,
        releases_lock: Any,
        row_bytes: int,
        rows: bytes,
        count: int = 1,
    ) -> tuple[int, Doubles]:
        """Run a function for rows, C order.

        Returns
        -------
        bad : int
            0, or the number, from 1 on, of the first row with a number that is not finite; what is
            behind it was not computed.
        y : array of ctypes, count * outputs
        """
        if len(rows) != row_bytes * count:
            raise ValueError(f"{count} rows take {row_bytes * count} bytes, got {len(rows)}")
        y = self._one() if count == 1 else (ctypes.c_double * (self.outputs * count))()
        try:  # list.pop is atomic
            memory = self._idle.pop()
        except IndexError:
            memory = self._memory()
        short = self._work * count < tuning.UNLOCKING_WORK
        bad = (keeps_lock if short else releases_lock)(memory[0], rows, y, count)
        self._idle.append(memory)
        return bad, y

    def _memory(self) -> tuple[int, Array, Array]:
        """The address of a table for one call at a time, and what keeps it alive."""
        about = self._about
        scratch = aligned((about["scratch_bytes"],), np.uint8)
        table = np.zeros(len(about["constants"]) + len(about["scratch"]), np.int64)
        for which, a in (("constants", self._constants), ("scratch", scratch)):
            places = np.array(about[which], np.int64).reshape(-1, 2)
            table[places[:, 0]] = places[:, 1] + a.ctypes.data
        return table.ctypes.data, table, scratch
