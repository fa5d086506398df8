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
from ..network import Network, Params
from ..plan.description import DTYPES
from ..plan.scalars import step_scalars
from ..plan.step import Plan, gradient_plan, propagation_plan, training_plan
from ..plan.wiring import Result
from ..run.array_executor import ArrayTrainer
from ..run.arrays import perform, values_of
from ..testing import worst_element
from .compare import Comparison, compare, worst_of
from .formulas import points, targets
from .networks import describe, random_inputs, random_network, random_parameters
from .rounding import Rounded, Rounding

Array = Any
Executor = Callable[..., dict[str, Array]]

ORACLE = "NumPy executor"
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
        How many chains, and as many random networks of layers, are taken apart node by node; and
        how many chains are trained for 20 steps, with every optimiser in turn.

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
        dtype = DTYPES[number % 2]
        yield from check_program(rng, random_network(rng, 2 * number + 1, dtype))  # of layers
    for number in range(max(programs, 2 * len(OPTIMISERS))):
        optimiser = list(OPTIMISERS.values())[number // 2 % len(OPTIMISERS)]
        yield check_training(rng, shaped_network(rng, number), optimiser)
    for number in range(len(CLIPPED)):
        limited = clipping(OPTIMISERS[CLIPPED[number]], CLIP_NORM)
        yield check_training(rng, shaped_network(rng, number), limited)


# one plan, node by node ------------------------------------------------------------------------


def rounding(dtype: str) -> Rounding:
    """The namespace that bounds what the compiled executor's kernels may differ by."""
    from ..expr.functions import TABLE

    single = dtype == "float32"
    return Rounding(dtype, {f.name: f.bound32 if single else f.bound64 for f in TABLE.values()})


def check_plan(
    what: str,
    plan: Plan,
    params: Params,
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
    params : mapping of str to array
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
    got = execute(plan, params, dict(given), outputs)
    opened = {*outputs, *(gradient.name for _, gradient in plan.gradients)}
    opened.update([] if plan.loss is None else [plan.loss.name])
    xp = rounding(plan.description.dtype)
    at: dict[str, Any] = {"seed": 0, "step": 0}
    for name, a in {**given, **params}.items():
        at[name] = Rounded(xp, a) if a.dtype.kind == "f" else a
    values, lines = values_of(plan, at, xp), []
    with np.errstate(all="ignore"):
        for node in plan.nodes:
            perform(node, values)
            for out in node.writes:
                if out.name in opened:
                    a = got[out.name]
                    lines.append(within(f"{what}: {out.name}", xp, a, values[out]))
                    values[out] = Rounded(xp, a)
    return lines


def within(what: str, xp: Rounding, got: Array, want: Rounded) -> Comparison:
    """Compare a kernel's result with NumPy's and its bound."""
    return compare("kernel", what, ORACLE, got, want.value, allowed=want.error, dtype=str(xp.dtype))


# formulas at their points ----------------------------------------------------------------------


def identity_parameters(network: Network) -> Params:
    """Those of linear layers that hand their inputs on: ``z = x @ 1 + 0`` is exact."""
    return {
        name: np.eye(*shape, dtype=network.dtype)
        if len(shape) == 2
        else np.zeros(shape, network.dtype)
        for name, shape in network.shapes.items()
    }


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
    plan, params = propagation_plan(network), identity_parameters(network)
    assert plan.dlogits is not None
    given = {"x": x, plan.dlogits.name: rng.standard_normal(x.shape).astype(dtype)}
    opened = _of_layers(plan, plan.results[:2])
    lines = check_plan(f"{activation.name} {dtype}", plan, params, given, opened, execute)
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
        plan, params = gradient_plan(network), identity_parameters(network)
        opened = _of_layers(plan, plan.results)
        run = functools.partial(
            check_plan, plan=plan, params=params, outputs=opened, execute=execute
        )
        rows = [slice(i, i + 1) for i in range(min(len(x), 6))]  # alone, a row's value is the loss
        for part in (slice(None), *rows):
            given = {"x": x[part], "t": t[part], "weight": weight[part]}
            for line in run(f"{width} outputs", given=given):
                kind = loss.name if line.what.endswith("loss") else f"{loss.name}_grad"
                lines.setdefault(f"{kind} {dtype}", []).append(line)
    return _worst_of(lines)


def _of_layers(plan: Plan, results: Sequence[Result]) -> tuple[str, ...]:
    """The labels of what layers give, and of the gradients there."""
    found = [buffer for result in results for buffer in result.buffers]
    found += [] if plan.dx is None else [plan.dx]
    return tuple(dict.fromkeys(buffer.name for buffer in found))


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
    from ..expr.functions import TABLE

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
) -> tuple[Params, tuple[Array, Array, Array | None]]:
    """Parameters with biases, and x, t and weight (or None) for as many rows."""
    params, x = random_parameters(rng, network), random_inputs(rng, network, rows)
    t = targets(network.loss, rng, rows, network.outputs)
    return params, (x, t, rng.uniform(0.5, 2, (rows, 1)) if weighted else None)


def check_program(
    rng: np.random.Generator, network: Network, execute: Executor | None = None
) -> list[Comparison]:
    """One step of a random network, forward and backward: products, sums and formulas."""
    rows = int(rng.choice((*tile_sizes(), *PRIMES)))
    params, (x, t, weight) = random_problem(rng, network, rows, True)
    assert weight is not None
    t = t if network.loss.by_row else t.astype(network.dtype)
    given = {"x": x, "t": t, "weight": weight.astype(network.dtype)}
    plan = gradient_plan(network, dropout=True, wrt_input=True)
    what = f"{describe(network)} {network.dtype}, {rows} rows"
    lines = check_plan(what, plan, params, given, _of_layers(plan, plan.results), execute)
    part_of = _parts(plan)
    groups: dict[str, list[Comparison]] = {}
    for line in lines:
        groups.setdefault(part_of[line.what.rpartition(": ")[2]], []).append(line)
    return [
        dataclasses.replace(line, what=f"{what}: {group}")
        for group, line in zip(groups, _worst_of(groups), strict=True)
    ]


def _parts(plan: Plan) -> dict[str, str]:
    """For the label of each buffer of a step, the part of the step that it belongs to."""
    part, parts = "forward", {}
    sums = {gradient for _, gradient in plan.gradients}
    for node in plan.nodes:
        for out in node.writes:
            parts[out.name] = "sums over the batch" if out in sums else part
            if out == plan.loss:
                parts[out.name], part = "loss", "backward"
    return parts


# training --------------------------------------------------------------------------------------


def trained(
    kind: Callable[..., Any],
    network: Network,
    params: Params,
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
    plan, schedule = training_plan(network, optimiser), SCHEDULES["cosine"]
    rows = len(data[1])
    batches = -(-rows // batch)
    done, losses, rng = 0, [], np.random.default_rng(1)
    while done < steps:
        numbers = np.arange(done, done + batches, dtype=float)
        rates = 0.01 * schedule.factor(np, numbers, steps, **schedule.keywords)
        scalars = step_scalars(plan, optimiser, numbers, rates, l2=l2)
        order = rng.permutation(rows)
        losses.append(trainer.epoch(*data, order, batch, scalars, done))
        done += batches
    return trainer.params, losses


def compare_training(
    network: Network,
    params: Params,
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
    pairs += [(name, got[name], a) for name, a in want.items()]
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
