"""Checks of single formulas: against independent mathematics, and against autodiff."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..formulas import linear
from ..formulas.activations import Activation
from ..formulas.losses import Loss
from ..formulas.optimisers import Optimiser, l2_penalised, l2_penalty
from ..run.namespaces import NUMPY
from . import autodiff
from .compare import Comparison, compare
from .mathematics import ULPS, allowed, mathematics, sensitivity, slope
from .rounding import spacing

Array = Any

AWAY = 1e-4  # how far from a declared kink automatic differentiation is asked
FAR = (1e2, 1e4)


def points(rng: np.random.Generator, kinks: tuple[float, ...] = ()) -> Array:
    """Pre-activations to try: every size from 1e-6 to 1e4, both signs, away from kinks."""
    sizes = np.geomspace(1e-3, 30.0, 25) * rng.uniform(0.8, 1.25, 25)
    z = np.concatenate([sizes, -sizes, rng.standard_normal(30), FAR, np.negative(FAR)])
    z = np.concatenate([z, [1e-6, -1e-6]])
    for kink in kinks:
        z = z[np.abs(z - kink) > AWAY]
    return z


# activations ------------------------------------------------------------------------------------


def check_activation(activation: Activation, seed: int = 0) -> Iterator[Comparison]:
    """An activation and its VJP: against its definition, torch, and autodiff of itself."""
    rng = np.random.default_rng(seed)
    name, keywords = activation.name, activation.keywords
    if activation.definition:
        yield from _activation_by_definition(activation, rng)
    z = points(rng, activation.kinks)
    dy = rng.standard_normal(z.shape)
    for oracle, gradients in autodiff.available().items():

        def loss(xp: Any, a: Any) -> Any:
            return (activation.forward(xp, a, **keywords) * autodiff.as_tensor(dy, a)).sum()

        (want,) = gradients(loss, [z])
        got = activation_vjp(activation, z, dy)
        yield compare("autodiff", f"{name}_vjp", oracle, got, want, inputs=_at(z=z, dy=dy))
    if activation.torch and importlib.util.find_spec("torch"):
        yield from _activation_by_torch(activation, rng)


def activation_vjp(activation: Activation, z: Array, dy: Array) -> Array:
    """Run an activation's VJP with NumPy, with nothing but what it declares in ``saves``."""
    saved = {"z": z, "y": activation.forward(NUMPY, z, **activation.keywords)}
    kept = [saved[name] if name in activation.saves else None for name in ("z", "y")]
    return activation.vjp(NUMPY, *kept, dy, **activation.keywords)


def _activation_by_definition(
    activation: Activation, rng: np.random.Generator
) -> Iterator[Comparison]:
    name, parameters = activation.name, activation.keywords
    function = mathematics(activation.definition)
    for dtype in ("float64", "float32"):
        z = points(rng, activation.kinks).astype(dtype)
        dy = rng.standard_normal(z.shape).astype(dtype)
        y, dz = activation.forward(NUMPY, z, **parameters), activation_vjp(activation, z, dy)
        values = [sensitivity(function, {"z": v, **parameters}) for v in z.astype(float)]
        slopes = [_vjp_sensitivity(function, activation, v) for v in z.astype(float)]
        for label, got, found, factor, unit in (
            (name, y, values, np.ones_like(z), z),
            (f"{name}_vjp", dz, slopes, dy, dy),
        ):
            value, sensitivities = np.array(found).T
            want = value * factor
            bound = allowed(want, sensitivities * np.abs(factor), dtype)
            if activation.coarse:
                bound += ULPS * spacing(unit, dtype)
            yield compare(
                "oracle",
                f"{label} {dtype}",
                "mpmath",
                got,
                want,
                allowed=bound,
                dtype=dtype,
                inputs=_at(z=z, dy=dy),
            )


def _vjp_sensitivity(function: Any, activation: Activation, z: float) -> tuple[float, float]:
    """The slope at ``z``, and its sensitivity to what the VJP reads."""
    parameters = activation.keywords
    if activation.saves != ("y",):
        return sensitivity(slope(function), {"z": z, **parameters})
    value, size = sensitivity(slope(function), parameters, z=z)
    if value:  # a slope that is worked out from y moves by f'' / f' of what y is off by
        y, curvature = (float(f(z=z, **parameters)) for f in (function, slope(slope(function))))
        size += abs(y * curvature / value)
    return value, size


