"""Checks of emitted kernels: machine code against the array executor's NumPy.

A program is run with every buffer laid open. Each node of its plan is then run again with NumPy on
what the machine code itself gave it, so an error shows at the node that makes it, and the bound is
derived (see `rounding`): from the bounds beside the vector functions for elementwise work, and from
``gamma_n * sum |a| |b|`` for sums. Formulas get the points of the other checks by way of layers
whose weights are the identity. Whole training runs of both executors are compared besides, where
rounding of many steps adds up and a tolerance has to do.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..formulas.activations import ACTIVATIONS, Activation
from ..formulas.losses import LOSSES, Loss
from ..formulas.optimisers import OPTIMISERS, Optimiser, clipping
from ..formulas.schedules import SCHEDULES
from ..network import Layer, Network
from ..plan.nodes import Node
from ..plan.step import Plan, gradient_plan, propagation_plan
from ..run.arrays import ArrayTrainer, parameter_buffers
from ..testing import worst_element
from ..train.loop import step_scalars
from .compare import Comparison, compare, worst_of
from .formulas import points, targets
from .networks import describe
from .rounding import Rounded, Rounding, perform

Array = Any
Executor = Callable[..., dict[str, Array]]

ORACLE = "NumPy executor"
DTYPES = ("float32", "float64")
TRAINING = {"float64": (1e-11, 1e-13), "float32": (2e-4, 2e-5)}
"""Relative and absolute tolerance of parameters after 20 steps. They compound rounding, and Adam
divides by the root of small squares: some 100 times what a single step would be allowed."""
CLIPPED, CLIP_NORM = ("sgd", "adam", "nesterov", "adamw"), 0.1
STEPS = 20


def check_kernels(seed: int = 0, programs: int = 16) -> Iterator[Comparison]:
    """Every emitted kernel against NumPy.

    Parameters
    ----------
    seed : int
        Of points and networks.
    programs : int
        How many random networks are taken apart node by node, and as many again are trained for
        20 steps, each with every optimiser in turn.

    Yields
    ------
    Comparison
        Of kind "kernel".
    """
    rng = np.random.default_rng(seed)
    for dtype in DTYPES:
        for function in vector_functions():
            yield check_activation_kernel(function, dtype, seed)[0]
        for activation in ACTIVATIONS.values():
            yield from check_activation_kernel(activation, dtype, seed)
        for loss in LOSSES.values():
            yield from check_loss_kernel(loss, dtype, seed)
    for number in range(programs):
        yield from check_program(rng, shaped_network(rng, number))
    for number in range(max(programs, 2 * len(OPTIMISERS))):
        optimiser = list(OPTIMISERS.values())[number // 2 % len(OPTIMISERS)]
        yield check_training(rng, shaped_network(rng, number), optimiser)
    for number in range(len(CLIPPED)):
        limited = clipping(OPTIMISERS[CLIPPED[number]], CLIP_NORM)
        yield check_training(rng, shaped_network(rng, number), limited)


# one plan, node by node ------------------------------------------------------------------------


def rounding(dtype: str) -> Rounding:
    """The namespace that bounds what the compiled executor's kernels may differ by."""
    from ..run.llvm.lowering.mathfuncs import TABLE

    single = dtype == "float32"
    return Rounding(dtype, {f.name: f.bound32 if single else f.bound64 for f in TABLE.values()})


