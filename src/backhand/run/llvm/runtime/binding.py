"""Where arrays meet native code: the table of addresses and numbers of a program.

Native code trusts its table and checks nothing. So an address is only ever written here, after the
array has been compared with what the program was compiled for, and the array is kept alive for as
long as its address stands in the table. Two are in no table: the single row of inputs that
`single_row` reads after the checks of `engine.Forward.__call__`, and the result that it makes.
`frozen` writes tables anew of arrays that were bound here when a model was compiled; the rows that
its functions read are bytes, whose length it checks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ....errors import InputError
from ...namespaces import check_entries, check_rows
from ..program.buffers import Slot, Slots

Array = Any

INDPTR = ".indptr"


class Table:
    """The table that a program reads: an address or a number for each name.

    Parameters
    ----------
    slots : mapping of str to Slot or None
        What the program was compiled for, in the order of the table; None is a number.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._place = {name: place for place, name in enumerate(slots)}
        self._words = np.zeros(len(slots), np.int64)
        self._bound: dict[str, Array] = {}
        self.address = int(self._words.ctypes.data)

    def __getitem__(self, name: str) -> Array:
        """The array that the program knows by this name."""
        return self._bound[name]

    def __contains__(self, name: str) -> bool:
        return name in self._bound

    def arrays(self) -> tuple[Array, ...]:
        """All arrays whose addresses stand in the table."""
        return tuple(self._bound.values())

    def number(self, name: str) -> int:
        """A number of the table, or an address."""
        return int(self._words[self._place[name]])

    def set(self, **numbers: int) -> None:
        """Write numbers."""
        for name, value in numbers.items():
            assert self._slots[name] is None, f"{name} is an address"
            self._words[self._place[name]] = value

    def bind(self, name: str, a: Array, slot: Slot | None = None) -> Array:
        """Check an array and write its address.

        Parameters
        ----------
        name : str
        a : array
        slot : Slot, optional
            What the program expects where that depends on numbers of the table.

        Raises
        ------
        InputError
            If the program was compiled for another dtype, shape or layout.
        """
        slot = slot or self._slots[name]
        assert slot is not None, f"{name} is a number"
        if not fits(a, slot):
            raise InputError(
                f"{name} is {a.dtype} {a.shape} with strides {a.strides}, and the compiled program "
                f"reads {_described(slot)}: pass such an array"
            )
        stride = self._place.get(f"{name}.stride")
        if stride is not None and slot.strided:
            self._words[stride] = a.strides[0] if len(a) > 1 else 0
        self._words[self._place[name]] = a.ctypes.data
        self._bound[name] = a
        return a

    def release(self, names: Iterable[str]) -> None:
        """Write null addresses, and keep these arrays no longer."""
        for name in names:
            self._bound.pop(name, None)
            self._words[self._place[name]] = 0


def fits(a: Array, slot: Slot) -> bool:
    """Whether native code that was compiled for the slot reads just this array's elements."""
    alike = a.dtype == slot.dtype and a.dtype.isnative and a.ndim == len(slot.shape)
    if not alike or not a.flags.aligned:
        return False
    for wanted, size in zip(slot.shape, a.shape, strict=True):
        if wanted is not None and wanted != size:
            return False
    if slot.strided:
        return bool(a.shape[1] <= 1 or a.strides[1] == a.itemsize)
    return bool(a.flags.c_contiguous)


def _described(slot: Slot) -> str:
    sizes = ", ".join("n" if size is None else str(size) for size in slot.shape)
    order = "rows of adjacent elements" if slot.strided else "C order"
    return f"{slot.dtype} ({sizes}) in {order}"


def with_padding(a: Array, stride: int) -> Array:
    """The rows (n, stride) of an array (..., k) of `aligned_copy`, with the padding behind each.

    Raises
    ------
    InputError
        If the memory there is not the array's own.
    """
    rows, step = math.prod(a.shape[:-1]), stride * a.itemsize
    whole = np.lib.stride_tricks.as_strided(a, (rows, stride), (step, a.itemsize))
    steps = [step * math.prod(a.shape[i + 1 : -1]) for i in range(a.ndim - 1)]
    apart = [s for s, n in zip(a.strides, a.shape[:-1], strict=False) if n > 1]
    wanted = [s for s, n in zip(steps, a.shape[:-1], strict=True) if n > 1]
    room = a.base
    first = a.ctypes.data - room.ctypes.data if isinstance(room, np.ndarray) else -1
    inside = room is not None and 0 <= first <= room.nbytes - whole.size * whole.itemsize
    if not inside or not room.flags.c_contiguous or apart != wanted:
        raise InputError(
            f"parameters of shape {a.shape} with strides {a.strides} have no padding of their own "
            "that compiled code could read: copy them with `aligned_copy`"
        )
    return whole


def check_sources(sources: Mapping[str, Array], columns: int, order: Array | None = None) -> int:
    """How many rows a run over the sources has: all that there are, or those of ``order``.

    Parameters
    ----------
    sources : mapping of str to array
        Matrices, with a row for each; in the place of a sparse one the arrays of its CSR format,
        where ``.indices`` and ``.indptr`` follow the name.
    columns : int
        Of a sparse matrix.
    order : (rows,) int64, optional

    Raises
    ------
    InputError
        If numbers of rows differ, an element of ``order`` is no row, or an entry of a sparse matrix
        lies outside of it.
    """
    counts = {name: len(a) for name, a in sources.items() if a.ndim == 2}
    for name in (name for name in sources if name.endswith(INDPTR)):
        matrix = name.removesuffix(INDPTR)
        counts[matrix] = len(sources[name]) - 1
        try:
            check_entries(sources[name], sources[f"{matrix}.indices"], sources[matrix], columns)
        except InputError as error:
            raise InputError(f"x is a malformed sparse matrix ({error}): rebuild it") from None
    rows = check_rows(counts, order)
    return rows if order is None else len(order)