def _activation_by_torch(activation: Activation, rng: np.random.Generator) -> Iterator[Comparison]:
    """Here the kinks are in, when they are the function's own: torch's convention is ours."""
    import torch

    function = getattr(torch.nn.functional, activation.torch)
    z = np.concatenate([points(rng), [0.0]])
    if activation.torch == "softplus":
        z = z[z < 20]  # torch goes on as the identity there
    tensor = torch.tensor(z, requires_grad=True)
    y = function(tensor, *activation.keywords.values())
    dy = rng.standard_normal(z.shape)
    y.backward(torch.tensor(dy))
    got = activation.forward(NUMPY, z, **activation.keywords)
    oracle = f"torch {activation.torch}"
    want = y.detach().numpy()
    yield compare("oracle", activation.name, oracle, got, want, inputs=_at(z=z))
    got = activation_vjp(activation, z, dy)
    assert tensor.grad is not None
    want, label = tensor.grad.numpy(), f"{activation.name}_vjp"
    yield compare("oracle", label, oracle, got, want, inputs=_at(z=z, dy=dy))


# losses -----------------------------------------------------------------------------------------


def targets(loss: Loss, rng: np.random.Generator, rows: int, outputs: int) -> Array:
    """Random targets of the kind that a loss takes."""
    if loss.target == "class":
        return rng.integers(0, outputs, (rows, 1))
    if loss.target == "probability":
        return np.where(rng.random((rows, outputs)) < 0.5, rng.random((rows, outputs)), 1.0)
    if loss.target == "count":
        return rng.poisson(2.0, (rows, outputs)).astype(float)
    if loss.target == "positive":
        return rng.gamma(2.0, 1.0, (rows, outputs))
    return rng.standard_normal((rows, outputs))


def near_kink(loss: Loss, z: Array, t: Array, within: float) -> Array:
    """Which elements of the logits lie at a declared kink of the loss, (N, K) booleans."""
    near = np.zeros(z.shape, bool)
    for kink in loss.kinks(t, **loss.keywords):
        near |= np.abs(z - kink) <= within
    return near


def check_loss(loss: Loss, seed: int = 0) -> Iterator[Comparison]:
    """A loss and its gradient: against its definition, torch, and autodiff of itself."""
    rng = np.random.default_rng(seed)
    z = rng.permutation(np.resize(points(rng), 90)).reshape(-1, 3)
    t = targets(loss, rng, *z.shape)
    z = np.where(near_kink(loss, z, t, AWAY), z + 0.37, z)
    if loss.definition:
        yield from _loss_by_definition(loss, z, t)
    moderate = np.clip(z, -25, 25) + 0.01 * rng.standard_normal(z.shape)
    share = rng.random((len(z), 1))

    def total(xp: Any, a: Any) -> Any:
        targets = autodiff.as_tensor(t, a)
        return (loss.value(xp, a, targets, **loss.keywords) * autodiff.as_tensor(share, a)).sum()

    got = loss.grad(NUMPY, moderate, t, **loss.keywords) * share
    for oracle, gradients in autodiff.available().items():
        (want,) = gradients(total, [moderate])
        inputs = _at(z=moderate, t=np.broadcast_to(t, z.shape))
        label = f"{loss.name}_grad"
        yield compare("autodiff", label, oracle, got, want, inputs=inputs)
    if loss.torch and importlib.util.find_spec("torch"):
        yield _loss_by_torch(loss, moderate, t)


def _loss_by_definition(loss: Loss, z: Array, t: Array) -> Iterator[Comparison]:
    function, parameters = mathematics(loss.definition), loss.keywords
    for dtype in ("float64", "float32"):
        z = z.astype(dtype)
        t = t if loss.by_row else t.astype(dtype)
        if loss.by_row:
            cases: list[Any] = [(row.tolist(), int(c)) for row, c in zip(z, t[:, 0], strict=True)]
            # these z and t, since the loop goes on
            inputs: Any = lambda i, z=z, t=t: f"z={z[i[0]]}, t={t[i[0]]}"  # noqa: E731  # as `_at` gives
        else:
            cases = list(zip(z.ravel().tolist(), t.ravel().tolist(), strict=True))
            inputs = _at(z=z, t=t)
        # of a value: targets are taken as exact, as labels are
        values = [sensitivity(function, {"z": a, **parameters}, t=b) for a, b in cases]
        slopes = [s for a, b in cases for s in _loss_slopes(function, loss, a, b)]
        ours = {
            loss.name: (loss.value(NUMPY, z, t, **parameters), values),
            f"{loss.name}_grad": (loss.grad(NUMPY, z, t, **parameters), slopes),
        }
        for label, (got, found) in ours.items():
            want, sensitivities = (np.array(a).reshape(got.shape) for a in zip(*found, strict=True))
            yield compare(
                "oracle",
                f"{label} {dtype}",
                "mpmath",
                got,
                want,
                allowed=allowed(want, sensitivities, dtype),
                dtype=dtype,
                inputs=inputs,
            )