def check_plan(
    what: str,
    plan: Plan,
    params: Sequence[tuple[Array, Array]],
    given: Mapping[str, Array],
    outputs: tuple[str, ...],
    execute: Executor | None = None,
) -> list[Comparison]:
    """Compare every buffer that a program gives with NumPy's, each within its derived bound.

    Parameters
    ----------
    what : str
        How to name the program.
    plan : Plan
        Without updates.
    params : sequence of (w, b)
    given : mapping of str to array
        What the plan reads besides parameters; ``x`` among it.
    outputs : tuple of str
        Buffers to lay open, besides the gradients of parameters and the loss.
    execute : callable, optional
        Runs a plan, as `backhand.run.llvm.runtime.engine.execute` does; by default that.

    Returns
    -------
    list of Comparison
        In the order of the plan.
    """
    if execute is None:
        from ..run.llvm.runtime.engine import execute as compiled

        execute = compiled
    description = plan.description
    got = execute(plan, params, dict(given), outputs)
    xp = rounding(description.dtype)
    at: dict[str, Any] = {"seed": 0, "step": 0}
    for name, a in {**given, **parameter_buffers(params)}.items():
        at[name] = a if name == "t" and description.loss.by_row else Rounded(xp, a)
    lines = []
    with np.errstate(all="ignore"):
        for node in plan.nodes:
            perform(node, at, xp)
            name = getattr(node, "out", "")
            if name in got:
                lines.append(within(f"{what}: {_said(node)}", xp, got[name], at[name]))
                at[name] = Rounded(xp, got[name])
    return lines


def _said(node: Node) -> str:
    return str(Plan(None, (node,))).partition(" = ")[0]  # type: ignore[arg-type]


def within(what: str, xp: Rounding, got: Array, want: Rounded) -> Comparison:
    """Compare a kernel's result with NumPy's and its bound."""
    return compare("kernel", what, ORACLE, got, want.value, allowed=want.error, dtype=str(xp.dtype))


# formulas at their points ----------------------------------------------------------------------


def _identity(count: int, width: int, dtype: str) -> list[Layer]:
    """Layers that hand their inputs on: ``z = x @ 1 + 0`` is exact."""
    return [Layer(np.eye(width, dtype=dtype), np.zeros(width, dtype)) for _ in range(count)]


