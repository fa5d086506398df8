"""How each optimisation of the compiled executor is turned off, and which lines it costs.

A switch changes functions and constants of the package in the process that it is called in, before
anything is compiled. The object cache knows nothing of that: `ledger.py` gives each switch a cache
of its own. No switch changes a bit of what is computed, but that of subnormal numbers.

Lines are given as ``file``, ``file:Name.of.a.definition`` or ``file~pattern``: the whole file, a
class or function, or the lines in which a pattern is found. What is named must be there.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import backhand.run.llvm as executor

ROOM = Path(executor.__file__).parent

EPOCHS = ("A", "B", "C", "D", "E", "W", "F", "G", "K", "R", "T", "V")
"""Networks of `ledger.NETWORKS` on which most optimisations are tried."""
COLD = ("cold E", "cold B", "cold P")


class Optimisation(NamedTuple):
    """Something that makes the executor faster, and how to do without.

    Attributes
    ----------
    what : str
        What it does.
    lines : tuple of str
        The source that would go with it; see the module's docstring.
    off : callable
        Turns it off in this process.
    rows : tuple of str
        The measurements that it may change; see `ledger`.
    environment : dict
        Variables of a process without it.
    compiled : bool
        Whether it acts by other machine code, and networks with the same code are passed over.
    several : bool
        Whether it is only seen where several threads work.
    """

    what: str
    lines: tuple[str, ...]
    off: Callable[[], object]
    rows: tuple[str, ...] = EPOCHS
    environment: Mapping[str, str] = MappingProxyType({})
    compiled: bool = True
    several: bool = False


def lines_of(spec: str) -> set[tuple[str, int]]:
    """The lines, (file, number), that a specification means."""
    file, kind, name = re.fullmatch(r"([^:~]+)(?:([:~])(.*))?", spec).groups()
    text = (ROOM / file).read_text("utf-8")
    lines = text.split("\n")
    if kind is None:
        found = range(len(lines) - 1)
    elif kind == "~":
        found = [at for at, line in enumerate(lines) if re.search(name, line)]
    else:
        node: Any = ast.parse(text)
        for part in name.split("."):
            node = next(n for n in node.body if _defines(n, part))
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        found = range(first - 1, node.end_lineno)
    if not found:
        raise ValueError(f"{spec} means no line")
    return {(file, at) for at in found}


def _defines(node: Any, name: str) -> bool:
    if isinstance(node, ast.Assign):
        return any(name in ast.unparse(target).split(", ") for target in node.targets)
    return getattr(node, "name", None) == name


def cost(optimisation: Optimisation) -> int:
    """How many lines of source it has."""
    return len(set().union(*map(lines_of, optimisation.lines)))


# what switches are made of ----------------------------------------------------------------------


def module(name: str) -> Any:
    """A module of the compiled executor."""
    return importlib.import_module(f"{executor.__name__}.{name}")


def replace(where: str, name: str, new: Callable[[Any], Any], here: bool = False) -> None:
    """Put ``new(old)`` in the place of a function or constant, wherever it was imported.

    Parameters
    ----------
    where : str
        The module, or its class as ``module:Class``.
    here : bool
        Whether to replace it in this module only.
    """
    place, _, owner = where.partition(":")
    home = getattr(module(place), owner) if owner else module(place)
    old = getattr(home, name)
    made = new(old)
    setattr(home, name, made)
    if not owner and not here:
        for found in pkgutil.walk_packages(executor.__path__, f"{executor.__name__}."):
            other = importlib.import_module(found.name)
            if getattr(other, name, None) is old:
                setattr(other, name, made)


def rewrite(where: str, name: str, old: str, new: str) -> Callable[[], None]:
    """The switch that changes the text of a class's method, which must have the old one."""

    def changed(method: Any) -> Any:
        text = textwrap.dedent(inspect.getsource(method))
        if old not in text:
            raise ValueError(f"{where}.{name} has no {old!r}")
        names: dict[str, Any] = {}
        exec(text.replace(old, new), method.__globals__, names)
        return names[name]

    return lambda: replace(where, name, changed)


def constant(where: str, name: str, value: Any) -> Callable[[], None]:
    """The switch that gives a constant another value."""
    return lambda: replace(where, name, lambda old: value)


def answer(where: str, name: str, value: Any, here: bool = False) -> Callable[[], None]:
    """The switch that has a function return one thing."""
    return lambda: replace(where, name, lambda old: lambda *args, **kwargs: value, here)


