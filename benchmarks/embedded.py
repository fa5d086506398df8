"""Exported C on small processors, beside emlearn and onnx2c: bytes of flash and RAM, instructions.

    pip install emlearn onnx          # and Debian's packages, see benchmarks/emulation.py
    python benchmarks/embedded.py [--onnx2c PROGRAM] [--docs]

The same weights go through each tool. Flash is what a program has more than one that does nothing;
RAM is what it has in static memory, and the most that one prediction takes of the stack, to 32
bytes. Instructions are those that the emulator runs for one prediction. Of ours, code is compiled
with -Os and with -O2; of the others with what gives the fewest instructions of these.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from backhand import load
from backhand.export.c import write_c
from backhand.export.program import program_of_network
from backhand.network import Network
from emulation import BOARDS, Board
from pages import ROOT, fill, head, row

DRIVER = """\
#include <stdint.h>
#include "model.h"

static const float x[] = {{ {x} }};
volatile float sink;

#define STACK 8000

int main(void)
{{
    float y[{outputs}] = {{ 0 }};
#ifdef MEASURE_STACK
    volatile uint8_t *top = (volatile uint8_t *)__builtin_frame_address(0) - 128;
    int32_t deepest = 0;
    for (int32_t i = 0; i < STACK; i++) {{
        top[-i] = 0xA5;
    }}
#endif
    for (int i = 0; i < TIMES; i++) {{
        {call}
        sink = y[0];
    }}
#ifdef MEASURE_STACK
    for (int32_t i = 0; i < STACK; i++) {{
        deepest = top[-i] == 0xA5 ? deepest : i;
    }}
    return (deepest + 128 + 31) / 32;
#else
    return 0;
#endif
}}
"""

FLASH = (".text", ".rodata", ".support", ".data", ".ARM.exidx")

EMPTY = "int main(void)\n{\n    return 0;\n}\n"

NEWLIB = ("-isystem", "/usr/include/newlib")
"""Where Debian has the headers of a C library, which the other tools need."""

BOARD_NAMES = ("Cortex-M0", "Cortex-M4F", "RISC-V RV32IMAC")


@dataclasses.dataclass(frozen=True)
class Case:
    """A network with its weights, and a row."""

    name: str
    network: Network
    params: dict[str, Any]

    @property
    def products(self) -> int:
        """Multiply-adds of a row."""
        shapes = self.network.shapes
        return sum(int(np.prod(shape)) for shape in shapes.values() if len(shape) == 2)

    @property
    def weights(self) -> int:
        """Bytes of all parameters."""
        return 4 * sum(int(np.prod(shape)) for shape in self.network.shapes.values())


def cases() -> list[Case]:
    """784-50-10, and the network of 9,281 weights in EdgeMark's table of boards."""
    found = []
    for widths in ((13, 64, 64, 64, 1), (784, 50, 10)):
        loss = "binary_cross_entropy" if widths[-1] == 1 else "softmax_cross_entropy"
        network = Network(widths, activation="relu", loss=loss)
        params = network.init("kaiming_normal", 0)
        rng = np.random.default_rng(0)
        for a in params.values():
            a += rng.normal(0.0, 0.05, a.shape).astype(a.dtype)
        found.append(Case("-".join(map(str, widths)), network, params))
    return found


@dataclasses.dataclass(frozen=True)
class Source:
    """What a tool gives: the files of a folder, how they are called, how they are compiled."""

    call: str
    files: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


def of_backhand(case: Case, folder: pathlib.Path) -> Source:
    write_c(program_of_network(case.network, case.params), folder / "model")
    return Source("model_predict(x, y);", ("model.c",))


