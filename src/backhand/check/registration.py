"""Formulas and layers of your own: each is checked, then its name is valid wherever one is chosen.

A name that is taken or cannot be written in a text such as ``"huber:delta=2"`` is refused, and so
is a formula that fails its check; the message shows where. What is refused leaves no trace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..engines import executor
from ..errors import BackhandError, InputError, first_line
from ..formulas.activations import ACTIVATIONS, Activation
from ..formulas.entry import Entry
from ..formulas.initialisers import INITIALISERS, Initialiser
from ..formulas.losses import LOSSES, QUANTILES, Loss
from ..formulas.optimisers import OPTIMISERS, Optimiser
from ..formulas.schedules import SCHEDULES, Schedule
from ..network import Network
from ..plan.description import DTYPES
from ..plan.layers import LAYERS, Layer, Linear
from ..run.namespaces import NUMPY
from .autodiff import slopes
from .compare import Comparison, compare
from .formulas import AWAY, activation_vjp, near_kink, points, targets
from .kernels import (
    check_activation_kernel,
    check_loss_kernel,
    check_program,
    check_training,
)
from .networks import random_case, verify

Array = Any
E = TypeVar("E", bound=Entry)


def register_activation(activation: Activation) -> Activation:
    """Add your own activation, once its derivative and its machine code are checked.

    Parameters
    ----------
    activation : Activation

    Returns
    -------
    Activation
        The same.

    Raises
    ------
    InputError
        If the name is taken, or the VJP does not match the slope of ``forward``: the message shows
        the worst point.
    """
    return _register(ACTIVATIONS, Activation, activation, _activation_faults)


def register_loss(loss: Loss) -> Loss:
    """Add your own loss, once its gradient is checked; as `register_activation`."""
    return _register(LOSSES, Loss, loss, _loss_faults)


def register_optimiser(optimiser: Optimiser) -> Optimiser:
    """Add your own optimiser, once its update rule is checked.

    The update must work element by element, keep shape and dtype, stay finite, and give in machine
    code what it gives in NumPy. Otherwise as `register_activation`.
    """
    return _register(OPTIMISERS, Optimiser, optimiser, _optimiser_faults)


def register_schedule(schedule: Schedule) -> Schedule:
    """Add your own schedule of the learning rate, once its factors are checked.

    They must be finite, at least 0, and one for each element of an array of steps. Otherwise as
    `register_activation`.
    """
    return _register(SCHEDULES, Schedule, schedule, _schedule_faults)


def register_initialiser(initialiser: Initialiser) -> Initialiser:
    """Add your own initialiser, once its scales are checked: finite and above 0.

    Otherwise as `register_activation`.
    """
    return _register(INITIALISERS, Initialiser, initialiser, _initialiser_faults)


def register_layer(example: Layer, inputs: int = 5) -> type[Layer]:
    """Add your own layer, once its backward pass and its machine code are checked.

    Parameters
    ----------
    example : Layer
        One of the layers that your class makes; its other fields may have any values later.
    inputs : int
        Columns of the rows on which this one is tried.

    Returns
    -------
    type
        The class, whose layers can now be read from files too.

    Raises
    ------
    InputError
        If the name of its kind is taken, its layers cannot be written to a file, or its backward
        pass does not match automatic differentiation of its forward pass, alone or between linear
        layers: the message shows the worst element.
    """
    made = type(example)
    if not isinstance(example, Layer):
        raise InputError(f"Layer expected, one of those that a class makes, got {example!r:.60}")
    kind: Any = getattr(made, "kind", None)
    _check_name("layer", kind)
    taken = InputError(f"layer {kind!r} is already there: choose another kind")
    if kind in LAYERS:
        raise taken
    _check_evaluates("layer", kind, lambda: next(_layer_faults(example, inputs), None))
    if LAYERS.setdefault(kind, made) is not made:  # another thread was faster
        raise taken
    return made


def _check_name(kind: str, name: Any) -> None:
    if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
        raise InputError(
            f"{kind} {name!r}: a name has letters, digits and underscores, and no digit first"
        )


def _check_evaluates(kind: str, name: str, find: Callable[[], str | None]) -> None:
    """Raise InputError with the fault that is found, or with what somebody's formula raises."""
    try:
        found = find()
    except BackhandError as error:
        raise InputError(f"{kind} {name!r}: {error}") from error
    except Exception as error:
        raise InputError(
            f"{kind} {name!r} cannot be evaluated: {type(error).__name__}: {first_line(error)}"
        ) from error
    if found is not None:
        raise InputError(f"{kind} {name!r}: {found}")


