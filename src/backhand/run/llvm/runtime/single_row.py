"""Logits of a single row, with as little overhead as possible.

    one(table, x, out):  x and out are NumPy's array objects themselves

The addresses of weights and buffers lie in a table that never changes. The call keeps the
interpreter's lock, so no other thread is in it at the same time, and a row takes microseconds.
The address of an array's elements is the first field behind the header of its object, a part of
NumPy's stable binary interface; to read it there costs a tenth of asking for it. The layout is
probed once; if it differs, single rows take the path of many rows.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....plan.description import Description
from ....plan.step import forward_plan, logits
from ..ir.builder import count, define, element, index, ir
from ..machine.compile_store import COMPILING, RecentlyUsed, load
from ..machine.elf_linker import Image
from ..machine.fp_mode import flush_subnormals
from ..machine.target import Library, Target
from ..program.buffers import Slot, Slots, buffer_slots, buffer_strides
from ..program.compiled import program_key
from ..program.emit import ProgramEmitter
from ..program.kernel_plan import Fused, Schedule, schedule
from ..program.kernel_set import Kernels
from .binding import Table

Array = Any

OBJECT_HEADER = object.__basicsize__
"""Bytes of an object before its own fields."""

_known = RecentlyUsed[Library | Image]()


@functools.cache
def arrays_can_be_read() -> bool:
    """Whether an array's object holds the address of its elements where NumPy for C has it."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.implementation.name != "cpython" or not gil:
        return False
    probe = np.zeros(3)[1:]
    return bool(ctypes.c_void_p.from_address(id(probe) + OBJECT_HEADER).value == probe.ctypes.data)


class SingleRow:
    """Logits of one row.

    Parameters
    ----------
    description : Description
    params : sequence of (w, b)
        From `aligned_copy`; they are read in place.
    """

    def __init__(self, description: Description, params: Sequence[tuple[Array, Array]]) -> None:
        self.usable = arrays_can_be_read()
        if not self.usable:
            return
        from .instance import aligned_buffers, allocate_arena

        arranged = schedule(forward_plan(description), (logits(description),))
        dtype = np.dtype(description.dtype)
        strides = {"x": 0, **buffer_strides(arranged)}
        self._library = _library(arranged)
        table = Table(slots(arranged))
        given = {"zeros": np.zeros(max(description.widths) + 64, dtype), **aligned_buffers(params)}
        mine = {n: ((1, stride), dtype) for n, stride in strides.items() if n not in given}
        for name, a in {**given, **allocate_arena(mine)}.items():
            table.bind(name, a)
        self._table = table
        prototype = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._call = functools.partial(prototype(self._library.address("one")), table.address)
        self._make = functools.partial(np.empty, (1, description.outputs), dtype)

    def __call__(self, x: Array) -> Array:
        """The logits (1, outputs) of x (1, inputs): C order, of the network's dtype."""
        out = self._make()
        self._call(id(x), id(out))
        return out


def slots(arranged: Schedule) -> Slots:
    """What the function expects in its table; x is an argument, and nothing of it is read there."""
    real = np.dtype(arranged.plan.description.dtype)
    return {"zeros": Slot(real, (None,)), "x": Slot(real, (1, 0)), **buffer_slots(arranged)}


def _library(arranged: Schedule) -> Library | Image:
    target = Target.host()
    key = f"single row {OBJECT_HEADER} {program_key(arranged, target, {}, ())}"
    with COMPILING:
        return _known.get(
            key, lambda: load(key, target, lambda compile_ready: emit_single(arranged, target))
        )


def emit_single(arranged: Schedule, target: Target) -> ir.Module:
    """The module that defines ``one(table, x, out)`` for a schedule of forward products."""
    return _SingleRowEmitter(arranged, target, {}, ()).emit_one()


class _SingleRowEmitter(ProgramEmitter):
    def emit_one(self) -> ir.Module:
        description = self.schedule.plan.description
        self.kernels = Kernels(
            self.module, self.target, self.dtype, self.schedule.plan, (), single_row=True
        )
        function, build = define(self.module, "one", [self.pointer] * 3, external=True)
        table, x, out = function.args
        self.build = build
        as_before = flush_subnormals(build, self.target)
        self.at = {"x.ld": index(0)}
        for place, name in enumerate(slots(self.schedule)):
            slot = element(build, table, index(place), self.i64)
            self.at[name] = build.load(slot, typ=self.pointer, name=name)
        x, out = (self._elements(a) for a in (x, out))
        self.at["x"] = x
        for group in self.schedule.rowwise:
            assert isinstance(group, Fused)
            self._fused(group, (index(0), index(1)))
        z = self.at[logits(description)]

        def move(k: ir.Value) -> None:
            value = build.load(element(build, z, k, self.real), typ=self.real)
            build.store(value, element(build, out, k, self.real))

        count(build, "logit", index(0), index(description.outputs), move)
        as_before()
        build.ret_void()
        return self.module

    def _pieces(
        self,
        which: int,
        between: tuple[ir.Value, ir.Value],
        piece: ir.Value,
        body: Callable[[ir.Value, ir.Value], None],
    ) -> None:
        body(*between)  # one row is soon done

    def _elements(self, array: ir.Value) -> ir.Value:
        """The address of an array's elements, from its object."""
        field = element(self.build, array, index(OBJECT_HEADER), ir.IntType(8))
        return self.build.load(field, typ=self.pointer)
