"""From a module to object files, of which programs share what they have in common.

A module is taken apart into its internal functions. Each gets a name that says what its code is, a
checksum of its text with the names of what it calls, and those that are known already, from this
process or from the cache on disk, are not compiled again: a second network costs what it does not
share with the first. Those that are new become one object file, and the entry another. What is kept
of a program is an image of all of its files, where there can be one.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from . import cache
from .image import Image, linked
from .target import Library, Target, emit_object, fork_safe_lock

NAME = re.compile(r'@"([^"]+)"')
COUNTED = re.compile(r"\.\d+(?=\.|$)")
"""The number in a name such as fused.3, which another program would count differently."""


class Unit(NamedTuple):
    """A function or a constant under the name that says what it is.

    Attributes
    ----------
    symbol : str
    text : str
        Its definition; a declaration is its own.
    declaration : str
        How other files name it.
    needs : tuple of str
        What it refers to.
    shared : bool
        Whether it is a function that programs share.
    """

    symbol: str
    text: str
    declaration: str
    needs: tuple[str, ...]
    shared: bool


def units_of(module: Any) -> dict[str, Unit]:
    """All that a module defines or declares, callees first, by the names that they get."""
    given = {value.name: value for value in module.globals.values()}
    made: dict[str, Unit] = {}
    symbols: dict[str, str] = {}

    def unit(name: str) -> str:
        if name in symbols:
            return symbols[name]
        value = given[name]
        text = str(value).strip()
        called = dict.fromkeys(n for n in NAME.findall(text) if n != name)
        new = {n: unit(n) for n in called}
        shared = text.startswith("define internal")
        new[name] = "" if value.linkage == "internal" else name
        text = NAME.sub(lambda found: f'@"{new[found[1]]}"', text)
        if not new[name]:
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            new[name] = f"{COUNTED.sub('', name)}.{digest}"
            text = text.replace('@""', f'@"{new[name]}"')
        symbol = symbols[name] = new[name]
        declaration = text
        if shared:
            kind = value.function_type
            arguments = ", ".join(map(str, kind.args))
            declaration = f'declare {kind.return_type} @"{symbol}"({arguments})'
            text = text.replace("define internal", "define weak_odr", 1)
        made[symbol] = Unit(symbol, text, declaration, tuple(new[n] for n in called), shared)
        return symbol

    for name in given:
        unit(name)
    return made


def _parts(chosen: Sequence[Unit], units: dict[str, Unit]) -> list[Unit]:
    """Some units, and what they need up to shared functions."""
    found = {unit.symbol: unit for unit in chosen}
    waiting = [name for unit in chosen for name in unit.needs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = units[name]
            waiting += () if units[name].shared else units[name].needs
    return list(found.values())


class Shared(NamedTuple):
    """An object file of functions that programs share, and the symbols that it needs."""

    code: bytes
    needs: tuple[str, ...]


class Store:
    """The shared object files for a target.

    Parameters
    ----------
    target : Target
    key : str
        What their code depends on besides its text.
    """

    def __init__(self, target: Target, key: str) -> None:
        self.target, self.key = target, f"{key} {target}"
        self._places: dict[str, str] = {}  # from symbols to names of object files
        self._files: dict[str, Shared] = {}

    def objects(self, module: Any) -> list[bytes]:
        """The object files of a module; what it keeps to itself comes first."""
        units = units_of(module)
        shared = [unit for unit in units.values() if unit.shared]
        if any(unit.symbol not in self._places for unit in shared):
            self._read_index()
        missing = [unit for unit in shared if self._file(unit.symbol) is None]
        if missing:
            self._compile(missing, units)
        own = [u for u in units.values() if not u.shared and u.text.startswith("define")]
        code, _ = self._emitted(own, units)
        return [code, *(self._files[name].code for name in self._closed(u.symbol for u in shared))]

    def _closed(self, symbols: Iterable[str]) -> list[str]:
        """The object files in which symbols are, and those that these need."""
        chosen: dict[str, None] = {}
        waiting = list(symbols)
        while waiting:
            symbol = waiting.pop()
            file = self._file(symbol)
            if file is not None and self._places[symbol] not in chosen:
                chosen[self._places[symbol]] = None
                waiting += file.needs
        return list(chosen)

    def _file(self, symbol: str) -> Shared | None:
        """The object file in which a symbol is; None if there is none with all it needs."""
        place = self._places.get(symbol)
        if place is None:
            return None
        if place not in self._files:
            content = cache.read(f"{self.key} {place}")
            if content is None:
                del self._places[symbol]
                return None
            needs, code = unpacked(content)
            self._files[place] = Shared(code, tuple(needs.decode().split()))
        file = self._files[place]
        if any(self._file(needed) is None for needed in file.needs):
            return None
        return file

    def _emitted(
        self, chosen: Sequence[Unit], units: dict[str, Unit]
    ) -> tuple[bytes, tuple[str, ...]]:
        """The object file of some units, and which shared functions it needs besides."""
        parts = _parts(chosen, units)
        others = [unit for unit in parts if unit.shared and unit not in chosen]
        text = [unit.declaration if unit in others else unit.text for unit in parts]
        code = emit_object("\n".join(text), self.target)
        return code, tuple(unit.symbol for unit in others)

    def _compile(self, missing: Sequence[Unit], units: dict[str, Unit]) -> None:
        symbols = {unit.symbol for unit in missing}
        code, needs = self._emitted(missing, units)
        place = hashlib.sha256(" ".join(sorted(symbols)).encode()).hexdigest()
        self._files[place] = Shared(code, needs)
        self._places |= dict.fromkeys(symbols, place)
        cache.write(f"{self.key} {place}", packed([" ".join(needs).encode(), code]))
        lines = [f"{symbol} {where}" for symbol, where in sorted(self._places.items())]
        cache.write(f"{self.key} index", "\n".join(lines).encode())

    def _read_index(self) -> None:
        content = cache.read(f"{self.key} index") or b""
        found = dict(line.split() for line in content.decode().splitlines())
        self._places = found | self._places


COMPILING = fork_safe_lock()
"""Whoever emits or compiles a program holds it."""

_stores: dict[Target, Store] = {}


def load(key: str, target: Target, emit: Callable[[], Any]) -> Library | Image:
    """The machine code of a module, compiled or from the cache; call it holding `COMPILING`.

    Parameters
    ----------
    key : str
        Everything that the code depends on.
    target : Target
    emit : callable
        Gives the module if it must be compiled.
    """

    def build() -> bytes:
        if target not in _stores:
            _stores[target] = Store(target, cache.generator())
        files = _stores[target].objects(emit())
        image = linked(files)
        return packed([b"image", *image] if image else [b"files", *files])

    kind, *parts = unpacked(cache.cached(key, build))
    return Image(*parts) if kind == b"image" else Library(*parts)


def packed(parts: Sequence[bytes]) -> bytes:
    """Several byte strings as one."""
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def unpacked(whole: bytes) -> list[bytes]:
    """What `packed` put together."""
    parts, at = [], 0
    while at < len(whole):
        (size,) = struct.unpack_from("<Q", whole, at)
        parts.append(whole[at + 8 : at + 8 + size])
        at += 8 + size
    return parts
