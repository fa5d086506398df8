"""A trained model as one ES module, which needs nothing but a browser or Node."""

from __future__ import annotations

import os
from typing import Any

from ...files import as_path, write_whole
from ...preprocess.cells import TRUE_AND_FALSE
from ..imperative import Routine, Writer
from ..program import Column, Decision, Program, Stage
from ..programs import program_of
from . import runtime
from .dialect import ARRAYS, JavaScript, real_text, text_of
from .networks import SCRATCH, NetworkCode, call_text
from .nodes import FILLED

EXACT = 2**53
"""Whole numbers below are numbers in JavaScript; larger labels become text."""


def write_js(model: Any, path: str | os.PathLike[str]) -> None:
    """Write an ES module.

    It exports ``predict(row)``, ``prepare(row)`` to x, ``predictPrepared(x)``, ``logits(x)`` and
    ``describe()``. Each of ``networks`` has ``parameters``, ``logits(x)``,
    ``lossAndGradients(x, t)`` and ``sgdStep(gradients, rate)``; of a single network the module
    exports these as well.

    Parameters
    ----------
    model : object
        What `programs.program_of` takes.
    path : path-like

    Raises
    ------
    InputError
        If it is no trained model, or the file cannot be written there.
    """
    write_whole(as_path(path), js_text(program_of(model)).encode("ascii"))


def js_text(program: Program, nodes: bool = False) -> str:
    """The contents of the module; with ``nodes`` it has a function for each node of the plans."""
    return _Module(program, nodes).text()


class _Module:
    """Writes the module of a program."""

    def __init__(self, program: Program, nodes: bool) -> None:
        self.program, self.dialect, self.nodes = program, JavaScript(), nodes
        self.writer = Writer(self.dialect)
        self.writer.name(SCRATCH)
        self.networks = [
            NetworkCode(self.writer, self.dialect, stage, nodes) for stage in program.networks
        ]
        self.prepare = None if program.prepare is None else self.writer.stage(program.prepare)
        self.answer = self.writer.stage(program.answer)
        self.real = ARRAYS[program.dtype]

    def text(self) -> str:
        """The whole of it."""
        functions = self.writer.definitions()
        parts = [
            f"// {text_of(self.program.name)}, exported by backhand",
            "const fround = Math.fround;",
            runtime.ARRAYS,
            *([FILLED] if self.nodes else []),
            *([runtime.cells()] if self.program.columns else []),
            *self.dialect.helper_texts(),
            *("\n".join(self.dialect.array(*array)) for array in self.writer.arrays),
            *("\n".join(lines) for lines in functions),
            *self._scratch(),
            *(network.definition() for network in self.networks),
            *self._prepare(),
            self._predict(),
            self._describe(),
        ]
        return "\n\n".join(parts) + "\n"

    def _scratch(self) -> list[str]:
        routines = [routine for network in self.networks for routine in network.routines]
        rooms: dict[str, int] = {}
        for routine in (*routines, self.answer, *([self.prepare] if self.prepare else [])):
            rooms[routine.dtype] = max(rooms.get(routine.dtype, 0), routine.scratch)
        return [
            f"const {self.dialect.local(SCRATCH, dtype)} = new {ARRAYS[dtype]}({room});"
            for dtype, room in rooms.items()
            if room
        ]

    def _call(self, routine: Routine, *arguments: str) -> str:
        return call_text(self.dialect, routine, *arguments)

    # from a row to x ----------------------------------------------------------------------------

    def _prepare(self) -> list[str]:
        program, inputs = self.program, self.program.inputs
        head = "// a row as prepared numbers x\nexport function prepare(row) {"
        if self.prepare is None:
            return [f'{head}\n  return _row({self.real}, row, {inputs}, "the row");\n}}']
        if program.columns:
            columns = ",\n".join(f"  {_column(column)}" for column in program.columns)
            first = f"const _columns = [\n{columns}\n];"
            values = "_columns.map((column) => _cell(row, column))"
        else:
            first = ""
            values = f'_row(Float64Array, row, {max(program.sources) + 1}, "the row")'
        body = f"""\
{head}
  const values = {values};
  const given = Float64Array.from(_sources, (column) => values[column]);
  const prepared = new Float64Array({self.prepare.results[0]});
  {self._call(self.prepare, "given", "prepared")}
  return {self.real}.from(_order, (place) => prepared[place]);
}}"""
        places = f"const _sources = {list(program.sources)};\nconst _order = {list(program.order)};"
        return [*[first] * bool(first), places, body]

    # from x to an answer ------------------------------------------------------------------------

    def _predict(self) -> str:
        z = []
        narrow = self.answer.dtype == "float32" and self.program.dtype == "float64"
        for i in range(len(self.networks)):
            z.append(f"Float32Array.from(z[{i}])" if narrow else f"z[{i}]")
        objects = ", ".join(network.object for network in self.networks)
        one = "" if len(self.networks) != 1 else ONE.format(objects)
        return PREDICT.format(
            objects=objects,
            one=one,
            real=self.real,
            inputs=self.program.inputs,
            answers=ARRAYS[self.answer.dtype],
            width=self.answer.results[0],
            answer=self._call(self.answer, *z, "y"),
            decided=_decided(self.program.decision, self.program.answer),
            classes=text_of([_label(one) for one in self.program.decision.classes]),
        )

    def _describe(self) -> str:
        program, decision = self.program, self.program.decision
        columns = [
            {"name": c.name, "kind": c.kind, **({"values": c.values} if c.values else {})}
            for c in program.columns
        ]
        found = {
            "name": program.name,
            "target": decision.target,
            "classes": [_label(one) for one in decision.classes],
            "columns": columns,
            "inputs": program.inputs,
            "featureNames": program.feature_names,
            "networks": [network.description() for network in self.networks],
        }
        lines = ",\n".join(f"    {key}: {text_of(value)}" for key, value in found.items())
        return (
            f"// what the model is, for people and pages\nexport function describe() {{\n"
            f"  return {{\n{lines}\n  }};\n}}"
        )


