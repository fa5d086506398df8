"""Programs share object files: what is known is not compiled again, and what is lost is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest
from llvmlite import ir

from backhand import Network
from backhand.errors import BackhandError
from backhand.formulas.optimisers import OPTIMISERS
from backhand.plan.step import training_plan
from backhand.run.llvm.machine import compile_store, object_cache
from backhand.run.llvm.machine.elf_linker import Image, linked
from backhand.run.llvm.machine.target import Library, Target
from backhand.run.llvm.program.compiled import ENTRY
from backhand.run.llvm.program.emit import emit_program
from backhand.run.llvm.program.kernel_plan import plan_kernels

HOST = Target.host()
KINDS = {"all_x": np.dtype("f4"), "all_t": np.dtype("i8"), "all_weight": np.dtype("f4")}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects" / f"backhand-{os.geteuid()}"


@pytest.fixture
def compiled(monkeypatch):
    """The functions that were compiled, by their names."""
    names = []
    emit = compile_store.emit_object

    def spy(text, target):
        names.append([line.split('"')[1] for line in text.split("\n") if line.startswith("define")])
        return emit(text, target)

    monkeypatch.setattr(compile_store, "emit_object", spy)
    return names


def module_of(*widths, activation="relu", compile_ready=lambda module: None):
    network = Network(widths, activation=activation, loss="softmax_cross_entropy")
    kernel_plan = plan_kernels(training_plan(network, OPTIMISERS["adam"]))
    return emit_program(kernel_plan, HOST, KINDS, compile_ready)


def program(*widths, **keywords):
    return lambda compile_ready: module_of(*widths, compile_ready=compile_ready, **keywords)


def runs(images):
    """Whether they can be linked; a look-up resolves whatever the code refers to."""
    assert ENTRY(Library(*images).address("run"))
    if sys.platform.startswith("linux") and HOST.triple.startswith("x86_64"):
        assert ENTRY(Image(*linked(images)).address("run"))


def test_what_programs_have_in_common_is_compiled_once(compiled):
    store = compile_store.CompileStore(HOST, "a key")
    first = store.objects(program(20, 64, 64, 3))
    everything = {name for names in compiled for name in names}
    assert len(first) == len(compiled)
    assert "run" in everything
    compiled.clear()
    runs(store.objects(program(20, 64, 64, 64, 3)))
    assert compiled == [["run"]]
    compiled.clear()
    runs(store.objects(program(20, 64, 64, 3, activation="tanh")))
    *shared, own = compiled
    assert own == ["run"]
    assert shared
    for name in (name for names in shared for name in names):
        assert name not in everything
        assert name.startswith("fused")


def test_another_process_finds_them_on_disk(compiled):
    compile_store.CompileStore(HOST, "a key").objects(program(20, 64, 64, 3))
    compiled.clear()
    runs(compile_store.CompileStore(HOST, "a key").objects(program(20, 64, 64, 64, 3)))
    assert compiled == [["run"]]
    compiled.clear()
    compile_store.CompileStore(HOST, "another key").objects(program(20, 64, 64, 64, 3))
    assert len(compiled) > 1


@pytest.mark.parametrize("processors", [1, 2])
def test_functions_are_compiled_while_others_are_written(monkeypatch, processors):
    written, threads, emit = [], [], compile_store.emit_object

    def spy(text, target):
        threads.append(threading.current_thread().name)
        return emit(text, target)

    def slowly(compile_ready):
        def offered(module):
            compile_ready(module)
            written.append(len(module.globals))
            time.sleep(0.02)

        return module_of(20, 64, 64, 3, compile_ready=offered)

    monkeypatch.setattr(compile_store, "emit_object", spy)
    monkeypatch.setattr(compile_store, "available_threads", lambda: processors)
    runs(compile_store.CompileStore(HOST, "a key").objects(slowly))
    others = [name for name in threads if name.startswith("backhand-compile")]
    assert len(written) > 3
    assert len(others) > 1 if processors > 1 else not others


def test_where_no_thread_is_to_be_had_all_is_compiled_in_this_one(monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(compile_store, "available_threads", lambda: 2)
    monkeypatch.setattr(threading.Thread, "start", refused)
    runs(compile_store.CompileStore(HOST, "a key").objects(program(20, 64, 64, 3)))


def test_ctrl_c_while_another_thread_compiles_waits_for_it(monkeypatch):
    """LLVM's lock must be free when others, or a forked process, may compile again."""
    ended, emit = [], compile_store.emit_object

    def slowly(text, target):
        time.sleep(0.1)
        ended.append(emit(text, target))
        return ended[-1]

    def pressed(compile_ready):
        module_of(20, 64, 64, 3, compile_ready=compile_ready)
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(compile_store, "emit_object", slowly)
    monkeypatch.setattr(compile_store, "available_threads", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        compile_store.CompileStore(HOST, "a key").objects(pressed)
    many = len(ended)
    assert many
    time.sleep(0.3)
    assert len(ended) == many


def test_what_was_made_for_the_latest_keys_is_kept():
    recent, made = compile_store.RecentlyUsed(), []
    for key in [*map(str, range(compile_store.PLANS_KEPT)), "0", "more", "0", "1"]:
        recent.get(key, lambda key=key: made.append(key))
    assert made == [*map(str, range(compile_store.PLANS_KEPT)), "more", "1"]


@pytest.mark.parametrize("fails", ["writing", "compiling"])
def test_nothing_is_kept_of_a_module_that_fails(monkeypatch, home, fails):
    def halfway(compile_ready):
        module = module_of(20, 64, 64, 3, compile_ready=compile_ready)
        if fails == "writing":
            raise RuntimeError("no more")
        return module

    def refuse(text, target):
        raise BackhandError("LLVM refused it")

    monkeypatch.setattr(compile_store, "available_threads", lambda: 2)
    store = compile_store.CompileStore(HOST, "a key")
    with monkeypatch.context() as patch:
        if fails == "compiling":
            patch.setattr(compile_store, "emit_object", refuse)
        with pytest.raises((RuntimeError, BackhandError), match=r"no more|refused"):
            store.objects(halfway)
    for thread in threading.enumerate():
        if thread.name.startswith("backhand-compile"):
            thread.join(10)
            assert not thread.is_alive()
    assert not home.exists() or not list(home.iterdir())
    runs(store.objects(program(20, 64, 64, 3)))


@pytest.mark.parametrize("lost", ["all but the index", "each in turn", "garbage"])
def test_what_is_gone_from_the_disk_is_compiled_again(home, lost):
    store = compile_store.CompileStore(HOST, "a key")
    store.objects(program(20, 64, 64, 3))
    store.objects(program(20, 64, 64, 3, activation="tanh"))
    index = object_cache._entry(home, f"{store.key} index")
    others = [path for path in home.iterdir() if path != index]
    assert len(others) == 2
    for gone in [others] if lost != "each in turn" else [[path] for path in others]:
        for path in gone:
            path.write_bytes(b"x" * 100) if lost == "garbage" else path.unlink()
        runs(
            compile_store.CompileStore(HOST, "a key").objects(
                program(20, 64, 64, 3, activation="tanh")
            )
        )


def test_a_function_may_come_in_two_object_files(compiled, tmp_path, monkeypatch):
    """As when two processes compiled at once, and the index of one was written over."""
    chosen = os.environ["BACKHAND_CACHE"]
    mixed = compile_store.CompileStore(HOST, "a key")
    mixed.objects(program(20, 64, 64, 3))
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "elsewhere"))
    compile_store.CompileStore(HOST, "a key").objects(program(20, 64, 64, 3, activation="tanh"))
    shutil.copytree(tmp_path / "elsewhere", chosen, dirs_exist_ok=True)
    monkeypatch.setenv("BACKHAND_CACHE", chosen)
    compiled.clear()
    _, *shared = mixed.objects(program(20, 64, 64, 3, activation="tanh"))
    assert compiled == [["run"]]  # all else is found
    assert any(a != b and twice(a, b) for a in shared for b in shared)
    runs(mixed.objects(program(20, 64, 64, 3, activation="tanh")))


