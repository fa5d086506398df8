"""The processor that code is made for, and the way from LLVM IR to an address one can call.

The bits of a result are decided only by the IR: nothing here contracts ``a * b + c``, reorders a
sum or estimates a division, at any level of optimisation and for any instruction set.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import itertools
import json
import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import BackhandError, unknown_name
from . import object_cache
from .elf_linker import Image

if TYPE_CHECKING:
    from llvmlite import binding, ir

X86_TRIPLE = "x86_64-unknown-linux-gnu"
ARM_TRIPLE = "aarch64-unknown-linux-gnu"

# Levels of x86, the best first: what a processor must have, and what LLVM then is told when the
# processor's own name is of no use. v4 is AVX-512 (F, BW, CD, DQ, VL), v3 is AVX2, FMA and BMI.
_V4 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_V3 = ("avx2", "fma", "bmi", "bmi2", "lzcnt", "movbe", "f16c")
_USELESS_NAMES = ("", "generic", "unknown", "native")


@dataclasses.dataclass(frozen=True)
class Target:
    """An instruction set, its vectors and its registers.

    Attributes
    ----------
    triple, cpu, features : str
        As LLVM names them. ``features`` is never empty on x86: LLVM aborts the whole process at an
        unknown processor without features, and only warns at one with them.
    vector_bytes : {64, 32, 16}
        Width of a vector.
    registers : {32, 16}
        How many vector registers there are.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, dtype: Any) -> int:
        """How many elements of ``dtype`` (anything that NumPy takes for one) a vector holds."""
        return self.vector_bytes // int(np.dtype(dtype).itemsize)

    def with_short_vectors(self, dtype: Any, columns: int) -> Target:
        """This target with the shortest vectors that hold the columns: wide ones divide slowly."""
        used = 2 ** (columns - 1).bit_length() * int(np.dtype(dtype).itemsize)
        return dataclasses.replace(self, vector_bytes=min(max(used, 16), self.vector_bytes))

    @property
    def is_host_family(self) -> bool:
        """Whether this process can load code for it, its features permitting."""
        host = str(_initialised().get_default_triple())
        return self.triple.split("-")[0] == host.split("-")[0]

    def machine(self, opt: int = 2) -> binding.TargetMachine:
        """Make LLVM's code generator for this target.

        Parameters
        ----------
        opt : {0, 1, 2, 3}
            Effort of instruction selection and scheduling. It never changes a result.

        Raises
        ------
        BackhandError
            If this build of llvmlite cannot make code for the target.
        """
        binding = _initialised()
        try:
            found = binding.Target.from_triple(self.triple)
        except RuntimeError as error:
            raise BackhandError(
                f"llvmlite {_version()} cannot make code for {self.triple}: {error}"
            ) from None
        # Position-independent code with near constants: it can be loaded at any address, written
        # to a cache, and reads its constants without loading their address first.
        return found.create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=opt,
            reloc="pic",
            codemodel="small",
            printmc=False,
        )

    @classmethod
    def host(cls) -> Target:
        """The processor that runs this process; the same object every time.

        Raises
        ------
        BackhandError
            If it has no fused multiply-add, or is neither x86-64 nor AArch64.
        """
        return _host()

    @classmethod
    def of(cls, triple: str, cpu: str, features: Mapping[str, bool]) -> Target:
        """A target from what LLVM reports of a processor.

        Parameters
        ----------
        triple, cpu : str
            LLVM's names. A useless processor name becomes the nearest level of its family.
        features : mapping of str to bool
            Which features are there.

        Raises
        ------
        BackhandError
            If it has no fused multiply-add, or is neither x86-64 nor AArch64.
        """
        family = triple.split("-")[0]
        known = re.fullmatch(r"[a-z0-9_.+-]+", cpu) and cpu not in _USELESS_NAMES
        if family in ("aarch64", "arm64"):
            text = _flags(features) or "+neon"
            return cls(triple, cpu if known else "generic", text, 16, 32)
        if family not in ("x86_64", "amd64"):
            raise BackhandError(
                f"compiled engine: no support for {family!r} processors (x86-64 and AArch64 have "
                "it); use engine='numpy'"
            )
        if not (features.get("avx") and features.get("fma")):
            raise BackhandError(
                f"compiled engine: this processor ({cpu or 'unnamed'}) has no fused multiply-add "
                "(x86 feature 'fma'), which every result is defined by; use engine='numpy'"
            )
        wide = all(features.get(name) for name in _V4)
        v3 = all(features.get(name) for name in _V3)
        level = "x86-64-v4" if wide and v3 else "x86-64-v3" if v3 else "x86-64-v2"
        # Some Intel models ask LLVM to prefer 256 bits, which we never mean.
        text = _flags({**features, "64bit": True, "prefer-256-bit": False, "prefer-128-bit": False})
        return cls(triple, cpu if known else level, text, 64 if wide else 32, 32 if wide else 16)

    @classmethod
    def named(cls, name: str) -> Target:
        """An instruction set by name, to make and compare code for others than the host's.

        Parameters
        ----------
        name : {"avx512", "avx2", "fma128", "aarch64"}
            ``fma128`` has AVX and FMA encodings but 128-bit vectors; ``aarch64`` is NEON, for
            object files.

        Raises
        ------
        InputError
            If the name is none of these.
        """
        if name not in NAMED:
            raise unknown_name("target", name, NAMED)
        return NAMED[name]