PREDICT = """\
// each with parameters, logits(x), lossAndGradients(x, t) and sgdStep(gradients, rate)
export const networks = [{objects}];
{one}
function _logits(x) {{
  const row = _row({real}, x, {inputs}, "x");
  return networks.map((network) => network.logits(row));
}}

// the logits of a prepared row, one network after another
export function logits(x) {{
  return {real}.from(_logits(x).flatMap((z) => Array.from(z)));
}}

const _classes = {classes};

// what a row is predicted to be
export function predict(row) {{
  return predictPrepared(prepare(row));
}}

// what a prepared row is predicted to be
export function predictPrepared(x) {{
  const z = _logits(x), y = new {answers}({width});
  {answer}
  {decided}
}}"""

ONE = """\
export const {{ parameters, lossAndGradients, sgdStep }} = {};
"""

LARGEST = "{of}.reduce((best, a, k) => (a > {of}[best] ? k : best), 0)"


def _column(column: Column) -> str:
    found = f"name: {text_of(column.name)}, kind: {text_of(column.kind)}"
    if column.kind == "category":
        places = ", ".join(f"[{text_of(value)}, {k}]" for k, value in enumerate(column.values))
        boolean = bool(column.values) and {*column.values} <= {*TRUE_AND_FALSE.values()}
        found += f", boolean: {text_of(boolean)}, places: new Map([{places}])"
    return f"{{ {found} }}"


def _decided(decision: Decision, answer: Stage) -> str:
    """The statement that gives the answer for y and the logits z of each network."""
    if decision.kind == "numbers":
        return f"return {'y[0]' if answer.result.width == 1 else 'Array.from(y)'};"
    if decision.kind == "labels":
        labels = "_classes.filter((_, k) => z[0][k] > 0)"
        return f"return {{ labels: {labels}, probabilities: Array.from(y) }};"
    place = {
        "largest": LARGEST.format(of="y"),
        "largest_logit": LARGEST.format(of="z[0]"),
        "threshold": f"y[1] >= {real_text(decision.threshold, answer.dtype)} ? 1 : 0",
        "positive_logit": "z[0][0] > 0 ? 1 : 0",
    }[decision.kind]
    return f"return {{ label: _classes[{place}], probabilities: Array.from(y) }};"


def _label(value: Any) -> Any:
    large = isinstance(value, int) and abs(value) >= EXACT
    return str(value) if large else value
