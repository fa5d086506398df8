"""Who trains the same network in a benchmark: us, and what people would use instead.

A contender is a callable without arguments that trains one epoch: rows in a new random order, Adam
at learning rate 0.001, softmax cross-entropy, relu, float32. Each peer runs as its own
documentation would have it run fast, and once for every number of threads that it can be given.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..network import Network
from ..run.llvm.host.team import available_threads
from ..train.config import TrainConfig
from ..train.loop import TrainLoop
from ..train.rows import Rows

Array = Any
Epoch = Callable[[], object]

RATE = 1e-3


class Problem(NamedTuple):
    """A network's widths, its batch, and the data: x (N, D) float32, t (N,) int64."""

    widths: tuple[int, ...]
    batch: int
    x: Array
    t: Array


def made_problem(widths: tuple[int, ...], batch: int, rows: int) -> Problem:
    """Noise of the right shapes: how fast a network trains does not depend on what it learns."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, widths[0])).astype(np.float32)
    return Problem(widths, batch, x, rng.integers(0, widths[-1], rows))


class Peer(NamedTuple):
    """A library, and how to make contenders with it.

    Attributes
    ----------
    module : str
        What to import; a peer that cannot be is left out.
    package : str
        Whose version is recorded.
    contenders : callable
        ``contenders(problem)`` yields (label, epoch).
    """

    module: str
    package: str
    contenders: Callable[[Problem], Iterator[tuple[str, Epoch]]]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)


def ours(problem: Problem) -> Iterator[tuple[str, Epoch]]:
    """The number of threads is chosen as for any user."""
    network = Network(problem.widths, activation="relu", loss="softmax_cross_entropy")
    settings = TrainConfig(
        epochs=1000, batch_size=problem.batch, optimiser="adam", learning_rate=RATE
    )
    params = network.init("kaiming_normal", 0)
    training = TrainLoop(network, params, settings, len(problem.x))
    rows = Rows(problem.x, problem.t[:, None])
    yield "", lambda: training.epoch(rows)


def thread_counts() -> list[int]:
    """One thread, and all of them."""
    return sorted({1, available_threads()})


def pytorch(problem: Problem) -> Iterator[tuple[str, Epoch]]:
    import torch

    x, t = torch.from_numpy(problem.x), torch.from_numpy(problem.t)

    def contender(threads: int) -> Epoch:
        layers: list[Any] = []
        for d, k in zip(problem.widths, problem.widths[1:], strict=False):
            layers += [torch.nn.Linear(d, k), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        adam = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        loss_of = torch.nn.CrossEntropyLoss()

        def epoch() -> None:
            torch.set_num_threads(threads)
            order = torch.randperm(len(x))
            for first in range(0, len(x), problem.batch):
                rows = order[first : first + problem.batch]
                adam.zero_grad(set_to_none=True)
                loss_of(model(x[rows]), t[rows]).backward()
                adam.step()

        return epoch

    for threads in thread_counts():
        yield f"{threads} threads", contender(threads)


def jax(problem: Problem) -> Iterator[tuple[str, Epoch]]:
    """The whole epoch is one compiled scan; XLA decides about threads."""
    import jax
    import jax.numpy as jnp

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    x, t = jax.device_put(problem.x), jax.device_put(problem.t.astype(np.int32))
    network = Network(problem.widths, activation="relu", loss="softmax_cross_entropy")
    arrays = list(map(jnp.asarray, network.init("kaiming_normal", 0).values()))
    start = list(zip(arrays[::2], arrays[1::2], strict=True))
    tree_map = jax.tree_util.tree_map

    def loss_of(params: Any, xb: Any, tb: Any) -> Any:
        for w, b in params[:-1]:
            xb = jax.nn.relu(xb @ w + b)
        z = xb @ params[-1][0] + params[-1][1]
        return -jnp.take_along_axis(jax.nn.log_softmax(z), tb[:, None], axis=1).mean()

    def step(carry: Any, rows: Any) -> Any:
        params, m, v, count = carry
        g = jax.grad(loss_of)(params, x[rows], t[rows])
        count = count + 1
        m = tree_map(lambda a, b: beta1 * a + (1 - beta1) * b, m, g)
        v = tree_map(lambda a, b: beta2 * a + (1 - beta2) * b * b, v, g)
        rate, unbias = RATE / (1 - beta1**count), 1 / jnp.sqrt(1 - beta2**count)
        params = tree_map(
            lambda w, a, b: w - rate * a / (jnp.sqrt(b) * unbias + epsilon), params, m, v
        )
        return (params, m, v, count), None

    def train(carry: Any, key: Any) -> Any:
        order = jax.random.permutation(key, len(x))
        return jax.lax.scan(step, carry, order.reshape(-1, problem.batch))[0]

    whole = jax.jit(train)
    zeros = tree_map(jnp.zeros_like, start)
    held: dict[str, Any] = {"carry": (start, zeros, zeros, jnp.float32(0)), "epoch": 0}
    wait: Callable[[Any], Any] = jax.block_until_ready

    def epoch() -> None:
        held["epoch"] += 1
        held["carry"] = wait(whole(held["carry"], jax.random.key(held["epoch"])))

    yield "jit, scan", epoch


def scikit_learn(problem: Problem) -> Iterator[tuple[str, Epoch]]:
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    classes = np.arange(problem.widths[-1])

    def contender(threads: int) -> Epoch:
        model = MLPClassifier(
            problem.widths[1:-1],
            batch_size=problem.batch,
            alpha=0.0,
            learning_rate_init=RATE,
            random_state=0,
        )

        def epoch() -> None:
            with threadpool_limits(threads):
                model.partial_fit(problem.x, problem.t, classes=classes)

        return epoch

    for threads in thread_counts():
        yield f"{threads} threads", contender(threads)


PEERS = {
    "torch": Peer("torch", "torch", pytorch),
    "jax": Peer("jax", "jax", jax),
    "scikit-learn": Peer("sklearn", "scikit-learn", scikit_learn),
}
"""What we are measured against, by name."""


@contextlib.contextmanager
def torch_threads_restored() -> Iterator[None]:
    """Leave PyTorch's number of threads as it was found."""
    if not PEERS["torch"].installed:
        yield
        return
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