def keywords(where: str, name: str, **changed: Any) -> Callable[[], None]:
    """The switch that has a function called with other keywords."""

    def wrapped(old: Any) -> Any:
        return lambda *args, **given: old(*args, **{**given, **changed})

    return lambda: replace(where, name, wrapped)


def both(*switches: Callable[[], object]) -> Callable[[], None]:
    """Several switches as one."""

    def off() -> None:
        for switch in switches:
            switch()

    return off


# the switches -----------------------------------------------------------------------------------


def _without(mode: str) -> Callable[[], None]:
    """A way to divide the first layer is never chosen."""

    def choose(old: Any) -> Any:
        def sharing(self: Any, rows: int, threads: int) -> Any:
            found = old(self, rows, threads)
            return "rows" if found == mode else found

        return sharing

    return lambda: replace("program.compiled:Compiled", "partition_mode", choose)


def _any_width() -> None:
    """Products are made for all widths of tiles."""

    def wrapped(old: Any) -> Any:
        def emit(*args: Any, **given: Any) -> Any:
            return old(*args, **given | ({} if given.get("last") else {"columns": None}))

        return emit

    replace("kernels.gemm", "emit_product", wrapped)


def _one_object() -> None:
    """A program is compiled as a whole, by itself."""
    target = module("machine.target")

    def objects(self: Any, emit: Any) -> list[bytes]:
        return [target.emit_object(emit(lambda module: None), self.target)]

    replace("machine.compile_store:CompileStore", "objects", lambda old: objects)


def _every_thread() -> None:
    def learners(old: Any) -> Any:
        def chosen(self: Any, rows: int, steps: int, available: Any, more: int = 0) -> Any:
            return available(), available()

        return chosen

    replace("program.compiled:Compiled", "training_threads", learners)


def _fixed_threads() -> None:
    def fixed(old: Any) -> Any:
        def begin(self: Any, start: int, most: int = 0, fixed: bool = False) -> None:
            old(self, start, most, True)

        return begin

    replace("host.thread_tuner:ThreadTuner", "__init__", fixed)


def _unplaced() -> None:
    for name in ("wake_on_idle_processors", "take"):
        replace("host.team:_Placement", name, lambda old: lambda self, *args: None)


def _plain_tiles() -> None:
    """One step of k in each iteration of a tile's loop."""

    def chosen(old: Any) -> Any:
        def choose(*args: Any, **kwargs: Any) -> Any:
            tile = old(*args, **kwargs)
            return dataclasses.replace(tile, unroll=(1,) * len(tile.unroll))

        return choose

    replace("kernels.tile", "choose_tile", chosen)


def _transposed_one_by_one() -> None:
    def wrapped(old: Any) -> Any:
        def emit(module: Any, name: str, target: Any, dtype: Any) -> Any:
            narrow = dataclasses.replace(target, vector_bytes=np.dtype(dtype).itemsize)
            return old(module, name, narrow, dtype)

        return emit

    replace("kernels.transpose", "emit_transpose", wrapped)


def _apart() -> None:
    instance = module("runtime.instance")

    def together(wanted: Any) -> dict[str, Any]:
        return {name: instance.aligned(shape, dtype) for name, (shape, dtype) in wanted.items()}

    replace("runtime.instance", "allocate_arena", lambda old: together)


def _eager() -> None:
    module("program.emit")
    module("machine.target")._initialised()


def _dense() -> None:
    """`ledger` makes sparse rows dense where this has been called."""
    sys.modules[__name__].dense = True  # type: ignore[attr-defined]


dense = False

