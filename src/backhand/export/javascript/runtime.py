"""What every module has: arrays from bytes, checks of rows, and cells of tables as numbers."""

from __future__ import annotations

from ...preprocess.missing import MARKS, WORDS
from ...preprocess.missing import MISSING as ABSENT
from ..program import MISSING, OTHER
from .dialect import text_of

ARRAYS = """\
// the numbers in a text of base64, whose bytes are little-endian
function _decoded(kind, text) {
  const code = atob(text), bytes = new DataView(new ArrayBuffer(code.length));
  for (let i = 0; i < code.length; i++) bytes.setUint8(i, code.charCodeAt(i));
  const size = kind.BYTES_PER_ELEMENT, many = new kind(code.length / size);
  const read = { Float32Array: "getFloat32", Float64Array: "getFloat64" }[kind.name];
  for (let i = 0; i < many.length; i++) many[i] = bytes[read](i * size, true);
  return many;
}

// a row as a typed array: a number stands for a row of one
function _row(kind, row, width, what) {
  const given = typeof row === "number" ? [row] : row;
  if (given === null || typeof given !== "object" || given.length !== width) {
    throw new TypeError(`${what} needs ${width} numbers, got ${_shown(row)}`);
  }
  if (given instanceof kind) return given;
  for (const value of given) {
    if (typeof value !== "number") throw new TypeError(`${what} has ${_shown(value)} in it`);
  }
  return kind.from(given);
}

function _shown(value) {
  const many = value !== null && typeof value === "object" && "length" in value;
  return many ? `${value.length} values` : String(value).slice(0, 60);
}

function _class(t, classes) {
  if (!Number.isInteger(t) || t < 0 || t >= classes) {
    throw new TypeError(`t is the number of a class, from 0 to ${classes - 1}; got ${_shown(t)}`);
  }
  return Int32Array.of(t);
}"""

CELLS = """\
const _absent = new Set($absent), _noBoolean = new Set($noBoolean);

function _cell(row, column) {
  const { name, kind } = column, where = `column ${JSON.stringify(name)}`;
  if (row === null || typeof row !== "object") {
    throw new TypeError(`a row is an object with a value for each column; got ${_shown(row)}`);
  }
  if (!Object.hasOwn(row, name)) {
    throw new TypeError(`${where} is not in the row: give null where its value is missing`);
  }
  const given = row[name], cell = typeof given === "string" ? given.trim() : given;
  if (kind === "category") return _placeOf(cell, column);
  if (cell === null || cell === undefined) return NaN;
  if (typeof cell === "string" && _absent.has(cell.toLowerCase())) return NaN;
  const value = kind === "date" ? _days(cell) : _numberOf(cell);
  if (value === null) {
    const wanted = kind === "date" ? "a Date or a text such as 2026-01-31" : "a finite number";
    throw new TypeError(`${where} needs ${wanted}, or null; got ${JSON.stringify(_shown(given))}`);
  }
  return value;
}

function _numberOf(cell) {
  const plain = typeof cell === "number" || typeof cell === "boolean" || typeof cell === "bigint";
  const text = /^[+-]?(\\d+\\.?\\d*|\\.\\d+)(e[+-]?\\d+)?$/i;
  const value = plain || (typeof cell === "string" && text.test(cell)) ? Number(cell) : null;
  return value === null || Math.abs(value) === Infinity ? null : value;
}

function _placeOf(cell, column) {
  if (cell === null || cell === undefined || cell === "" || Number.isNaN(cell)) return $missing;
  let text = String(cell);
  if (column.boolean) {
    text = text.toLowerCase();
    if (_noBoolean.has(text)) return $missing;
    text = { 0: "false", 1: "true" }[text] ?? text;
  }
  return column.places.get(text) ?? $other;
}

// days since 1970-01-01; a time of day without a zone is in UTC
function _days(cell) {
  if (cell instanceof Date) return Number.isNaN(+cell) ? null : +cell / 86400e3;
  const part = "(\\\\d{1,2})", zone = "(?:Z|UTC|GMT|([+-])(\\\\d{2}):?(\\\\d{2}))?";
  const time = `(?:[T ]${part}:(\\\\d{2})(?::(\\\\d{2}(?:[.,]\\\\d{1,9})?))? ?${zone})?`;
  const found = new RegExp(`^(\\\\d{4})[-/.]${part}[-/.]${part}${time}$`).exec(cell);
  if (typeof cell !== "string" || found === null) return null;
  const [, y, m, d, hour = 0, minute = 0, second = "0", sign, ahead = 0, more = 0] = found;
  const seconds = Number(String(second).replace(",", ".")), day = new Date(0);
  day.setUTCFullYear(+y, m - 1, +d);
  if (day.getUTCMonth() !== m - 1 || day.getUTCDate() !== +d) return null;
  if (hour > 23 || minute > 59 || seconds >= 61) return null;
  const east = (sign === "-" ? -1 : 1) * (60 * ahead + Number(more));
  const minutes = 60 * hour + Number(minute) - east;
  return (+day * 1e3 + minutes * 60e6 + Math.round(seconds * 1e6)) / 86400e6;
}"""


def cells() -> str:
    """The functions that read a table's cells."""
    values = {
        "$absent": text_of(ABSENT),
        "$noBoolean": text_of([*ABSENT, *MARKS, *WORDS]),
        "$missing": str(MISSING),
        "$other": str(OTHER),
    }
    text = CELLS
    for name, value in values.items():
        text = text.replace(name, value)
    return text
