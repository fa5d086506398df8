"""How long one row takes, through the call that the documentation recommends for it.

    pip install onnx onnxruntime torch==2.13.0
    python benchmarks/one_row.py [--rounds 15]

``network.predictor(params)`` beside C from `to_c` (called from C), ONNX Runtime, PyTorch,
scikit-learn and NumPy, all with the same weights and one thread. Peers that are not installed are
left out and named.
"""

from __future__ import annotations

import argparse
import ctypes
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backhand.bench.training import spread
from backhand.export.c import write_c
from backhand.network import Network, Params

SHAPES = ((10, 32, 32, 2), (784, 50, 10), (784, 256, 128, 10))
SECONDS = 0.02
"""Of a measurement: calls are repeated for about so long."""

Call = Callable[[], Any]


def backhand(network: Network, params: Params, x: Any) -> Call:
    predict = network.predictor(params)
    return lambda: predict(x)


C_CALLS = 100
"""Rows in a call of the C program: a call from Python takes longer than a row."""


def exported(network: Network, params: Params, x: Any) -> Call:
    """`C_CALLS` rows through the exported C, compiled with -O3 -march=native."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise ImportError("it needs gcc")
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        write_c((network, params), folder / "net")
        (folder / "many.c").write_text(MANY.replace("$calls", str(C_CALLS)))
        flags = ["-std=c99", "-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, "-o", "net.so", "many.c"], cwd=folder, check=True)
        many = ctypes.CDLL(str(folder / "net.so")).many
    out = np.empty(network.widths[-1], np.float32)
    many.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return lambda: many(x.ctypes.data, out.ctypes.data)


MANY = """\
#include "net.c"

void many(const float *x, float *y);

void many(const float *x, float *y)
{
    for (int i = 0; i < $calls; i++) {
        net_logits(x, y);
        __asm__ volatile("" : : "r"(x), "r"(y) : "memory");
    }
}
"""


def numpy(network: Network, params: Params, x: Any) -> Call:
    *hidden, last_w, last_b = params.values()

    def forward() -> Any:
        y = x
        for w, b in zip(hidden[::2], hidden[1::2], strict=True):
            y = np.maximum(y @ w + b, 0)
        return y @ last_w + last_b

    return forward


def onnxruntime(network: Network, params: Params, x: Any) -> Call:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, name = [], "x"
    weights = [numpy_helper.from_array(a, name) for name, a in params.items()]
    layers = len(network.widths) - 1
    for layer in range(1, layers + 1):
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        name = f"z{layer}"
        if layer < layers:
            nodes.append(helper.make_node("Relu", [name], [f"y{layer}"]))
            name = f"y{layer}"
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, width])
        for end, width in (("x", network.widths[0]), (name, network.widths[-1]))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})[0]


def torch(network: Network, params: Params, x: Any) -> Call:
    import torch

    torch.set_num_threads(1)
    row, layers = torch.from_numpy(x), [torch.from_numpy(a) for a in params.values()]

    @torch.inference_mode()
    def forward() -> Any:
        y = row
        for w, b in zip(layers[:-2:2], layers[1:-2:2], strict=True):
            y = torch.relu(torch.addmm(b, y, w))
        return torch.addmm(layers[-1], y, layers[-2])

    return forward


def scikit_learn(network: Network, params: Params, x: Any) -> Call:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(network.widths[1:-1], max_iter=1)
    classes = np.arange(network.widths[-1])
    model.partial_fit(np.repeat(x, len(classes), 0), classes, classes=classes)
    return lambda: model.predict_proba(x)


EXPORTED = "backhand's C"

PEERS = {
    "ONNX Runtime": onnxruntime,
    "PyTorch": torch,
    "NumPy": numpy,
    "scikit-learn": scikit_learn,
}


def contenders(network: Network, params: Params, x: Any) -> Iterator[tuple[str, Call]]:
    yield "backhand", backhand(network, params, x)
    for name, make in {EXPORTED: exported, **PEERS}.items():
        try:
            yield name, make(network, params, x)
        except ImportError as error:
            print(f"{name} is left out: {error}")


def microseconds(call: Call) -> float:
    """Of one call, over as many as take some time."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        taken = time.perf_counter() - start
        if taken >= SECONDS / 2:
            return 1e6 * taken / count
        count = max(2 * count, int(count * SECONDS / max(taken, 1e-6)))


def main() -> None:
    """Print medians and quartiles over interleaved rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for widths in SHAPES:
        network = Network(widths, activation="relu", loss="softmax_cross_entropy")
        params = network.init("kaiming_normal", 0)
        x = np.random.default_rng(0).standard_normal((1, widths[0])).astype(np.float32)
        calls = dict(contenders(network, params, x))
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds + 1):
            for name, call in calls.items():
                taken = microseconds(call)
                found[name].append(taken / C_CALLS if name == EXPORTED else taken)
        ours = statistics.median(found["backhand"][1:])
        for name, times in found.items():
            median, low, high = spread(times[1:])
            print(
                f"{'-'.join(map(str, widths)):16} {name:13} {median:7.2f} us "
                f"({low:.2f} to {high:.2f}), {median / ours:.2f} times ours"
            )


if __name__ == "__main__":
    main()
