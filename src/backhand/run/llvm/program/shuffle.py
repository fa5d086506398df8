"""The order of an epoch's rows in machine code; `backhand.formulas.noise.pick` says which it is."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ....expr.trace import trace
from ....formulas import noise
from .. import tuning
from ..ir.builder import define, element, for_range, index, ir
from ..ir.simd import Lanes
from ..lowering.lower import emit_vector
from ..machine.compile_store import COMPILING, load
from ..machine.object_cache import generator
from ..machine.target import Target
from .compiled import fingerprint

Array = Any


def shuffled(rows: int, seed: int, step: int) -> Array:
    """The numbers 0 .. rows - 1 in the order of an epoch whose first step has a number."""
    order, swaps = np.arange(rows), max(0, rows - 1)
    for first in range(0, swaps, tuning.SHUFFLED_AT_ONCE):  # Ctrl-C may come between
        _shuffler()(
            order.ctypes.data, rows, first, min(swaps, first + tuning.SHUFFLED_AT_ONCE), seed, step
        )
    return order


@functools.cache
def _shuffler() -> Callable[..., None]:
    target = Target.host()
    key = f"shuffle {generator()} {target} {fingerprint(noise.layer_key)} {fingerprint(noise.pick)}"
    with COMPILING:
        library = load(key, target, lambda compile_ready: emit_shuffle())
    kinds = [ctypes.c_void_p, *[ctypes.c_int64] * 3, *[ctypes.c_uint32] * 2]
    call = ctypes.CFUNCTYPE(None, *kinds)(library.address("shuffle"))
    call.library = library  # type: ignore[attr-defined]
    return call


def emit_shuffle() -> ir.Module:
    """The module that defines ``shuffle(order, rows, first, last, seed, step)``.

    It makes some of the swaps, of which there are ``rows - 1``, in place.
    """
    module = ir.Module("shuffle")
    pointer, i64, word = ir.PointerType(), ir.IntType(64), ir.IntType(32)
    kinds = [pointer, i64, i64, i64, word, word]
    function, build = define(module, "shuffle", kinds, external=True)
    order, rows, first, last, seed, step = function.args
    lanes = Lanes(build, np.float32, 1)

    def word_of(formula: Any, **inputs: ir.Value) -> ir.Value:
        graph = trace(formula, [(name, "word") for name in inputs])
        return emit_vector(graph, lanes, inputs)[0]

    key = word_of(noise.layer_key, seed=seed, step=step, layer=ir.Constant(word, 0))

    def swap(done: ir.Value) -> None:
        here = build.sub(build.sub(rows, index(1)), done)
        place = build.trunc(here, word)
        many = build.add(place, ir.Constant(word, 1))
        chosen = build.zext(word_of(noise.pick, key=key, place=place, count=many), i64)
        places = [element(build, order, at, i64) for at in (here, chosen)]
        values = [build.load(at, typ=i64) for at in places]
        for value, at in zip(values, reversed(places), strict=True):
            build.store(value, at)

    for_range(build, "row", first, last, swap)
    build.ret_void()
    return module
