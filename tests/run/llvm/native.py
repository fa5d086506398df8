"""A function of a module as one that Python calls, for the tests beside this file."""

from __future__ import annotations

import ctypes

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.machine.target import Target, compile_module

NUMBER, ADDRESS, REAL = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double


def native(emit, kinds, result=None, target=None):
    """What ``emit(module)`` adds to a module and returns, with these types of ctypes."""
    module = ir.Module("test")
    function = emit(module)
    function.linkage = "external"
    library = compile_module(module, target or Target.host())
    call = ctypes.CFUNCTYPE(result, *kinds)(library.address(function.name))
    call.library = library
    return call