_PREFER_WIDE = "-prefer-256-bit,-prefer-128-bit"
NAMED = {
    "avx512": Target(X86_TRIPLE, "x86-64-v4", f"+64bit,{_PREFER_WIDE}", 64, 32),
    "avx2": Target(X86_TRIPLE, "x86-64-v3", "+64bit", 32, 16),
    "fma128": Target(X86_TRIPLE, "x86-64-v2", "+64bit,+avx,+fma", 16, 16),
    "aarch64": Target(ARM_TRIPLE, "generic", "+neon", 16, 32),
}
"""The instruction sets that `Target.named` knows."""


def _flags(features: Mapping[str, bool]) -> str:
    return ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(features.items()))


def _version() -> str:
    import llvmlite

    return str(llvmlite.__version__)


@functools.cache
def _initialised() -> Any:
    """``llvmlite.binding`` with every target ready, whatever the version of llvmlite."""
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


@functools.cache
def _host() -> Target:
    known = processor()
    key = f"{object_cache.generator()} {known}"
    kept = object_cache.read(key) if known else None
    if kept is not None:
        return Target(*json.loads(kept))
    target = _asked()
    if known:
        object_cache.write(key, json.dumps(dataclasses.astuple(target)).encode())
    return target


def processor() -> str:
    """What the C library knows of this process's processor, if it says; LLVM takes long to load.

    These are the answers of the instruction ``cpuid``: family and model, and which features may be
    used, as LLVM gets them. An emulator is seen as the processor that it is for programs.
    """
    try:
        leaf = ctypes.CDLL(None)["__x86_get_cpuid_feature_leaf"]  # glibc 2.33, only for x86
    except (AttributeError, OSError, TypeError):  # TypeError: there is no such library on Windows
        return ""
    leaf.restype = ctypes.POINTER(ctypes.c_uint32 * 8)
    leaves = [leaf(number).contents for number in range(16)]  # zeros, where there are no more
    words = [leaves[0][0], *(word for found in leaves for word in found[4:])]
    return f"processor {' '.join(f'{word:x}' for word in words)}"


def _asked() -> Target:
    """The target that LLVM reports for this process's processor."""
    binding = _initialised()
    try:
        features = dict(binding.get_host_cpu_features())
    except RuntimeError:  # some platforms cannot say
        features = {}
    return Target.of(binding.get_default_triple(), binding.get_host_cpu_name(), features)


