"""Images do what LLVM's linker does with the same files; what is unknown is left to it."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from backhand.errors import BackhandError
from backhand.run.llvm.machine.elf_linker import Image, linked
from backhand.run.llvm.machine.target import Library, Target, emit_object, processor

HOST = Target.host()
pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and HOST.triple.startswith("x86_64")),
    reason="images are for x86-64 and Linux",
)

SHARED = """
@inner = internal constant [2 x ptr] [ptr @"double.1", ptr @"half.1"]
define weak_odr double @"double.1"(double %x) { %y = fmul double %x, 2.0 ret double %y }
define weak_odr double @"half.1"(double %x) { %y = fmul double %x, 0.5 ret double %y }
define weak_odr double @"chosen.1"(double %x, i64 %which) {
  %place = getelementptr ptr, ptr @inner, i64 %which
  %function = load ptr, ptr %place
  %y = call double %function(double %x)
  ret double %y
}
"""
PROGRAM = """
declare i32 @sched_yield()
declare double @"chosen.1"(double, i64)
declare double @"half.1"(double)
@numbers = internal constant <8 x double> <double 1.0, double 2.0, double 3.0, double 4.0,
                                           double 5.0, double 6.0, double 7.0, double 8.0>
define void @run(ptr %out, i64 %which) {
  %no = call i32 @sched_yield()
  %seven = call double @"chosen.1"(double 7.0, i64 %which)
  %added = fadd double %seven, 0.125
  %small = call double @"half.1"(double %added)
  store double %small, ptr %out
  %known = sitofp i32 %no to double
  %second = getelementptr double, ptr %out, i64 1
  store double %known, ptr %second
  %number = getelementptr double, ptr @numbers, i64 %which
  %value = load double, ptr %number
  %third = getelementptr double, ptr %out, i64 2
  store double %value, ptr %third
  ret void
}
define i64 @another() { ret i64 42 }
"""


def files(*texts):
    return [emit_object(text, HOST) for text in texts]


def outputs(library):
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.address("run"))
    out = np.zeros((2, 3))
    for which in (0, 1):
        run(out[which].ctypes.data, which)
    return out.tolist()


def test_an_image_does_what_llvms_linker_makes_of_the_same_files():
    objects = files(PROGRAM, SHARED, SHARED)  # a second copy is of no account
    want = [[7.0625, 0, 1], [1.8125, 0, 2]]
    assert outputs(Library(*objects)) == want
    image = Image(*linked(objects))
    assert outputs(image) == want
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(image.address("another"))() == 42
    with pytest.raises(BackhandError, match=r"no symbol 'half\.1'"):
        image.address("half.1")


def test_an_image_is_the_same_every_time_and_two_live_side_by_side():
    made = linked(files(PROGRAM, SHARED))
    assert made == linked(files(PROGRAM, SHARED))
    first, second = Image(*made), Image(*made)
    want = outputs(first)
    del first
    assert outputs(second) == want


def test_code_can_be_executed_and_not_written_to():
    image = Image(*linked(files(PROGRAM, SHARED)))
    place = image.address("run")
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, rights = line.split()[:2]
            low, high = (int(end, 16) for end in span.split("-"))
            if low <= place < high:
                break
    assert rights == "r-xp"


def test_a_system_that_forbids_it_is_an_error(monkeypatch):
    monkeypatch.setattr(mmap, "PROT_EXEC", 1 << 30)  # which no system knows
    with pytest.raises(BackhandError, match="cannot load machine code: Invalid argument"):
        Image(*linked(files(PROGRAM, SHARED)))


@pytest.mark.parametrize(
    "text",
    [
        "@kept = global i64 1\ndefine ptr @run() { ret ptr @kept }",
        "@kept = global i64 0\ndefine ptr @run() { ret ptr @kept }",
        "@kept = thread_local constant i64 1\ndefine i64 @run() {\n %a = load i64, ptr @kept\n"
        " ret i64 %a\n}",
        "declare double @cos(double)\ndefine double @run(double %x) {\n"
        " %y = call double @cos(double %x)\n ret double %y\n}",
        "declare i32 @sched_yield()\ndefine ptr @run() { ret ptr @sched_yield }",
    ],
    ids=["data", "zeros", "thread_local", "cos", "address"],
)
def test_what_is_not_understood_is_left_to_llvm(text):
    assert linked(files(text)) is None


def test_other_files_are_left_to_llvm():
    text = "define i64 @run() { ret i64 1 }"
    assert linked(files(text))
    assert linked([emit_object(text, Target.named("aarch64"))]) is None
    assert linked([b"\xcf\xfa\xed\xfe" + bytes(100)]) is None


SCRIPT = """
import sys
import numpy as np
from backhand import MLPClassifier
X = np.random.default_rng(0).standard_normal((150, 4))
MLPClassifier(max_iter=2, tol=0, n_iter_no_change=9).fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0)
names = "llvmlite.binding", "backhand.run.llvm.program.emit"
print([name for name in names if name in sys.modules])
"""


@pytest.mark.skipif(not processor(), reason="this C library does not describe the processor")
def test_with_a_warm_cache_a_fit_loads_no_compiler(tmp_path):
    environment = {
        **os.environ,
        "BACKHAND_CACHE": str(tmp_path / "objects"),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONWARNINGS": "ignore",
    }
    cold, warm = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert cold.strip() == "['llvmlite.binding', 'backhand.run.llvm.program.emit']"
    assert warm.strip() == "[]"