def twice(a, b):
    """Whether two object files have a function in common."""
    names = [
        {symbol for symbol in re.findall(rb"tile[\w.]+", code) if len(symbol) > 16}
        for code in (a, b)
    ]
    return bool(names[0] & names[1])


def all_units(module):
    functions = compile_store.IRFunctions()
    functions.add(module, whole=True)
    return functions.by_symbol


def test_a_name_says_what_the_code_is():
    def symbols(value, callee="helper", extra=0):
        module = ir.Module()
        i64 = ir.IntType(64)
        table = ir.GlobalVariable(module, i64, "table")
        table.linkage, table.initializer = "internal", ir.Constant(i64, value)
        for _ in range(extra):  # another count, as in a program with more kernels
            module.get_unique_name("outer.1")
        functions = {}
        for name in (callee, "outer.1"):
            function = ir.Function(module, ir.FunctionType(i64, []), name)
            function.linkage = "internal"
            build = ir.IRBuilder(function.append_basic_block())
            build.ret(build.load(table) if name == callee else build.call(functions[callee], []))
            functions[name] = function
        return {name.split(".")[0]: name for name in all_units(module)}

    same, other = symbols(1), symbols(2)
    assert same == symbols(1, extra=3)
    assert all(same[name] != other[name] for name in ("table", "helper", "outer"))


def test_packing():
    parts = [b"", b"one", bytes(1000)]
    assert object_cache.unpacked(object_cache.packed(parts)) == parts
    assert object_cache.unpacked(b"") == []


def test_entries_of_two_processes_may_need_each_other(monkeypatch):
    """Each has compiled one of two functions, and found the other in the other's index."""
    kept = {"E1": (b"b", b"code of a"), "E2": (b"a", b"code of b")}
    monkeypatch.setattr(
        compile_store.object_cache, "read", lambda key: object_cache.packed(kept[key.split()[-1]])
    )
    store = compile_store.CompileStore(HOST, "test")
    store._places = {"a": "E1", "b": "E2"}
    assert store._entry("a").codes == (b"code of a",)
    assert sorted(store._closed(["a"])) == ["E1", "E2"]
    store._places["b"] = "E3"
    kept["E3"] = (b"missing", b"code of b")
    assert store._entry("a") is None
