"""A trained model on one row after another: the functions of its stages, called in turn.

    prepared(table, x, y, rows):   for each row: every network(x); answer(logits, ...) -> y
    raw(table, values, y, rows):   for each row: prepare(values) -> x; then as above

``y`` are doubles. What passes from one stage to the next is cast to the next one's kind of number.
Stages are functions of modules of their own, see `one_row`; those that compute the same share one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....plan.step import Plan
from ..ir.builder import define, element, element_type, fold, for_range, index, ir
from ..machine.target import Target
from .buffers import WORD, Layout, Slot, Slots
from .compiled import program_key
from .emit import load_table
from .kernel_plan import KernelPlan
from .one_row import as_real, copy, given_buffers, one_row_plan, slots

Array = Any

DOUBLE = np.dtype(np.float64)
NOT_FINITE = {4: 0x7F800000, 8: 0x7FF0000000000000}
"""The bits of a real number, by its bytes, that are all set if it is infinite or none."""


@dataclasses.dataclass(frozen=True, eq=False)
class RowStage:
    """A plan for one row, with the constants that it reads by their labels."""

    plan: Plan
    constants: Mapping[str, Array]

    @functools.cached_property
    def kernel_plan(self) -> KernelPlan:
        """Its kernels."""
        return one_row_plan(self.plan)

    @functools.cached_property
    def layout(self) -> Layout:
        """Where its buffers lie."""
        return Layout(self.kernel_plan)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its numbers."""
        return self.layout.real

    @property
    def widths(self) -> list[int]:
        """How many numbers there are in each buffer that it is given."""
        return [b.members * b.width for b in given_buffers(self.kernel_plan)]

    @property
    def results(self) -> int:
        """How many numbers it gives."""
        return self.plan.logits.members * self.plan.logits.width