def _register(
    table: dict[str, E], kind: type[E], entry: E, faults: Callable[[E], Iterator[str]]
) -> E:
    if not isinstance(entry, kind):
        raise InputError(f"{kind.__name__} expected, got {entry!r}")
    name = entry.name
    _check_name(kind.kind, name)
    taken = InputError(f"{kind.kind} {name!r} is already there: choose another name")
    if name in table or (table is LOSSES and f"{name}:" == QUANTILES):
        raise taken
    try:
        parameters = dict(entry.parameters)
        _ = {name: (least, largest) for name, least, largest in entry.limits}
    except (TypeError, ValueError):
        raise InputError(
            f"{kind.kind} {name!r}: parameters must be pairs (name, value), and limits "
            "(name, least, largest)"
        ) from None
    entry.with_(**parameters)  # they are numbers within their limits
    _check_evaluates(kind.kind, name, lambda: next(faults(entry), None))
    if table.setdefault(name, entry) is not entry:  # another thread was faster
        raise taken
    return entry


def _unlike(lines: list[Comparison]) -> Iterator[str]:
    for line in lines:
        if not line.passed:
            yield f"machine code does not match NumPy: {line}"


# activations and losses -------------------------------------------------------------------------


def _activation_faults(activation: Activation) -> Iterator[str]:
    rng = np.random.default_rng(0)
    z = points(rng, activation.kinks)
    z = z[[all(abs(v - k) > 0.01 * max(1.0, abs(v)) for k in activation.kinks) for v in z]]
    dy = rng.standard_normal(z.shape)
    want = dy * slopes(lambda a: activation.forward(NUMPY, a, **activation.keywords), z)
    got = activation_vjp(activation, z, dy)
    yield from _wrong_slopes(f"{activation.name}: vjp", got, want, z)
    for dtype in DTYPES if executor().native else ():
        yield from _unlike(check_activation_kernel(activation, dtype))


def _loss_faults(loss: Loss) -> Iterator[str]:
    rng = np.random.default_rng(0)
    z = 3.0 * rng.standard_normal((60, 3))
    t = targets(loss, rng, *z.shape)
    kept = ~near_kink(loss, z, t, 10 * AWAY + 0.1).any(axis=1)
    z, t = z[kept], t[kept]
    got = loss.grad(NUMPY, z, t, **loss.keywords)
    want = np.empty_like(z)
    for k in range(z.shape[1]):  # one logit at a time: a row loss mixes the logits of a row
        rest = np.arange(z.shape[1]) != k

        def of_one(a: np.ndarray, k: int = k, rest: np.ndarray = rest) -> np.ndarray:
            value = loss.value(NUMPY, np.where(rest, z, a[:, None]), t, **loss.keywords)
            return np.asarray(value if loss.by_row else value[:, [k]])[:, 0]

        want[:, k] = slopes(of_one, z[:, k])
    yield from _wrong_slopes(f"{loss.name}: grad", got, want, z)
    mean = np.asarray(loss.inverse_link(NUMPY, z))
    if mean.shape != z.shape or mean.dtype.kind != "f":
        yield f"inverse_link gives {mean.dtype} {mean.shape} of logits {z.shape}"
    for dtype in DTYPES if executor().native else ():
        yield from _unlike(check_loss_kernel(loss, dtype))


def _wrong_slopes(what: str, got: Array, want: Array, z: Array) -> Iterator[str]:
    line = compare(
        "autodiff",
        what,
        "central differences",
        got,
        want,
        scale=1e4 * max(1.0, float(np.abs(want).max())),
        inputs=lambda index: f"z={float(z[index])!r}",
    )
    if not line.passed:
        yield f"the derivative does not match its function: {line}"


# optimisers -------------------------------------------------------------------------------------

RATE, STEPS = 0.01, 12


def _optimiser_faults(optimiser: Optimiser) -> Iterator[str]:
    yield from _scalar_faults(optimiser)
    for dtype in DTYPES:
        yield from _update_faults(optimiser, dtype)
    if executor().native:
        rng = np.random.default_rng(0)
        for dtype in DTYPES:
            network = Network((7, 19, 3), activation="tanh", loss="huber", dtype=dtype)
            yield from _unlike([check_training(rng, network, optimiser)])


def _scalar_faults(optimiser: Optimiser) -> Iterator[str]:
    steps = np.arange(1.0, STEPS + 1)
    together = optimiser.scalars(steps, RATE / steps, **optimiser.keywords)
    for name in dict(optimiser.weights_only):
        if name not in together:
            yield f"weights_only names {name!r}, which scalars does not give"
    for number, step in enumerate(steps):
        alone = optimiser.scalars(step, RATE / step, **optimiser.keywords)
        for name, value in together.items():
            one = np.broadcast_to(value, steps.shape)[number]
            if not np.isfinite(one):
                yield f"scalar {name!r} is {one} at step {int(step)}"
            if not np.isclose(one, alone[name], rtol=1e-12, atol=0):
                yield (
                    f"scalar {name!r} at step {int(step)} is {one} in an array of steps and "
                    f"{alone[name]} by itself"
                )


