"""Automatic differentiation of our own forward formulas: the oracles for derivatives.

``gradients(function, arrays)`` takes a scalar ``function(xp, *arrays)`` and gives its gradient by
each array, in float64. autograd is the light one, PyTorch the second; central differences need
nothing, and serve where there is one number to differentiate by for each element.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..run.namespaces import NumpyNamespace, TorchNamespace

Array = Any
Function = Callable[..., Any]
Gradients = Callable[[Function, Sequence[Array]], list[Array]]


def by_autograd(function: Function, arrays: Sequence[Array]) -> list[Array]:
    """Gradients by HIPS autograd."""
    import autograd
    import autograd.numpy
    import autograd.scipy.special

    xp: Any = NumpyNamespace(autograd.numpy, autograd.scipy.special.erf)
    choose = xp.where

    def where(condition: Array, a: Array, b: Array) -> Array:
        # autograd's own does not add up what goes back to an argument that it has broadcast
        ones = np.ones(np.broadcast_shapes(np.shape(condition), np.shape(a), np.shape(b)))
        return choose(condition, a * ones, b * ones)

    xp.where = where
    gradient = autograd.grad(lambda *a: function(xp, *a), tuple(range(len(arrays))))
    with np.errstate(all="ignore"):  # its own derivative of tanh overflows on the way to 0
        return [np.asarray(g) for g in gradient(*(np.asarray(a, np.float64) for a in arrays))]


def by_torch(function: Function, arrays: Sequence[Array]) -> list[Array]:
    """Gradients by PyTorch's autograd."""
    import torch

    tensors = [torch.tensor(np.asarray(a), dtype=torch.float64) for a in arrays]
    for tensor in tensors:
        tensor.requires_grad_()
    function(TorchNamespace(), *tensors).backward()
    return [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in tensors]


def available() -> dict[str, Gradients]:
    """The oracles by name: autograd, and PyTorch where it is installed."""
    oracles: dict[str, Gradients] = {"autograd": by_autograd}
    if importlib.util.find_spec("torch") is not None:
        oracles["torch"] = by_torch
    return oracles


def slopes(function: Callable[[Array], Array], z: Array, step: float = 1e-3) -> Array:
    """Derivative of an element-by-element function, by central differences of sixth order.

    With step h the truncation error is about h**6 / 140 times the seventh derivative, below 1e-19
    for h = 1e-3; the rounding error is about 2 * eps / h = 4e-13 times the function's size.
    """
    h = step * np.maximum(1.0, np.abs(z))
    ahead, weights = (1, 2, 3), (45.0, -9.0, 1.0)
    terms = [
        w * (function(z + k * h) - function(z - k * h)) for k, w in zip(ahead, weights, strict=True)
    ]
    return sum(terms) / (60.0 * h)


def as_tensor(a: Any, like: Any) -> Any:
    """``a`` as a tensor if ``like`` is one: constants beside what PyTorch differentiates."""
    if hasattr(like, "requires_grad"):
        import torch

        array = np.asarray(a)
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    return a