def fork_safe_lock() -> threading.Lock:
    """A lock for compiling, which a fork waits for.

    Without it a child might find the lock, and LLVM's own locks, held by a thread that it lacks.
    """
    lock = threading.Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock


def _machine_and_module(module: Any, target: Target, opt: int) -> tuple[Any, Any]:
    """Parse and verify IR, a text or an ``ir.Module``, and give it the target's layout."""
    binding = _initialised()
    machine = target.machine(opt)
    try:
        parsed = binding.parse_assembly(str(module))
        parsed.triple = target.triple
        parsed.data_layout = str(machine.target_data)
        parsed.verify()
    except RuntimeError as error:
        raise BackhandError(f"compiled engine: LLVM refused a generated module: {error}") from None
    return machine, parsed


def emit_object(module: str | ir.Module, target: Target, opt: int = 2) -> bytes:
    """Compile IR to a relocatable object file.

    Raises
    ------
    BackhandError
        If LLVM refuses the module.
    """
    machine, parsed = _machine_and_module(module, target, opt)
    return bytes(machine.emit_object(parsed))


def emit_assembly(module: str | ir.Module, target: Target, opt: int = 2) -> str:
    """Compile IR to the assembly language of the target.

    Raises
    ------
    BackhandError
        If LLVM refuses the module.
    """
    machine, parsed = _machine_and_module(module, target, opt)
    return str(machine.emit_assembly(parsed))


class Library:
    """Machine code in memory. Its addresses are good for as long as this object lives.

    Parameters
    ----------
    *images : bytes
        Object files for the processor that runs this process, which may refer to each other.

    Raises
    ------
    BackhandError
        If LLVM cannot load it.
    """

    _numbers = itertools.count()

    def __init__(self, *images: bytes) -> None:
        binding = _initialised()
        self._name = f"backhand{next(self._numbers)}"
        self._found: dict[str, Any] = {}
        self._looking = threading.Lock()
        builder = binding.JITLibraryBuilder().add_current_process()
        for image in images:
            builder.add_object_img(image)
        try:
            # JITLink lays a library out as one piece: the older linker aborts the process if its
            # sections happen to lie more than 2 GB apart
            self._engine = binding.create_lljit_compiler(use_jit_link=True)
            self._tracker = builder.link(self._engine, self._name)
        except RuntimeError as error:
            raise BackhandError(f"compiled engine: cannot load machine code: {error}") from None

    def address(self, name: str) -> int:
        """The address of a function or a global of the code.

        Raises
        ------
        BackhandError
            If it has none of that name, or refers to something that is not there.
        """
        # What a look-up gives owns the code: if two threads looked at once, the one that is dropped
        # would take the code with it while it runs.
        with self._looking:
            if name not in self._found:
                try:
                    self._found[name] = self._engine.lookup(self._name, name)
                except RuntimeError as error:
                    raise BackhandError(f"compiled engine: no symbol {name!r}: {error}") from None
            return int(self._found[name][name])


def loaded(code: bytes) -> Library | Image:
    """Machine code that `compile_store.built` made, in memory. LLVM loads only what is no image."""
    kind, *parts = object_cache.unpacked(code)
    return Image(*parts) if kind == b"image" else Library(*parts)


def compile_module(
    module: str | ir.Module,
    target: Target | None = None,
    opt: int = 2,
) -> Library:
    """Compile IR and load it into this process.

    Parameters
    ----------
    module : str or ir.Module
        What to compile; it is verified first.
    target : Target, optional
        For which processor, by default this one. It must run here.
    opt : {0, 1, 2, 3}
        Effort of code generation.

    Raises
    ------
    BackhandError
        If LLVM refuses the module or the target is of another processor family.
    """
    target = target or Target.host()
    if not target.is_host_family:
        raise BackhandError(f"compiled engine: code for {target.triple} cannot be loaded here")
    return Library(emit_object(module, target, opt))