@dataclasses.dataclass(frozen=True, eq=False)
class RowProgram:
    """The stages of a model.

    Attributes
    ----------
    networks : tuple of RowStage
        Each from x; they have one dtype.
    answer : RowStage
        From the logits of all networks.
    prepare : RowStage or None
    sources : tuple of int
        Which value of a row stands in each column of what ``prepare`` is given.
    order : tuple of int
        Which column of what it gives stands in each column of x.
    shows_logits : bool
        Whether the logits of the first network follow the answer in y.
    """

    networks: tuple[RowStage, ...]
    answer: RowStage
    prepare: RowStage | None = None
    sources: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    shows_logits: bool = False

    @functools.cached_property
    def stages(self) -> tuple[RowStage, ...]:
        """All of them, in order."""
        return (*([self.prepare] if self.prepare else []), *self.networks, self.answer)

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of x."""
        return self.networks[0].dtype

    @property
    def inputs(self) -> int:
        """Numbers of x."""
        return self.networks[0].plan.x.width

    @property
    def results(self) -> int:
        """Numbers of y."""
        return self.answer.results + self.shows_logits * self.networks[0].results

    @property
    def own_slots(self) -> Slots:
        """What lies between the stages; the slots of each stage follow, in order."""
        found: Slots = {"y": Slot(self.answer.dtype, (self.answer.results,))}
        for k, (network, width) in enumerate(zip(self.networks, self.answer.widths, strict=True)):
            found[f"logits{k}"] = Slot(self.dtype, (network.results,))
            found[f"given{k}"] = Slot(self.answer.dtype, (width,))
        if self.prepare:
            found |= {
                "sources": Slot(WORD, (len(self.sources),)),
                "order": Slot(WORD, (len(self.order),)),
                "values": Slot(DOUBLE, (len(self.sources),)),
                "prepared": Slot(DOUBLE, (self.prepare.results,)),
                "x": Slot(self.dtype, (self.inputs,)),
            }
        return found

    @property
    def slots(self) -> Slots:
        """The entries of the table."""
        found = self.own_slots
        for number, stage in enumerate(self.stages):
            found |= {f"{number}.{name}": slot for name, slot in slots(stage.layout).items()}
        return found

    def symbols(self, target: Target) -> list[str]:
        """The function of each stage: the same for those that compute the same."""
        keys = [
            f"{stage in self.networks} {program_key(stage.kernel_plan, target, {})}"
            for stage in self.stages
        ]
        known = list(dict.fromkeys(keys))
        return [f"stage{known.index(key)}" for key in keys]


def emit_row_program(program: RowProgram, symbols: Sequence[str], raw: int) -> ir.Module:
    """The module that calls the stages; ``raw`` is the number of values in a row of a table."""
    module = ir.Module("backhand")
    kinds = [ir.PointerType()] * 3 + [ir.IntType(64)]
    for name in ["prepared", "raw"] if program.prepare else ["prepared"]:
        function, build = define(module, name, kinds, ir.IntType(64), external=True)
        _EntryPoint(program, symbols, build, function.args).emit(raw if name == "raw" else 0)
    return module


class _EntryPoint:
    """Writes one of the functions that are called from outside."""

    def __init__(
        self,
        program: RowProgram,
        symbols: Sequence[str],
        build: ir.IRBuilder,
        arguments: Sequence[ir.Value],
    ) -> None:
        self.program, self.symbols, self.build = program, symbols, build
        self.table, self.given, self.y, self.rows = arguments
        own = program.own_slots
        self.at = load_table(build, self.table, own)
        self.real, self.double = element_type(program.dtype), ir.DoubleType()
        self.first, words = [], len(own)
        for stage in program.stages:
            self.first.append(words)
            words += len(slots(stage.layout))

    def emit(self, raw: int) -> None:
        program, build = self.program, self.build
        kind, width = (self.double, raw) if raw else (self.real, program.inputs)

        def one(row: ir.Value) -> None:
            given = element(build, self.given, build.mul(row, index(width)), kind)
            if raw:
                given = self._prepare(given)
            else:
                self._leave_unless_finite(given, row)
            self._answer(given, build.mul(row, index(program.results)))

        for_range(build, "row", index(0), self.rows, one)
        build.ret(index(0))

    def _leave_unless_finite(self, x: ir.Value, row: ir.Value) -> None:
        """Return the number of the row, counted from 1, if one of its numbers is not finite."""
        build, size = self.build, self.program.dtype.itemsize
        word = ir.IntType(8 * size)
        bits = ir.Constant(word, NOT_FINITE[size])

        def one(k: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
            value = build.load(element(build, x, k, word), typ=word)
            full = build.icmp_unsigned("==", build.and_(value, bits), bits)
            return [build.or_(held[0], full)]

        end, no = index(self.program.inputs), ir.Constant(ir.IntType(1), 0)
        (found,) = fold(build, "number", index(0), end, [no], one)
        with build.if_then(found):
            build.ret(build.add(row, index(1)))

    def _call(self, number: int, *arguments: ir.Value) -> None:
        """Call a stage."""
        build, name = self.build, self.symbols[number]
        table = element(build, self.table, index(self.first[number]), ir.IntType(64))
        kinds = [ir.PointerType()] * (len(arguments) + 1)
        function = build.module.globals.get(name) or ir.Function(
            build.module, ir.FunctionType(ir.VoidType(), kinds), name
        )
        build.call(function, [table, *arguments])

    def _prepare(self, values: ir.Value) -> ir.Value:
        """The prepared numbers of a row."""
        at = self.at
        self._take(values, self.double, at["sources"], at["values"], self.double, "sources")
        self._call(0, at["values"], at["prepared"])
        self._take(at["prepared"], self.double, at["order"], at["x"], self.real, "order")
        return at["x"]

    def _take(
        self,
        source: ir.Value,
        kind: ir.Type,
        places: ir.Value,
        to: ir.Value,
        to_kind: ir.Type,
        which: str,
    ) -> None:
        """``to = source[places]``."""
        build, word = self.build, ir.IntType(64)

        def one(k: ir.Value) -> None:
            place = build.load(element(build, places, k, word), typ=word)
            value = build.load(element(build, source, place, kind), typ=kind)
            build.store(as_real(build, value, to_kind), element(build, to, k, to_kind))

        for_range(build, which, index(0), index(len(getattr(self.program, which))), one)

    def _answer(self, x: ir.Value, begin: ir.Value) -> None:
        """Every network, and then the answer."""
        build, at, program = self.build, self.at, self.program
        kind, before = element_type(program.answer.dtype), len(program.stages)
        before -= len(program.networks) + 1
        given = [at[f"given{k}"] for k in range(len(program.networks))]
        for k, network in enumerate(program.networks):
            self._call(before + k, x, at[f"logits{k}"])
            copy(build, at[f"logits{k}"], self.real, given[k], kind, network.results)
        self._call(len(program.stages) - 1, *given, at["y"])
        to = element(build, self.y, begin, self.double)
        many = program.answer.results
        copy(build, at["y"], kind, to, self.double, many)
        if program.shows_logits:
            to = element(build, to, index(many), self.double)
            copy(build, at["logits0"], self.real, to, self.double, program.networks[0].results)
