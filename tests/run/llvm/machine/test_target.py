from __future__ import annotations

import ctypes
import gc

import numpy as np
import pytest

from backhand.errors import BackhandError, InputError
from backhand.run.llvm.machine import target as target_module
from backhand.run.llvm.machine.target import (
    NAMED,
    Library,
    Target,
    compile_module,
    emit_assembly,
    emit_object,
)

LINUX = "x86_64-unknown-linux-gnu"
V3 = dict.fromkeys(("avx", "fma", "avx2", "bmi", "bmi2", "lzcnt", "movbe", "f16c"), True)
V4 = V3 | dict.fromkeys(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"), True)


def multiply_add(lanes, body="{r} = fadd {v} {p}, {c}"):
    """IR of ``f(ptr)``: a vector times itself plus itself."""
    v = f"<{lanes} x float>"
    names = {"v": v, "r": "%r", "p": "%p", "c": "%x"}
    return (
        f"declare {v} @llvm.fma.v{lanes}f32({v}, {v}, {v})\n"
        f"define void @f(ptr %a) {{\n %x = load {v}, ptr %a, align 4\n %p = fmul {v} %x, %x\n"
        f" {body.format(**names)}\n store {v} %r, ptr %a, align 4\n ret void\n}}\n"
    )


FUSED = "{r} = call {v} @llvm.fma.v16f32({v} %x, {v} %x, {v} %x)"


def test_the_host_is_one_object_with_sensible_vectors():
    host = Target.host()
    assert host is Target.host()
    assert host.lanes(np.float32) == host.lanes("float32") == host.vector_bytes // 4
    assert host.lanes("float64") == host.vector_bytes // 8


@pytest.mark.parametrize(
    ("cpu", "features", "level", "vector_bytes", "registers"),
    [
        ("znver4", V4, "znver4", 64, 32),
        ("generic", V4, "x86-64-v4", 64, 32),
        ("", V3, "x86-64-v3", 32, 16),
        ("A strange name", V3, "x86-64-v3", 32, 16),
        ("generic", {"avx": True, "fma": True}, "x86-64-v2", 32, 16),
        ("generic", V3 | {"avx512f": True}, "x86-64-v3", 32, 16),
    ],
)
def test_processors_and_their_levels(cpu, features, level, vector_bytes, registers):
    target = Target.of(LINUX, cpu, features)
    assert (target.cpu, target.vector_bytes, target.registers) == (level, vector_bytes, registers)
    assert "+64bit" in target.features
    assert "-prefer-256-bit" in target.features


def test_an_unknown_processor_name_does_not_abort(capfd):
    target = Target.of(LINUX, "no-such-processor", V3)
    assert emit_object(multiply_add(8), target)
    capfd.readouterr()  # LLVM says that it ignores the name


def test_without_fused_multiply_add_it_says_so():
    with pytest.raises(BackhandError, match=r"\(k8\) has no fused multiply-add.*engine='numpy'"):
        Target.of(LINUX, "k8", {"sse2": True})


def test_other_families_are_refused_by_name():
    with pytest.raises(BackhandError, match="no support for 'riscv64' processors"):
        Target.of("riscv64-unknown-linux-gnu", "generic", {})


def test_apple_and_other_arms_have_neon():
    target = Target.of("arm64-apple-darwin", "apple-m1", {})
    assert (target.vector_bytes, target.registers, target.features) == (16, 32, "+neon")


def test_an_unknown_name_of_a_target():
    with pytest.raises(InputError, match=r"unknown target 'avx51'.*did you mean 'avx512'"):
        Target.named("avx51")


@pytest.mark.parametrize(
    ("name", "register", "fused"),
    [
        ("avx512", "%zmm", "vfmadd"),
        ("avx2", "%ymm", "vfmadd"),
        ("fma128", "%xmm", "vfmadd"),
        ("aarch64", "v0.4s", "fmla"),
    ],
)
def test_each_target_uses_its_widest_vectors_and_contracts_nothing(name, register, fused):
    target = Target.named(name)
    lanes = target.lanes("float32")
    body = FUSED.replace("v16", f"v{lanes}")
    assembly = emit_assembly(multiply_add(lanes, body), target)
    assert register in assembly
    assert fused in assembly
    assert fused not in emit_assembly(multiply_add(lanes), target, opt=3)


def test_intel_models_that_prefer_narrow_vectors_get_wide_ones():
    features = V4 | {"prefer-256-bit": True}
    for cpu in ("skylake-avx512", "icelake-server", "sapphirerapids"):
        assert "%zmm" in emit_assembly(multiply_add(16, FUSED), Target.of(LINUX, cpu, features))


@pytest.mark.parametrize("name", NAMED)
def test_every_target_makes_object_files(name):
    assert emit_object(multiply_add(4), Target.named(name)).startswith(b"\x7fELF")


def run(library):
    a = np.arange(4, dtype=np.float32)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("f"))(a.ctypes.data)
    return a


def test_code_runs_and_outlives_what_made_it():
    library = compile_module(multiply_add(4))
    gc.collect()
    np.testing.assert_array_equal(run(library), [0, 2, 6, 12])
    assert library.address("f") == library.address("f")


def test_an_object_file_can_be_kept_and_loaded_twice():
    image = emit_object(multiply_add(4), Target.host())
    first, second = Library(image), Library(image)
    del first
    gc.collect()
    np.testing.assert_array_equal(run(second), [0, 2, 6, 12])


def test_faulty_modules_objects_and_names_are_errors():
    with pytest.raises(BackhandError, match="LLVM refused a generated module"):
        compile_module("define void @f() { ret i32 1 }")
    with pytest.raises(BackhandError, match="cannot load machine code"):
        Library(b"garbage")
    with pytest.raises(BackhandError, match="no symbol 'nowhere'"):
        compile_module(multiply_add(4)).address("nowhere")


def test_code_for_another_family_is_not_loaded(monkeypatch):
    other = "aarch64" if Target.host().triple.startswith("x86") else "avx2"
    with pytest.raises(BackhandError, match="cannot be loaded here"):
        compile_module(multiply_add(4), Target.named(other))


def test_a_host_that_cannot_list_its_features(monkeypatch):
    binding = target_module._initialised()

    def unable():
        raise RuntimeError("not on this system")

    monkeypatch.setattr(binding, "get_host_cpu_features", unable)
    monkeypatch.setattr(binding, "get_default_triple", lambda: LINUX)
    with pytest.raises(BackhandError, match="no fused multiply-add"):
        target_module._asked()


@pytest.mark.parametrize(
    ("dtype", "columns", "lanes"),
    [("float32", 1, 4), ("float32", 4, 4), ("float32", 5, 8), ("float32", 9, 16),
     ("float32", 99, 16), ("float64", 2, 2), ("float64", 3, 4), ("float64", 5, 8)],
)  # fmt: skip
def test_few_columns_have_narrow_vectors(dtype, columns, lanes):
    assert Target.named("avx512").with_short_vectors(dtype, columns).lanes(dtype) == lanes
    assert Target.named("fma128").with_short_vectors(dtype, columns) == Target.named("fma128")


def test_what_llvm_says_of_a_processor_is_kept_for_processors_of_its_kind(monkeypatch, tmp_path):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    asked = []
    monkeypatch.setattr(target_module, "_asked", lambda: asked.append(1) or NAMED["avx2"])
    for said, times in (("one", 1), ("one", 1), ("another", 2), ("", 3), ("", 4)):
        monkeypatch.setattr(target_module, "processor", lambda said=said: said)
        assert target_module._host.__wrapped__() == NAMED["avx2"]
        assert len(asked) == times
