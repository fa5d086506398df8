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
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....plan.description import Description
from ....plan.step import forward_plan
from ..ir.builder import define, element, index, ir
from ..machine.compile_store import COMPILING, RecentlyUsed, load
from ..machine.elf_linker import Image
from ..machine.fp_mode import flush_subnormals
from ..machine.target import Library, Target
from ..program.buffers import Layout
from ..program.compiled import program_key
from ..program.kernel_plan import KernelPlan
from ..program.one_row import emit_row, one_row_plan, slots, zeros
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
    params : mapping of str to array
        From `aligned_copy`; they are read in place.
    """

    def __init__(self, description: Description, params: Mapping[str, Array]) -> None:
        self.usable = arrays_can_be_read()
        if not self.usable:
            return
        from .instance import aligned_buffers, allocate_arena

        plan = forward_plan(description)
        kernel_plan = one_row_plan(plan)
        dtype = np.dtype(description.dtype)
        layout = Layout(kernel_plan)
        self._library = _library(kernel_plan)
        table = Table(slots(layout))
        given = {"zeros": np.zeros(zeros(plan), dtype), **aligned_buffers(params)}
        mine = {name: ((2, stride), kind) for name, (stride, kind) in layout.batched.items()}
        mine |= {n: (shape, dtype) for n, shape in layout.static.items() if n not in given}
        for name, a in {**given, **allocate_arena(mine)}.items():
            table.bind(name, a)
        self._table = table
        prototype = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._call = functools.partial(prototype(self._library.address("one")), table.address)
        shape = (1, *map(int, plan.logits.axes[1:]))
        self._make = functools.partial(np.empty, shape, dtype)

    def __call__(self, x: Array) -> Array:
        """The logits (1, outputs) of x (1, inputs): C order, of the network's dtype."""
        out = self._make()
        self._call(id(x), id(out))
        return out


def _library(kernel_plan: KernelPlan) -> Library | Image:
    target = Target.host()
    key = f"single row {OBJECT_HEADER} {program_key(kernel_plan, target, {})}"
    with COMPILING:
        return _known.get(
            key, lambda: load(key, target, lambda compile_ready: emit_single(kernel_plan, target))
        )


def emit_single(kernel_plan: KernelPlan, target: Target) -> ir.Module:
    """The module that defines ``one(table, x, out)`` for the kernel plan of a forward plan."""
    module = ir.Module("backhand")
    function, build = define(module, "one", [ir.PointerType()] * 3, external=True)
    table, x, out = function.args
    as_before = flush_subnormals(build, target)
    emit_row(kernel_plan, target, build, table, [_elements(build, x)], _elements(build, out))
    as_before()
    build.ret_void()
    return module


def _elements(build: ir.IRBuilder, array: ir.Value) -> ir.Value:
    """The address of an array's elements, from its object."""
    field = element(build, array, index(OBJECT_HEADER), ir.IntType(8))
    return build.load(field, typ=ir.PointerType())