def of_emlearn(case: Case, folder: pathlib.Path) -> Source:
    import emlearn
    from sklearn.neural_network import MLPClassifier

    *hidden, outputs = case.network.widths[1:]
    fitted = MLPClassifier(tuple(hidden), max_iter=1)
    classes = np.arange(max(outputs, 2))
    rows = np.random.default_rng(0).normal(size=(40, case.network.inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(rows, np.resize(classes, 40))
    values = [np.asarray(a) for a in case.params.values()]
    fitted.coefs_, fitted.intercepts_ = values[::2], values[1::2]
    here = os.getcwd()
    os.chdir(folder)  # it leaves files where it is
    try:
        converted = emlearn.convert(fitted, method="inline", dtype="float")
    finally:
        os.chdir(here)
    converted.save(file=str(folder / "net.h"), name="net")
    (folder / "model.h").write_text('#include <math.h>\n#include "net.h"\n')
    call = f"net_predict_proba(x, {case.network.inputs}, y, {outputs});"
    if "net_predict_proba" not in (folder / "net.h").read_text():
        call = f"y[0] = (float)net_predict(x, {case.network.inputs});"
    return Source(
        call, (), ("-I", emlearn.includedir, "-isystem", "/usr/include/newlib"), ("-lm", "-lc")
    )


def plain_onnx(case: Case) -> bytes:
    """The network in the operators that every tool knows: Gemm, Relu, Sigmoid and Softmax."""
    import onnx
    from onnx import helper, numpy_helper

    inputs, outputs = case.network.widths[0], case.network.widths[-1]
    names, values, nodes, given = list(case.params), list(case.params.values()), [], "x"
    for number, (w, b) in enumerate(zip(names[::2], names[1::2], strict=True), 1):
        nodes.append(helper.make_node("Gemm", [given, w, b], [f"z{number}"]))
        last = number == len(names) // 2
        kind = "Relu" if not last else "Sigmoid" if outputs == 1 else "Softmax"
        given = "y" if last else f"y{number}"
        nodes.append(helper.make_node(kind, [f"z{number}"], [given]))
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", real, [1, inputs])],
        [helper.make_tensor_value_info("y", real, [1, outputs])],
        [numpy_helper.from_array(a, name) for name, a in zip(names, values, strict=True)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def of_onnx2c(program: str) -> Callable[[Case, pathlib.Path], Source]:
    def source(case: Case, folder: pathlib.Path) -> Source:
        (folder / "net.onnx").write_bytes(plain_onnx(case))
        made = subprocess.run([program, folder / "net.onnx"], capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(made.stderr[-500:])
        (folder / "net.c").write_text(made.stdout)
        inputs, outputs = case.network.inputs, case.network.widths[-1]
        (folder / "model.h").write_text(
            f"void entry(const float x[1][{inputs}], float y[1][{outputs}]);\n"
        )
        call = f"entry((const float (*)[{inputs}])x, (float (*)[{outputs}])y);"
        return Source(call, ("net.c",), NEWLIB, ("-lm", "-lc"))

    return source


@dataclasses.dataclass(frozen=True)
class Measured:
    """Of one prediction of a model: bytes, and instructions."""

    flash: int
    static: int
    stack: int
    instructions: int


def measured(case: Case, source: Source, board: Board, folder: pathlib.Path, flag: str) -> Measured:
    """Compile and run."""
    rng = np.random.default_rng(1)
    row = ", ".join(f"{v:.4f}f" for v in rng.normal(size=case.network.inputs))
    driver = folder / "driver.c"
    driver.write_text(DRIVER.format(x=row, outputs=case.network.widths[-1], call=source.call))
    files = [driver, *(folder / name for name in source.files)]

    def build(*more: str) -> pathlib.Path:
        return board.build(folder, files, (flag, *source.flags, *more), source.libraries)

    counts = [board.instructions(build(f"-DTIMES={times}")) for times in (1, 2)]
    once = build("-DTIMES=1")
    sizes = [board.size(once)]
    stack = 32 * board.result(build("-DTIMES=1", "-DMEASURE_STACK"))
    empty = folder / "empty.c"
    empty.write_text(EMPTY)
    sizes.append(board.size(board.build(folder, [empty], (flag,))))
    flash, static = (
        sum(sizes[0].get(name, 0) - sizes[1].get(name, 0) for name in names)
        for names in (FLASH, (".data", ".bss"))
    )
    return Measured(flash - 4 * case.network.inputs, static - 4, stack, counts[1] - counts[0])


TABLE_DRIVER = """\
#include "model.h"

volatile int32_t sink;
static model_row row;

int main(void)
{
    float y[MODEL_OUTPUTS];
    sink = model_predict_row(&row, y);
    return 0;
}
"""


def of_table() -> list[str]:
    """The lines of a table: flash of the sample table's model, from cells to the class."""
    lines = head(("processor",), ("flash", "constants", "code and texts"))
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        data = str(ROOT / "examples" / "penguins.csv")
        words = ["train", data, "--target", "species", "--hidden", "24", "--seed", "1"]
        command = [sys.executable, "-m", "backhand", *words, "--out", str(folder / "run")]
        subprocess.run(command, check=True, capture_output=True)
        load(folder / "run" / "model.safetensors").to_c(folder / "model")
        constants = re.search(r"MODEL_FLASH_BYTES (\d+)", (folder / "model.h").read_text())
        assert constants is not None
        (folder / "driver.c").write_text(TABLE_DRIVER)
        (folder / "empty.c").write_text(EMPTY)
        for name in BOARD_NAMES:
            sizes = []
            for files in (("driver.c", "model.c"), ("empty.c",)):
                built = BOARDS[name].build(folder, [folder / f for f in files], ("-Os",))
                size = BOARDS[name].size(built)
                sizes.append(sum(size.get(part, 0) for part in FLASH))
            flash, known = sizes[0] - sizes[1], int(constants[1])
            lines.append(row([name, f"{flash:,}", f"{known:,}", f"{flash - known:,}"]))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx2c", help="the program, if it was built")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/deploy_c.md")
    given = parser.parse_args()
    tools: dict[str, tuple[Callable[[Case, pathlib.Path], Source], str]] = {
        "backhand, -Os": (of_backhand, "-Os"),
        "backhand, -O2": (of_backhand, "-O2"),
        "emlearn, -O2": (of_emlearn, "-O2"),
    }
    if given.onnx2c:
        tools["onnx2c, -O2"] = (of_onnx2c(given.onnx2c), "-O2")
    rows = of_table()
    print("\n".join(rows), flush=True)
    columns = ("flash", "beyond weights", "static RAM", "stack", "instructions", "a product")
    lines = head(("network", "processor", "tool"), columns)
    for case in cases():
        for name in BOARD_NAMES:
            for tool, (source_of, flag) in tools.items():
                with tempfile.TemporaryDirectory() as text:
                    folder = pathlib.Path(text)
                    try:
                        found = measured(case, source_of(case, folder), BOARDS[name], folder, flag)
                    except RuntimeError as error:
                        print(f"{case.name}, {name}, {tool}: {str(error)[:400]}")
                        lines.append(row([case.name, name, tool, "has no libm", *[""] * 5]))
                        continue
                numbers = (found.flash, found.flash - case.weights, found.static, found.stack)
                cells = [f"{n:,}" for n in (*numbers, found.instructions)]
                each = f"{found.instructions / case.products:.2f}"
                lines.append(row([case.name, name, tool, *cells, each]))
                print(lines[-1], flush=True)
    if given.docs:
        fill(ROOT / "docs" / "deploy_c.md", "embedded", "\n".join(lines))
        fill(ROOT / "docs" / "deploy_c.md", "embedded rows", "\n".join(rows))


if __name__ == "__main__":
    main()
