"""Object files linked into one image, which is loaded without LLVM.

To load LLVM takes longer than a small fit. So what is kept is linked already, as a static linker
does it: the sections of all files one behind the other, and wherever code refers to another place,
the distance to it. An image then needs no more than memory that may be executed.

Only what programs for x86-64 consist of is understood. Where anything else comes up there is no
image, and LLVM links the object files in every process.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ....errors import BackhandError
from .. import tuning

# Layouts and numbers are those of the ELF specification and its supplement for x86-64.
HEADER, SECTION, SYMBOL, RELOCATION = "<16sHH20xQ12xHH", "<IIQQQQIIQQ", "<IBBHQQ", "<QIIq"
IDENT, RELOCATABLE, X86_64 = b"\x7fELF\x02\x01", 1, 62
PROGBITS, SYMTAB, RELA, UNWIND = 1, 2, 4, 0x70000001
ALLOCATED, GLOBAL = 2, 1
ADDRESS, DISTANCE, CALL = 1, 2, 4  # R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32

NEVER_WRITTEN = (".text", ".rodata", ".data.rel.ro")
"""What the names of sections begin with that an image may have."""
OUTSIDE = ("memcpy", "memmove", "memset", "sched_yield")
"""What code may call of the C library."""
JUMP = b"\xff\x25\x02\0\0\0\x66\x90"
"""Code that jumps to the address in the eight bytes behind it."""
WORD = 8


class NotUnderstoodError(Exception):
    """A file holds something that `linked` does not know."""


def linked(files: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """What `Image` loads, of object files that refer to each other; None if it cannot be made."""
    if not sys.platform.startswith("linux"):
        return None
    linker = _Linker()
    try:
        parts = [linker.place(file) for file in files]
        for part in parts:
            linker.relocate(*part)
    except NotUnderstoodError:
        return None
    linker.append(b"", WORD)
    about = {"symbols": linker.entries, "inner": linker.inner, "outer": linker.outer}
    return json.dumps(about).encode(), bytes(linker.code)


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


Relocations = list[tuple[int, bytes]]
Targets = list["int | str"]


class _Linker:
    def __init__(self) -> None:
        self.code = bytearray()
        self.known: dict[str, int] = {}  # offsets of what files may have from each other
        self.entries: dict[str, int] = {}  # those of the program's own
        self.inner: list[int] = []  # where words are to which the image's address is added
        self.outer: dict[str, int] = {}  # where the addresses of the C library's functions go

    def append(self, content: bytes, align: int) -> int:
        """Add bytes; their offset."""
        self.code += bytes(-len(self.code) % align)
        self.code += content
        return len(self.code) - len(content)

    def place(self, file: bytes) -> tuple[Relocations, Targets]:
        """Add a file's sections; its relocations, from where they count, and its symbols."""
        ident, kind, machine, start, count, names = struct.unpack_from(HEADER, file)
        if not (ident.startswith(IDENT) and (kind, machine) == (RELOCATABLE, X86_64)):
            raise NotUnderstoodError("not an object file for x86-64")
        headers = file[start : start + count * struct.calcsize(SECTION)]
        sections = [_Section(*fields) for fields in struct.iter_unpack(SECTION, headers)]
        content = [file[s.offset : s.offset + s.size] for s in sections]

        placed: dict[int, int] = {}
        for number, section in enumerate(sections):
            if section.flags & ALLOCATED and section.type != UNWIND:
                name = _text(content[names], section.name)
                if section.type != PROGBITS or not name.startswith(NEVER_WRITTEN):
                    raise NotUnderstoodError(f"section {name}")
                placed[number] = self.append(content[number], max(section.align, tuning.CACHE_LINE))

        targets: Targets = []
        for number, section in enumerate(sections):
            if section.type == SYMTAB:
                for at, info, _, where, value, _ in struct.iter_unpack(SYMBOL, content[number]):
                    name = _text(content[section.link], at)
                    targets.append(placed[where] + value if where in placed else name)
                    if where in placed and info >> 4:
                        self.known.setdefault(name, placed[where] + value)
                        if info >> 4 == GLOBAL:
                            self.entries[name] = placed[where] + value
        relocations = [
            (placed[section.info], content[number])
            for number, section in enumerate(sections)
            if section.type == RELA and section.info in placed
        ]
        return relocations, targets

    def relocate(self, relocations: Relocations, targets: Targets) -> None:
        """Fill in what a file refers to, now that all are there."""
        for start, table in relocations:
            for offset, kind, symbol, addend in struct.iter_unpack(RELOCATION, table):
                at, target = start + offset, targets[symbol]
                if isinstance(target, str):
                    target = self.known[target] if target in self.known else self._jump(target)
                if kind == ADDRESS and at % WORD == 0:
                    struct.pack_into("<q", self.code, at, target + addend)
                    self.inner.append(at)
                elif kind in (DISTANCE, CALL):
                    struct.pack_into("<i", self.code, at, target + addend - at)
                else:
                    raise NotUnderstoodError(f"relocation {kind}")

    def _jump(self, name: str) -> int:
        """Where code is that jumps to a function of the C library."""
        if name not in OUTSIDE:
            raise NotUnderstoodError(f"symbol {name}")
        if name not in self.outer:
            self.outer[name] = self.append(JUMP + bytes(WORD), tuning.CACHE_LINE) + len(JUMP)
        return self.outer[name] - len(JUMP)


def _text(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()


class Image:
    """An image in memory. Its addresses are good for as long as this object lives.

    Parameters
    ----------
    about, code : bytes
        From `linked`.

    Raises
    ------
    BackhandError
        If the system does not let code be loaded.
    """

    def __init__(self, about: bytes, code: bytes) -> None:
        described = json.loads(about)
        libc = ctypes.CDLL(None, use_errno=True)
        memory = mmap.mmap(-1, len(code), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._words = np.frombuffer(memory, np.int64)  # it keeps the memory alive
        self._words[:] = np.frombuffer(code, np.int64)
        self._base = self._words.ctypes.data
        inner = np.array(described["inner"], np.int64)
        self._words[inner // WORD] += self._base
        for name, at in described["outer"].items():
            self._words[at // WORD] = ctypes.cast(libc[name], ctypes.c_void_p).value or 0
        executable = mmap.PROT_READ | mmap.PROT_EXEC  # and no longer to be written to
        if libc.mprotect(ctypes.c_void_p(self._base), ctypes.c_size_t(len(code)), executable):
            reason = os.strerror(ctypes.get_errno())
            raise BackhandError(f"compiled engine: cannot load machine code: {reason}")
        self._symbols = described["symbols"]

    def address(self, name: str) -> int:
        """The address of a function of the program's own.

        Raises
        ------
        BackhandError
            If it has none of that name.
        """
        if name not in self._symbols:
            raise BackhandError(f"compiled engine: no symbol {name!r} in the image of a program")
        return int(self._base + self._symbols[name])