def _loss_slopes(
    function: Callable[..., Any], loss: Loss, z: Any, t: Any
) -> Iterator[tuple[float, float]]:
    """The derivative by each logit of a case, and its sensitivity.

    A gradient is a prediction less a target, so that the target counts as an input that has been
    rounded. That of a class is 1.
    """
    parameters = loss.keywords
    if not loss.by_row:
        yield sensitivity(slope(function), {"z": z, "t": t, **parameters})
        return
    for column in range(len(z)):
        value, size = sensitivity(slope(function, column), {"z": z, **parameters}, t=t)
        yield value, size + 1.0


def _loss_by_torch(loss: Loss, z: Array, t: Array) -> Comparison:
    import torch

    function = getattr(torch.nn.functional, loss.torch)
    target = torch.tensor(t[:, 0] if loss.by_row else t)
    want = function(torch.tensor(z), target, reduction="none", **loss.keywords).numpy()
    got = loss.value(NUMPY, z, t, **loss.keywords)
    got = got[:, 0] if loss.by_row else got
    return compare("oracle", loss.name, f"torch {loss.torch}", got, want)


# the linear layer, optimisers -------------------------------------------------------------------


def check_linear(seed: int = 0) -> Iterator[Comparison]:
    """The identities of the linear layer against autodiff of its forward line."""
    rng = np.random.default_rng(seed)
    x, w, b = rng.standard_normal((7, 5)), rng.standard_normal((5, 3)), rng.standard_normal(3)
    dz = rng.standard_normal((7, 3))

    def loss(xp: Any, *operands: Any) -> Any:
        return (linear.linear(*operands) * autodiff.as_tensor(dz, operands[0])).sum()

    got = (linear.linear_vjp_input(w, dz), *linear.linear_vjp_weights(x, dz))
    for oracle, gradients in autodiff.available().items():
        for name, a, want in zip(("dx", "dw", "db"), got, gradients(loss, [x, w, b]), strict=True):
            yield compare("autodiff", f"linear {name}", oracle, a, want)

    def penalty(xp: Any, a: Any) -> Any:
        return l2_penalty(xp, a, 0.3).sum()

    for oracle, gradients in autodiff.available().items():
        (want,) = gradients(penalty, [w])
        got = l2_penalised(NUMPY, w, 0.0 * w, 0.3)
        yield compare("autodiff", "l2_penalised", oracle, got, want)


def check_optimiser(optimiser: Optimiser, steps: int = 20, seed: int = 0) -> Iterator[Comparison]:
    """An optimiser against the class of torch.optim with the same rule, over some steps."""
    if not (optimiser.torch and importlib.util.find_spec("torch")):
        return
    import torch

    rng = np.random.default_rng(seed)
    w = rng.standard_normal((4, 3))
    state = [np.zeros_like(w) for _ in optimiser.state]
    parameter = torch.nn.Parameter(torch.tensor(w))
    peer = getattr(torch.optim, optimiser.torch)([parameter], lr=0.05, **_torch_keywords(optimiser))
    for step in range(1, steps + 1):
        # gradients of very different sizes: this is where conventions on epsilon part
        g = rng.standard_normal(w.shape) * 10.0 ** rng.integers(-9, 1, w.shape)
        scalars = optimiser.scalars(step, 0.05, **optimiser.keywords)
        w, *state = optimiser.update(NUMPY, w, g, *state, **scalars)
        parameter.grad = torch.tensor(g)
        peer.step()
    want = parameter.detach().numpy()
    oracle = f"torch {optimiser.torch}"
    yield compare("oracle", f"{optimiser.name}, {steps} steps", oracle, w, want)


def _torch_keywords(optimiser: Optimiser) -> dict[str, Any]:
    """Our parameters under torch's names."""
    ours: dict[str, Any] = dict(optimiser.keywords)
    if "beta1" in ours:
        ours["betas"] = (ours.pop("beta1"), ours.pop("beta2"))
        ours["eps"] = ours.pop("epsilon")
    return {**ours, "nesterov": True} if optimiser.name == "nesterov" else ours


def _at(**arrays: Array) -> Callable[[tuple[int, ...]], str]:
    return lambda index: ", ".join(f"{k}={float(a[index])!r}" for k, a in arrays.items())
