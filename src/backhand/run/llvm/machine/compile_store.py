"""From a module to object files, of which programs share what they have in common.

A module is taken apart into its internal functions. Each gets a name that says what its code is, a
checksum of its text with the names of what it calls, and those that are known already, from this
process or from the cache on disk, are not compiled again: a second network costs what it does not
share with the first. Those that are new become an entry of a few object files, and what the program
keeps to itself another file. What is kept of a program is an image of all of its files, where there
can be one.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from ....plan.step import PLANS_KEPT
from ..host.signals import held_back
from ..host.team import available_threads
from ..host.workers import Task, Workers, run_to_end
from ..ir.builder import ir
from . import object_cache
from .elf_linker import Image, linked
from .target import Library, Target, emit_object, fork_safe_lock, loaded

CompileReady = Callable[["ir.Module"], None]
"""Called with a module while it is written, whenever functions of it are complete."""

T = TypeVar("T")
NAME = re.compile(r'@"([^"]+)"')
COUNTED = re.compile(r"\.\d+(?=\.|$)")
"""The number in a name such as fused.3, which another program would count differently."""


class IRFunction(NamedTuple):
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


class IRFunctions:
    """What a module defines or declares, callees first, by the names that say what it is."""

    def __init__(self) -> None:
        self.by_symbol: dict[str, IRFunction] = {}
        self._symbols: dict[str, str] = {}

    def add(self, module: ir.Module, whole: bool) -> list[IRFunction]:
        """Name what is new in a module: all of it, or only the internal functions that are ready.

        Returns
        -------
        list of IRFunction
            The new ones.
        """
        given = {value.name: value for value in module.globals.values()}
        known = set(self.by_symbol)
        for name, value in given.items():
            if name not in self._symbols and (whole or _ready(value)):
                self._name(name, given)
        return [function for symbol, function in self.by_symbol.items() if symbol not in known]

    def _name(self, name: str, given: dict[str, ir.Function]) -> str:
        if name in self._symbols:
            return self._symbols[name]
        value = given[name]
        text = str(value).strip()
        called = dict.fromkeys(n for n in NAME.findall(text) if n != name)
        new = {n: self._name(n, given) for n in called}
        shared = text.startswith("define internal")
        new[name] = "" if value.linkage == "internal" else name
        text = NAME.sub(lambda found: f'@"{new[found[1]]}"', text)
        if not new[name]:
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            new[name] = f"{COUNTED.sub('', name)}.{digest}"
            text = text.replace('@""', f'@"{new[name]}"')
        symbol = self._symbols[name] = new[name]
        declaration = text
        if shared:
            kind = value.function_type
            arguments = ", ".join(map(str, kind.args))
            declaration = f'declare {kind.return_type} @"{symbol}"({arguments})'
            text = text.replace("define internal", "define weak_odr", 1)
        needs = tuple(new[n] for n in called)
        self.by_symbol[symbol] = IRFunction(symbol, text, declaration, needs, shared)
        return symbol


def _ready(value: ir.Function) -> bool:
    """Whether it is an internal function, and finished."""
    if getattr(value, "text", ""):
        return True
    blocks = getattr(value, "blocks", ())
    return value.linkage == "internal" and bool(blocks) and all(b.is_terminated for b in blocks)


def _parts(chosen: Sequence[IRFunction], functions: Mapping[str, IRFunction]) -> list[IRFunction]:
    """Some functions, and what they need up to shared ones."""
    found = {function.symbol: function for function in chosen}
    waiting = [name for function in chosen for name in function.needs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = functions[name]
            waiting += () if functions[name].shared else functions[name].needs
    return list(found.values())


class SharedObjects(NamedTuple):
    """Object files of functions that programs share, made at once, and the symbols they need."""

    codes: tuple[bytes, ...]
    needs: tuple[str, ...]


class CompileStore:
    """The shared object files for a target.

    Parameters
    ----------
    target : Target
    key : str
        What their code depends on besides its text.
    """

    def __init__(self, target: Target, key: str) -> None:
        self.target, self.key = target, f"{key} {target}"
        self._places: dict[str, str] = {}  # from symbols to names of entries
        self._entries: dict[str, SharedObjects] = {}

    def objects(self, emit: Callable[[CompileReady], ir.Module]) -> list[bytes]:
        """The object files of a module; what it keeps to itself comes first.

        ``emit(compile_ready)`` writes the module, and may call ``compile_ready(module)`` before it
        is complete: finished functions are then compiled in another thread, if a processor is free.
        """
        with held_back() as handle, Compilation(self, handle) as compilation:
            module = emit(compilation.compile_ready)
            compilation.take(module, whole=True)
        functions = compilation.functions.by_symbol
        own = [u for u in functions.values() if not u.shared and u.text.startswith("define")]
        code, _ = self.emitted(own, functions)
        places = self._closed(function.symbol for function in functions.values() if function.shared)
        return [code, *(code for place in places for code in self._entries[place].codes)]

    def _closed(self, symbols: Iterable[str]) -> list[str]:
        """The entries that hold some symbols, and those that these need."""
        chosen: dict[str, None] = {}
        waiting = list(symbols)
        while waiting:
            symbol = waiting.pop()
            entry = self._entry(symbol)
            if entry is not None and self._places[symbol] not in chosen:
                chosen[self._places[symbol]] = None
                waiting += entry.needs
        return list(chosen)

    def missing(self, functions: Iterable[IRFunction]) -> list[IRFunction]:
        """The shared functions that are in no entry."""
        if any(function.symbol not in self._places for function in functions):
            self._read_index()
        return [function for function in functions if self._entry(function.symbol) is None]

    def _entry(self, symbol: str) -> SharedObjects | None:
        """The entry that holds a symbol; None if there is none, or one that it needs is missing.

        Entries that two processes have made at once may need each other.
        """
        seen, waiting = set(), [symbol]
        while waiting:
            needed = waiting.pop()
            if needed in seen:
                continue
            seen.add(needed)
            entry = self._read(needed)
            if entry is None:
                return None
            waiting += entry.needs
        return self._read(symbol)

    def _read(self, symbol: str) -> SharedObjects | None:
        """The entry that holds a symbol; None if there is none."""
        place = self._places.get(symbol)
        if place is None:
            return None
        if place not in self._entries:
            content = object_cache.read(f"{self.key} {place}")
            if content is None:
                del self._places[symbol]
                return None
            needs, *codes = object_cache.unpacked(content)
            self._entries[place] = SharedObjects(tuple(codes), tuple(needs.decode().split()))
        return self._entries[place]

    def emitted(
        self, chosen: Sequence[IRFunction], functions: Mapping[str, IRFunction]
    ) -> tuple[bytes, tuple[str, ...]]:
        """The object file of some functions, and which shared functions it needs besides."""
        parts = _parts(chosen, functions)
        others = [function for function in parts if function.shared and function not in chosen]
        text = [function.declaration if function in others else function.text for function in parts]
        code = emit_object("\n".join(text), self.target)
        return code, tuple(function.symbol for function in others)

    def keep(self, symbols: Sequence[str], made: Sequence[tuple[bytes, tuple[str, ...]]]) -> None:
        """Enter object files, each with what it needs, that have some symbols between them."""
        needs = dict.fromkeys(need for _, needs in made for need in needs)
        entry = SharedObjects(
            tuple(code for code, _ in made), tuple(n for n in needs if n not in symbols)
        )
        place = hashlib.sha256(" ".join(sorted(symbols)).encode()).hexdigest()
        self._entries[place] = entry
        self._places |= dict.fromkeys(symbols, place)
        object_cache.write(
            f"{self.key} {place}",
            object_cache.packed([" ".join(entry.needs).encode(), *entry.codes]),
        )
        lines = [f"{symbol} {where}" for symbol, where in sorted(self._places.items())]
        object_cache.write(f"{self.key} index", "\n".join(lines).encode())

    def _read_index(self) -> None:
        content = object_cache.read(f"{self.key} index") or b""
        found = dict(line.split() for line in content.decode().splitlines())
        self._places = found | self._places


class Compilation:
    """Compiles the functions of a module that are in no store yet, and enters them into one.

    LLVM does one thing at a time, but it releases the interpreter: finished functions are compiled
    in another thread while this one writes the rest of the module.

    Parameters
    ----------
    store : CompileStore
    handle : callable
        Handles signals that have come, which may raise something.
    """

    def __init__(self, store: CompileStore, handle: Callable[[], None]) -> None:
        self.functions, self._handle = IRFunctions(), handle
        self._store = store
        self._new: dict[str, IRFunction] = {}
        self._waiting: SimpleQueue[IRFunction] = SimpleQueue()
        self._made: list[tuple[bytes, tuple[str, ...]]] = []
        self._worker: Workers | None = None
        self._tasks: list[Task] = []

    def __enter__(self) -> Compilation:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        run_to_end(self._end)  # whatever has happened, LLVM must have ended
        for error in (task.error for task in self._tasks if task.error and kind is None):
            raise error
        if kind is None:
            self._compile()
            if self._new:
                self._store.keep(list(self._new), self._made)

    def _end(self) -> None:
        """Wait for the other thread and end it; what it has not begun is left to this thread."""
        for task in self._tasks:
            task.drop()
            task.wait()
        if self._worker:
            self._worker.shut_down()

    def compile_ready(self, module: ir.Module) -> None:
        """Start to compile the finished functions of a module in another thread."""
        self._handle()
        if available_threads() > 1 and self.take(module, whole=False):
            with contextlib.suppress(RuntimeError):  # no thread to be had: it waits for the end
                self._worker = self._worker or Workers("backhand-compile", 1)
                self._tasks.append(Task(self._compile))
                self._worker.submit(self._tasks[-1])

    def take(self, module: ir.Module, whole: bool) -> bool:
        """Queue the functions of a module that must be compiled; return whether there are any."""
        shared = [function for function in self.functions.add(module, whole) if function.shared]
        missing = self._store.missing(shared)
        for function in missing:
            self._new[function.symbol] = function
            self._waiting.put(function)
        return bool(missing)

    def _compile(self) -> None:
        """One object file of all that waits."""
        chosen = []
        with contextlib.suppress(Empty):
            while True:
                chosen.append(self._waiting.get_nowait())
        if chosen:
            self._made.append(self._store.emitted(chosen, self.functions.by_symbol))


COMPILING = fork_safe_lock()
"""The lock that a thread holds while it emits or compiles a program."""

_stores: dict[Target, CompileStore] = {}


class RecentlyUsed(Generic[T]):
    """A cache of the most recently used values; callers hold `COMPILING`."""

    def __init__(self) -> None:
        self._at: dict[str, T] = {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key, made now if it is not there."""
        found = self._at.pop(key) if key in self._at else make()
        self._at[key] = found
        while len(self._at) > PLANS_KEPT:
            del self._at[next(iter(self._at))]
        return found


def load(key: str, target: Target, emit: Callable[[CompileReady], ir.Module]) -> Library | Image:
    """The machine code of a module, compiled or from the cache; call it holding `COMPILING`.

    Parameters
    ----------
    key : str
        Everything that the code depends on.
    target : Target
    emit : callable
        Gives the module if it must be compiled; see `CompileStore.objects`.
    """
    return loaded(object_cache.cached(key, lambda: built(target, emit)))


def built(target: Target, *emits: Callable[[CompileReady], ir.Module]) -> bytes:
    """The machine code of modules that may refer to each other, as `loaded` takes it.

    Call it holding `COMPILING`; ``emits`` are as of `CompileStore.objects`.
    """
    if target not in _stores:
        _stores[target] = CompileStore(target, object_cache.generator())
    files = [*dict.fromkeys(file for emit in emits for file in _stores[target].objects(emit))]
    image = linked(files)
    return object_cache.packed([b"image", *image] if image else [b"files", *files])
