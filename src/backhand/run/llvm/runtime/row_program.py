"""Compiles the stages of a model for one row, and freezes them; see `frozen`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....plan.nodes import Product
from .. import tuning
from ..machine.compile_store import COMPILING, built
from ..machine.target import Target
from ..program.buffers import WORD, Slot
from ..program.one_row import emit_function, zeros
from ..program.row_program import DOUBLE, RowProgram, RowStage, emit_row_program
from .binding import Table
from .frozen import frozen
from .memory import aligned

Array = Any


def frozen_program(program: RowProgram, raw: int = 0) -> bytes:
    """The functions of a model with its constants, for `frozen.RowFunctions`.

    Parameters
    ----------
    program : RowProgram
    raw : int
        Values in a row of a table, if the program prepares such.

    Raises
    ------
    BackhandError
        If the processor is not supported, or LLVM refuses.
    """
    target = Target.host()
    symbols = program.symbols(target)
    once = dict(zip(symbols, program.stages, strict=True))

    def emit(name: str, stage: RowStage) -> Any:
        flush = stage in program.networks  # as wherever networks run
        return lambda ready: emit_function(stage.kernel_plan, target, name, flush=flush)

    with COMPILING:
        code = built(
            target,
            *(emit(name, stage) for name, stage in once.items()),
            lambda ready: emit_row_program(program, symbols, raw),
        )
    about: dict[str, Any] = {
        "outputs": program.results,
        "work": sum(_work(stage) for stage in program.stages),
        "prepared_bytes": program.inputs * program.dtype.itemsize,
        "raw_bytes": raw * DOUBLE.itemsize if program.prepare else 0,
    }
    table = Table(program.slots)
    places = {name: number for number, name in enumerate(program.slots)}
    constants, memory = _constants(program), {}
    of_constants = {name: slot for name, (slot, _) in constants.items()}
    for which, wanted in (("constants", of_constants), ("scratch", _scratch(program))):
        room, arrays = _side_by_side(wanted)
        for name, a in arrays.items():
            if name in constants:
                values = constants[name][1]
                a[..., : values.shape[-1]] = values
            table.bind(name, a)
        about[which] = [[places[n], a.ctypes.data - room.ctypes.data] for n, a in arrays.items()]
        memory[which] = room
    about["scratch_bytes"] = memory["scratch"].nbytes
    assert len(about["constants"]) + len(about["scratch"]) == len(places), "all are bound"
    return frozen(about, memory["constants"].tobytes(), code)


def _constants(program: RowProgram) -> dict[str, tuple[Slot, Array]]:
    """What never changes, by the entries of the table."""
    found: dict[str, tuple[Slot, Array]] = {}
    if program.prepare:
        for name, places in (("sources", program.sources), ("order", program.order)):
            found[name] = Slot(WORD, (len(places),)), np.array(places, WORD)
    for number, stage in enumerate(program.stages):
        some = zeros(stage.plan)
        found[f"{number}.zeros"] = Slot(stage.dtype, (some,)), np.zeros(some)
        for name, a in stage.constants.items():
            shape = stage.layout.static[name]
            flat = np.reshape(a, (shape[0], -1))
            found[f"{number}.{name}"] = Slot(stage.dtype, shape), flat
    return found


def _scratch(program: RowProgram) -> dict[str, Slot]:
    """What lies between stages and nodes, by the entries of the table."""
    own = program.own_slots.items()
    found = {name: slot for name, slot in own if slot and name not in ("sources", "order")}
    for number, stage in enumerate(program.stages):
        layout = stage.layout
        for name, (stride, dtype) in layout.batched.items():
            found[f"{number}.{name}"] = Slot(dtype, (2, stride))
        for name, shape in layout.static.items():
            if name not in stage.constants:
                found[f"{number}.{name}"] = Slot(stage.dtype, shape)
    return found


def _side_by_side(wanted: dict[str, Slot]) -> tuple[Array, dict[str, Array]]:
    """Memory for arrays, each from a cache line on, and the arrays in it."""
    at, places = 0, {}
    for name, slot in wanted.items():
        size = math.prod(n or 0 for n in slot.shape) * slot.dtype.itemsize
        places[name] = slice(at, at + size)
        at = -(-(at + size) // tuning.CACHE_LINE) * tuning.CACHE_LINE
    room = aligned((at,), np.uint8)
    return room, {
        name: room[places[name]].view(slot.dtype).reshape([n or 0 for n in slot.shape])
        for name, slot in wanted.items()
    }


def _work(stage: RowStage) -> int:
    """Operations for a row, about."""
    products = (node for node in stage.plan.nodes if isinstance(node, Product))
    return sum(2 * p.out.members * p.left.width * p.out.width for p in products)