def _spread(z: Array, width: int, dtype: str) -> Array:
    """Points as rows of a batch."""
    return np.resize(z, (-(-len(z) // width), width)).astype(dtype)


def check_activation_kernel(
    activation: Activation, dtype: str, seed: int = 0, execute: Executor | None = None
) -> list[Comparison]:
    """An activation and its VJP as they are emitted, at their kinks too."""
    rng = np.random.default_rng(seed)
    width = 17
    network = Network((width,) * 3, activation=activation, dtype=dtype)
    x = _spread(np.concatenate([points(rng), [0.0, -0.0], activation.kinks]), width, dtype)
    given = {"x": x, "dz2": rng.standard_normal(x.shape).astype(dtype)}
    plan, params = propagation_plan(network), _identity(2, width, dtype)
    lines = check_plan(
        f"{activation.name} {dtype}", plan, params, given, ("z1", "y1", "dy1", "dz1"), execute
    )
    forward, backward = f"{activation.name} {dtype}", f"{activation.name}_vjp {dtype}"
    return _worst_of({forward: lines[:2], backward: lines[2:]})


def check_loss_kernel(
    loss: Loss, dtype: str, seed: int = 0, execute: Executor | None = None
) -> list[Comparison]:
    """A loss and its gradient as they are emitted, in rows of part of a vector to many."""
    rng = np.random.default_rng(seed)
    lines: dict[str, list[Comparison]] = {}
    for width in (2 if loss.by_row else 1, 17, 70):
        network = Network((width, width), loss=loss, dtype=dtype)
        x = _spread(rng.permutation(points(rng)), width, dtype)
        t = targets(loss, rng, *x.shape)
        t = t if loss.by_row else t.astype(dtype)
        weight = rng.uniform(0.5, 2.0, (len(x), 1)).astype(dtype)
        plan, params = gradient_plan(network), _identity(1, width, dtype)
        run = functools.partial(check_plan, plan=plan, params=params, execute=execute)
        rows = [slice(i, i + 1) for i in range(min(len(x), 6))]  # alone, a row's value is the loss
        for part in (slice(None), *rows):
            given = {"x": x[part], "t": t[part], "weight": weight[part]}
            for line in run(f"{width} outputs", given=given, outputs=("z1", "dz1")):
                kind = loss.name if line.what.endswith("loss") else f"{loss.name}_grad"
                lines.setdefault(f"{kind} {dtype}", []).append(line)
    return _worst_of(lines)


def _worst_of(groups: Mapping[str, list[Comparison]]) -> list[Comparison]:
    """The worst line of each group, under the group's name."""
    found = []
    for what, lines in groups.items():
        worst = worst_of(lines)
        where = f"{worst.what.rpartition(': ')[2]} {worst.where}"
        found.append(dataclasses.replace(worst, what=f"{what}, emitted", where=where))
    return found


def vector_functions() -> list[Activation]:
    """Each vector function by itself, as if it were an activation."""
    from ..run.llvm.lowering.mathfuncs import TABLE

    def alone(name: str) -> Activation:
        def forward(xp: Any, z: Array) -> Array:
            return getattr(xp, name)(xp.abs(z) if name[:3] == "log" else xp.minimum(z, 80.0))

        return Activation(f"xp.{name}", forward, lambda xp, z, y, dy: dy, saves=())

    return [alone(name) for name in TABLE]


# whole programs --------------------------------------------------------------------------------


def tile_sizes() -> tuple[int, ...]:
    """Heights and widths of this processor's tiles, and one below and one above each."""
    from ..run.llvm.kernels.tile import choose_tile
    from ..run.llvm.machine.target import Target

    target = Target.host()
    tile = choose_tile(target)
    lanes = [target.lanes(dtype) for dtype in DTYPES]
    sizes = {*tile.rows, *tile.rest, *(v * n for v in tile.vectors for n in lanes)}
    return tuple(sorted({size + d for size in sizes for d in (-1, 0, 1)} - {0}))


PRIMES = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)


def shaped_network(rng: np.random.Generator, number: int, dtype: str = "") -> Network:
    """A network of widths where kernels change their ways; ``number`` walks everything else."""
    sizes = (*tile_sizes(), *PRIMES, 1)
    loss = list(LOSSES.values())[number % len(LOSSES)]
    activations = list(ACTIVATIONS.values())
    widths = [int(rng.choice(sizes)) for _ in range(int(rng.integers(2, 5)))]
    widths[-1] = max(widths[-1], 2 if loss.by_row else 1)
    return Network(
        widths,
        activation=[activations[(number + i) % len(activations)] for i in range(len(widths) - 2)],
        loss=loss,
        dropout=0.2 * (number % 3),
        dtype=dtype or DTYPES[number % 2],
    )


def random_problem(
    rng: np.random.Generator, network: Network, rows: int, weighted: bool
) -> tuple[list[Layer], tuple[Array, Array, Array | None]]:
    """Parameters with biases, and x, t and weight (or None) for as many rows."""
    params = [
        Layer(w, (0.3 * rng.standard_normal(b.shape)).astype(network.dtype))
        for w, b in network.init("glorot_normal", int(rng.integers(2**31)))
    ]
    x = rng.standard_normal((rows, network.inputs)).astype(network.dtype)
    t = targets(network.loss, rng, rows, network.outputs)
    weight = rng.uniform(0.5, 2, (rows, 1)) if weighted else None
    return params, (x, t, weight)


def check_program(
    rng: np.random.Generator, network: Network, execute: Executor | None = None
) -> list[Comparison]:
    """One step of a random network, forward and backward: products, sums and formulas."""
    rows = int(rng.choice((*tile_sizes(), *PRIMES)))
    params, (x, t, weight) = random_problem(rng, network, rows, True)
    assert weight is not None
    t = t if network.loss.by_row else t.astype(network.dtype)
    given = {"x": x, "t": t, "weight": weight.astype(network.dtype)}
    plan = gradient_plan(network, dropout=any(network.dropout), wrt_input=True)
    names = [getattr(node, "out", "") for node in plan.nodes]
    opened = tuple(n for n in names if n == "dx" or n.lstrip("d")[:1] in ("z", "y", "h"))
    what = f"{describe(network)} {network.dtype}, {rows} rows"
    lines = check_plan(what, plan, params, given, opened, execute)
    groups: dict[str, list[Comparison]] = {}
    for line in lines:
        groups.setdefault(_group(line.what.rpartition(": ")[2]), []).append(line)
    return [
        dataclasses.replace(line, what=f"{what}: {group}")
        for group, line in zip(groups, _worst_of(groups), strict=True)
    ]


def _group(buffer: str) -> str:
    if buffer.startswith(("dw", "db")):
        return "sums over the batch"
    return "loss" if buffer == "loss" else "backward" if buffer.startswith("d") else "forward"


# training --------------------------------------------------------------------------------------


def trained(
    kind: Callable[..., Any],
    network: Network,
    params: Sequence[tuple[Array, Array]],
    data: tuple[Array, Array, Array | None],
    optimiser: Optimiser,
    *,
    batch: int,
    steps: int = STEPS,
    l2: float = 0.01,
    **keywords: Any,
) -> tuple[Any, list[float]]:
    """Parameters, and the loss of each epoch, after at least so many steps of a trainer."""
    trainer = kind(network, params, optimiser, 7, **keywords)
    rows = len(data[1])
    batches = -(-rows // batch)
    done, losses, rng = 0, [], np.random.default_rng(1)
    while done < steps:
        numbers = np.arange(done, done + batches, dtype=float)
        scalars, _ = step_scalars(optimiser, SCHEDULES["cosine"], 0.01, numbers, steps)
        order = rng.permutation(rows)
        l2s = np.full(batches, l2)
        losses.append(trainer.epoch(*data, order, batch, scalars, l2s, done))
        done += batches
    return trainer.params, losses


def compare_training(
    network: Network,
    params: Sequence[tuple[Array, Array]],
    data: tuple[Array, Array, Array | None],
    optimiser: Optimiser,
    *,
    batch: int,
    kind: Callable[..., Any] | None = None,
    **keywords: Any,
) -> Comparison:
    """Train with both executors; the worst parameter, or the losses of the epochs."""
    if kind is None:
        from ..run.llvm.runtime.engine import CompiledTrainer

        kind = CompiledTrainer
    got, got_losses = trained(kind, network, params, data, optimiser, batch=batch, **keywords)
    want, want_losses = trained(
        ArrayTrainer, network, params, data, optimiser, batch=batch, **keywords
    )
    rtol, atol = TRAINING[network.dtype]
    pairs = [("loss", np.array(got_losses), np.array(want_losses))]
    for number, (mine, theirs) in enumerate(zip(got, want, strict=True), 1):
        pairs += [(f"{n}{number}", a, b) for n, a, b in zip("wb", mine, theirs, strict=True)]
    found = [(name, worst_element(a, b, rtol, atol)) for name, a, b in pairs]
    name, worst = max(found, key=lambda pair: np.nan_to_num(pair[1].ratio, nan=np.inf))
    return Comparison(
        "kernel",
        f"{optimiser.name}{f' clipped at {optimiser.clip_norm:g}' if optimiser.clips else ''}: "
        f"{describe(network)} {network.dtype}, {len(data[1])} rows by {batch}",
        f"{ORACLE}, {STEPS} steps",
        worst.ratio,
        f"relative {rtol:g}, absolute {atol:g}",
        f"{name}{worst}",
    )


def check_training(
    rng: np.random.Generator,
    network: Network,
    optimiser: Optimiser,
    kind: Callable[..., Any] | None = None,
) -> Comparison:
    """Train a random network for 20 steps, in batches of an odd size, with both executors."""
    sizes = (*tile_sizes(), *PRIMES)
    rows, batch = int(rng.choice(sizes)) + 1, int(rng.choice(sizes))
    params, data = random_problem(rng, network, rows, bool(rng.integers(2)))
    return compare_training(network, params, data, optimiser, batch=batch, kind=kind)