def _update_faults(optimiser: Optimiser, dtype: str) -> Iterator[str]:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 7)).astype(dtype)
    names = ("the parameter", *(f"state {name!r}" for name in optimiser.state))
    state = [np.zeros_like(w) for _ in optimiser.state]
    for step in range(1, STEPS + 1):
        g = (rng.standard_normal(w.shape) * 10.0 ** rng.integers(-6, 2, w.shape)).astype(dtype)
        scalars = optimiser.scalars(step, RATE, **optimiser.keywords)
        new = optimiser.update(NUMPY, w, g, *state, **scalars)
        if not isinstance(new, tuple) or len(new) != len(names):
            yield f"update must return a tuple of {len(names)}: {', '.join(names)}"
            return
        for name, a in zip(names, new, strict=True):
            if np.shape(a) != w.shape or a.dtype != dtype:
                yield (
                    f"update gives {name} shape {np.shape(a)} and dtype {np.asarray(a).dtype} "
                    f"in place of {w.shape} and {dtype}"
                )
                return
            if not np.isfinite(a).all():
                yield f"update gives {name} a value that is not finite at step {step} in {dtype}"
        # element by element: no other element may see that one has changed
        moved, changed = g.copy(), np.zeros(w.shape, bool)
        changed[2, 3], moved[2, 3] = True, 3.0 * g[2, 3] + 1.0
        other = optimiser.update(NUMPY, w, moved, *state, **scalars)
        for name, a, b in zip(names, new, other, strict=True):
            if not np.array_equal(a[~changed], b[~changed]):
                yield f"update does not work element by element: one gradient moves all of {name}"
        w, *state = new


# schedules and initialisers ---------------------------------------------------------------------


def _schedule_faults(schedule: Schedule) -> Iterator[str]:
    for total in (1, 2, 17, 1000):
        steps = np.arange(float(total))
        factors = schedule.factor(np, steps, total, **schedule.keywords)
        if np.shape(factors) != steps.shape:
            yield f"factor gives shape {np.shape(factors)} for steps of shape {steps.shape}"
            return
        wrong = ~(np.isfinite(factors) & (np.asarray(factors) >= 0))
        if wrong.any():
            at = int(np.argmax(wrong))
            yield (
                f"the factor at step {at} of {total} is {factors[at]}: a finite number of at "
                "least 0 is needed"
            )
        for part in (
            slice(0, 1),
            slice(total // 3, 2 * total // 3 + 1),
        ):  # an epoch has some of the steps
            alone = schedule.factor(np, steps[part], total, **schedule.keywords)
            if not np.allclose(alone, factors[part], rtol=1e-12, atol=1e-15):
                yield f"a factor depends on which other steps it is asked with, of {total} steps"


DISTRIBUTIONS = ("normal", "uniform", "orthogonal")


def _initialiser_faults(initialiser: Initialiser) -> Iterator[str]:
    if initialiser.distribution not in DISTRIBUTIONS:
        yield f"distribution must be one of {DISTRIBUTIONS}, got {initialiser.distribution!r}"
    for fans in ((1, 1), (784, 50), (50, 10), (1, 4096), (4096, 1)):
        scale = initialiser.scale(*fans, **initialiser.keywords)
        if not (np.ndim(scale) == 0 and 0 < float(scale) < math.inf):
            yield (
                f"scale(fan_in={fans[0]}, fan_out={fans[1]}) is {scale!r}: a finite number above "
                "0 is needed"
            )


# layers -----------------------------------------------------------------------------------------


def _layer_faults(example: Layer, inputs: int) -> Iterator[str]:
    if "__dataclass_fields__" not in vars(type(example)):
        yield "its class must be decorated with @dataclasses.dataclass(frozen=True)"
    hash(example)  # descriptions of networks are keys of what is known of them
    data = json.loads(json.dumps(example.to_dict()))
    again = type(example).from_dict({k: v for k, v in data.items() if k != "layer"})
    if again != example:
        yield f"{again!r:.80} comes back from a file in place of {example!r:.80}"
    rng = np.random.default_rng(0)
    first = Network([example, Linear(3)], inputs=inputs)
    before = [] if first.categories else [Linear(inputs)]  # categories stand in inputs only
    for layers in ([example, Linear(3)], [*before, example, Linear(3)]):
        for dtype in DTYPES[::-1]:
            network = Network(layers, inputs=inputs, loss="mean_squared_error", dtype=dtype)
            for training in (False, True):
                report = verify(network, *random_case(rng, network), training=training)
                for line in report:
                    if not line.passed:
                        yield f"the backward pass does not match the forward pass: {line}"
            if executor().native:
                yield from _unlike(check_program(rng, network))