OPTIMISATIONS = {
    # gemm
    "prefetch of updates": Optimisation(
        "the update of many weights prefetches what that of the next tile reads",
        (
            "kernels/gemm.py~[Rr]eads|prefetch|next tile",
            "program/kernel_set.py~reads=places|far =|_weights =",
        ),
        constant("tuning", "PREFETCH_BYTES", 1 << 50),
    ),
    "unrolled tiles": Optimisation(
        "a tile takes two or four steps of k at once",
        ("kernels/tile.py~unroll", "kernels/tile_ir.py~unroll"),
        _plain_tiles,
        rows=(*EPOCHS, *COLD),
    ),
    "covering widths": Optimisation(
        "a product has code only for the tile widths that the network needs",
        (
            "kernels/tile.py:covering_widths",
            "program/kernel_set.py~_columns",
            "kernels/gemm.py~widths",
        ),
        _any_width,
        rows=(*EPOCHS, *COLD),
    ),
    "short vectors in sums": Optimisation(
        "a layer with few units sums its gradients, and updates, in short vectors",
        (
            "program/specialise.py:target_for_sums",
            "machine/target.py:Target.with_short_vectors",
            "program/kernel_set.py:Kernels.columns_summed",
            "program/kernel_set.py:Kernels._target_for_sums",
        ),
        constant("tuning", "KERNEL_FRACTION", 2.0),
    ),
    # memory
    "panels": Optimisation(
        "weights of a wide first layer lie in panels of 64 columns",
        (
            "program/buffers.py:_packed",
            "program/buffers.py~packed|panel",
            "runtime/instance.py~panel",
            "program/row_code.py~panel|packed",
            "program/sum_code.py~panel",
            "program/kernel_set.py~panel",
        ),
        constant("tuning", "PANEL_PADDING", -1.0),
        several=True,
    ),
    "strides off the page": Optimisation(
        "row strides are no multiples of 4096 bytes",
        ("ir/padding.py~PAGE",),
        lambda: replace(
            "ir.padding",
            "padded",
            lambda old: lambda n, item: module("ir.padding").padded_columns(n),
        ),
    ),
    "buffers side by side": Optimisation(
        "all buffers lie in one array, each elsewhere in its page",
        ("runtime/instance.py:allocate_arena",),
        _apart,
        (*EPOCHS, "one row E"),
        compiled=False,
    ),
    "prefetch of rows": Optimisation(
        "a gather asks for rows that come later",
        ("kernels/gather.py~ahead|AHEAD|lines|ask|SHORT",),
        answer("kernels.gather", "prefetch", None, here=True),
    ),
    "squares in transposes": Optimisation(
        "transposed copies are made in squares of a vector's size",
        ("kernels/transpose.py:_transposed", "kernels/transpose.py:_columns"),
        _transposed_one_by_one,
    ),
    "rows read in place": Optimisation(
        "a pass over many rows reads x where it is, and gathers none",
        ("runtime/instance.py:Instance._read_in_place", "runtime/instance.py~in_place"),
        rewrite(
            "runtime.instance:Instance",
            "run_pass",
            "x.dtype != self.dtype",
            "True",
        ),
        ("many rows A", "many rows E"),
    ),
    # rows and losses
    "rows in lanes": Optimisation(
        "a loss over few classes has a row in each lane",
        ("lowering/rows_in_lanes.py", "kernels/row_map.py:emit_row_map.some_rows"),
        constant("tuning", "ROWS_IN_LANES_COLUMNS", 0),
        rows=(*EPOCHS, *COLD),
    ),
    "short rows without loops": Optimisation(
        "a loss over up to four vectors of classes is written without loops",
        ("lowering/rows.py~[Ss]traight|STRAIGHT",),
        constant("tuning", "STRAIGHT_VECTORS", 0),
        rows=(*EPOCHS, *COLD),
    ),
    "sparse rows": Optimisation(
        "the first layer reads only the stored entries of CSR rows",
        (
            "kernels/sparse_rows.py",
            "program/row_code.py~entries|sparse",
            "program/sum_code.py:SumCode._stored_entries",
        ),
        _dense,
        ("S",),
    ),
    "subnormals are zeros": Optimisation(
        "native code runs in the processor's mode that flushes subnormal numbers",
        ("machine/fp_mode.py",),
        lambda: replace(
            "machine.fp_mode", "flush_subnormals", lambda old: lambda *args: lambda: None
        ),
        ("E", "dead E"),
    ),
    # threads
    "threads own columns": Optimisation(
        "threads own panels of the first layer, and each gathers all rows",
        (
            "program/partition.py:Partition.columns_of",
            "program/partition.py:Partition.chosen",
            "program/compiled.py~even|columns",
        ),
        _without("columns"),
        (*EPOCHS,),
        compiled=False,
        several=True,
    ),
    "split-k": Optimisation(
        "threads own inputs of the first layer, and hand sums on",
        (
            "program/split_k.py",
            "program/buffers.py:Layout.can_split_k",
            "program/buffers.py:inputs_of_a_thread",
            "program/emit.py~split_k",
            "program/sum_code.py~split_k",
            "program/partition.py~split_k",
            "program/compiled.py~SPLIT_K|split_k|inputs",
            "runtime/instance.py~split_k|inputs",
        ),
        constant("tuning", "SPLIT_K_INPUTS_PER_UNIT", 1 << 40),
        several=True,
    ),
    "threads by the cost model": Optimisation(
        "a step gets as many threads as its work is worth, not all",
        (
            "program/compiled.py:Compiled.training_threads",
            "program/compiled.py:Compiled.step_work",
            "program/compiled.py:_granted",
        ),
        _every_thread,
        (*EPOCHS,),
        compiled=False,
        several=True,
    ),
    "thread tuner": Optimisation(
        "half or twice as many threads are tried while training",
        ("host/thread_tuner.py",),
        _fixed_threads,
        (*EPOCHS,),
        compiled=False,
        several=True,
    ),
    "threads are moved": Optimisation(
        "threads are moved to processors of their own before a run",
        ("host/team.py:_Placement", "host/team.py:_processor_asker"),
        _unplaced,
        ("A", "B", "C", "D", "W", "E"),
        compiled=False,
        several=True,
    ),
    "barriers spin": Optimisation(
        "a thread that waits spins some tens of microseconds before it yields",
        ("kernels/barrier.py~SPINS|spun|spin",),
        constant("tuning", "SPINS", 1),
        several=True,
    ),
    "lingering": Optimisation(
        "a fit counts as at work for 20 ms after a run, so that two fits share the processors",
        ("host/team.py~LINGER",),
        constant("tuning", "LINGER_SECONDS", 0.0),
        ("two fits D",),
        several=True,
    ),
    "tiles are not divided": Optimisation(
        "threads own whole tiles of a tall parameter's rows",
        ("program/kernel_set.py:Kernels.unit",),
        lambda: replace("program.kernel_set:Kernels", "unit", lambda old: lambda self, height: 1),
        several=True,
    ),
    # compilation
    "object cache": Optimisation(
        "machine code is kept on disk",
        ("machine/object_cache.py",),
        lambda: None,
        ("first E", "warm"),
        {"BACKHAND_CACHE": "off"},
    ),
    "linked images": Optimisation(
        "programs are kept linked, and loaded without LLVM",
        ("machine/elf_linker.py",),
        answer("machine.compile_store", "linked", None, here=True),
        ("first E", "warm"),
    ),
    "functions shared by programs": Optimisation(
        "a function that another program has is not compiled again (and functions that are ready "
        "are compiled while others are written)",
        (
            "machine/compile_store.py:IRFunction",
            "machine/compile_store.py:IRFunctions",
            "machine/compile_store.py:_ready",
            "machine/compile_store.py:_parts",
            "machine/compile_store.py:SharedObjects",
            "machine/compile_store.py:CompileStore",
            "machine/compile_store.py:Compilation",
        ),
        _one_object,
        (*COLD, "second E", "second B", "second P", *EPOCHS),
    ),
    "compiled by two threads": Optimisation(
        "functions that are ready are compiled while others are written",
        (
            "machine/compile_store.py:Compilation.compile_ready",
            "machine/compile_store.py:Compilation._end",
        ),
        answer("machine.compile_store", "available_threads", 1, here=True),
        COLD,
        several=True,
    ),
    "loops compiled in a hurry": Optimisation(
        "loops around kernels are compiled without optimisation",
        ("ir/builder.py:unoptimised",),
        lambda: replace(
            "ir.builder", "unoptimised", lambda old: lambda f: f.attributes.add("noinline")
        ),
        rows=(*EPOCHS, *COLD),
    ),
    "late imports": Optimisation(
        "what emits code is imported only where something is compiled",
        ("runtime/engine.py~slow to import", "program/compiled.py~slow to import"),
        _eager,
        ("warm",),
    ),
    # one row and many
    "a program for one row": Optimisation(
        "one row goes through a program of its own",
        ("runtime/single_row.py",),
        answer("runtime.single_row", "arrays_can_be_read", False),
        ("one row E", "one row B"),
    ),
    "runners are kept": Optimisation(
        "buffers of single passes are kept for later calls",
        ("runtime/instance.py:pooled", "runtime/instance.py:_taken"),
        constant("tuning", "IDLE_INSTANCES", 0),
        ("calls E",),
    ),
}
"""All of them, by name."""
