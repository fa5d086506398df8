"""The array executor: walks the plan with an array namespace, one node after another.

With NumPy it is the reference that a person can step through with a debugger. With PyTorch or
autograd the same lines give automatic differentiation something to differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas import noise, optimisers
from ..plan.description import Description
from ..plan.nodes import (
    Clip,
    ColumnSum,
    Gather,
    Map,
    Matmul,
    Node,
    Noise,
    NormaliseWeights,
    ScaleRows,
    Update,
)
from ..plan.ranges import as_numbers, check_range
from ..plan.step import Plan, logits, training_plan
from .executor import Executor, Params, Trainer
from .namespaces import NUMPY, check_rows, is_sparse, is_tensor, namespace_of, stored_rows

Array = Any
Buffers = dict[str, Any]


def walk(plan: Plan, buffers: Mapping[str, Array], xp: Any = NUMPY) -> Buffers:
    """Run a plan.

    Parameters
    ----------
    plan : Plan
        The nodes to run.
    buffers : mapping of str to array
        What the plan reads: parameters ``w1``, ``b1``, ..., inputs ``x`` (N, D), targets ``t``,
        ``weight`` (N, 1); for dropout ``seed`` and ``step``; for a training step more, see
        `ArrayTrainer`.
    xp : namespace
        What the formulas run with.

    Returns
    -------
    dict of str to array
        All buffers, those that were given included.
    """
    all_buffers = dict(buffers)
    for node in plan.nodes:
        perform(node, all_buffers, xp)
    return all_buffers


def perform(node: Node, at: Buffers, xp: Any) -> None:
    """Do what one node says, in place in the buffers ``at``."""
    match node:
        case Matmul():
            left = at[node.left].T if node.left_transposed else at[node.left]
            right = at[node.right].T if node.right_transposed else at[node.right]
            product = left @ right
            at[node.out] = product if node.bias is None else product + at[node.bias]
        case Map():
            node.apply(xp, at)
        case ColumnSum():
            at[node.out] = at[node.source].sum(0)
        case NormaliseWeights():
            at[node.out] = node.formula(at[node.weight], node.outputs)
        case ScaleRows():
            at[node.out] = node.formula(at[node.source], at[node.share])
        case Gather():
            rows = at[node.source][at["order"]]
            at[node.out] = xp.cast(rows, node.dtype) if node.dtype else rows
        case Noise():
            at[node.out] = _words(xp, node.layer, at)
        case Clip():
            _clip(xp, node, at)
        case Update():
            w, g, *state = (at[name] for name in (node.parameter, node.gradient, *node.state))
            given = {"scalars": at["scalars"], "l2": at["l2"], "clip": at.get("clip")}
            new = node.apply(xp, w, g, *state, **given)
            at.update(zip((node.parameter, *node.state), new, strict=True))


def _words(xp: Any, layer: int, at: Buffers) -> Array:
    """The noise of a layer: one word for each unit of each row, (N, width)."""
    y = at[f"y{layer}"]
    seed, step, number = (xp.words(v, like=y) for v in (at["seed"], at["step"], layer))
    row = xp.words(np.arange(y.shape[0])[:, None], like=y)
    column = xp.words(np.arange(y.shape[1]), like=y)
    key = noise.row_key(xp, noise.layer_key(xp, seed, step, number), row)
    return noise.noise(xp, key, column)


def _clip(xp: Any, node: Clip, at: Buffers) -> None:
    squares = 0.0
    for gradient, parameter in node.gradients:
        if parameter is not None:
            at[gradient] = optimisers.l2_penalised(xp, at[parameter], at[gradient], at["l2"])
        squares += float((np.asarray(at[gradient], np.float64) ** 2).sum())
    at[node.out] = float(optimisers.clip_factor(xp, np.float64(squares), at["clip_norm"]))


def parameter_buffers(params: Sequence[tuple[Array, Array]]) -> Buffers:
    """Parameters of layers 1, 2, ... as named buffers."""
    named: Buffers = {}
    for layer, (w, b) in enumerate(params, 1):
        named[f"w{layer}"], named[f"b{layer}"] = w, b
    return named


def first_lost(plan: Plan, buffers: Mapping[str, Array]) -> str:
    """Find the first value of a training step that is not finite, in the order of computation.

    Parameters
    ----------
    plan : Plan
        Of a training step.
    buffers : mapping of str to array
        What its forward pass and loss read; see `walk`.

    Returns
    -------
    str
        Such as ``"layer 2 (outputs)"``.
    """
    at, last = dict(buffers), len(plan.description.shapes)
    for layer in range(last, 0, -1):  # as the step before has updated them
        if not (_finite(at[f"w{layer}"]) and _finite(at[f"b{layer}"])):
            return f"layer {layer} (parameters)"
    with np.errstate(all="ignore"):
        for node in plan.nodes:
            perform(node, at, NUMPY)
            name = getattr(node, "out", "")
            if name == "x" and not _finite(at[name]):
                return f"the inputs as {plan.description.dtype}"
            if name == logits(plan.description) and not _finite(at[name]):
                return f"layer {last} (the logits)"
            if name[0] in "zyh" and not _finite(at[name]):
                return f"layer {name[1:]} ({'pre-activations' if name[0] == 'z' else 'outputs'})"
            if name == "loss":
                break
    return f"layer {last} (the loss of its logits)"


def _finite(a: Array) -> bool:
    return bool(np.isfinite(a.data if is_sparse(a) else a).all())


class ArrayTrainer:
    """Trains with NumPy: parameters and optimiser state, and a method that runs an epoch.

    Parameters
    ----------
    description : Description
        The network.
    params : sequence of (w, b)
        Where training starts; they are copied.
    optimiser : Optimiser
        The update rule.
    seed : int
        Of the dropout noise, 0 to 2**32 - 1.
    threads : int, optional
        Has no effect: how many threads a product of NumPy uses is settled by its BLAS library.
    """

    def __init__(
        self,
        description: Description,
        params: Sequence[tuple[Array, Array]],
        optimiser: optimisers.Optimiser,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.description = description
        self.plan = training_plan(description, optimiser)
        self._at: Buffers = {
            name: np.array(value, description.dtype)
            for name, value in parameter_buffers(description.checked_parameters(params)).items()
        }
        for name, value in list(self._at.items()):
            for kept in optimiser.state:
                self._at[f"{kept}_{name}"] = np.zeros_like(value)
        self._state = optimiser.state
        self._at["seed"], self._at["clip_norm"] = seed, optimiser.clip_norm
        self._keep = [*self._at]
        self.lost: tuple[Array, int] | None = None

    @property
    def params(self) -> tuple[tuple[Array, Array], ...]:
        """The parameters now: a copy, (w, b) for each layer."""
        return tuple(
            (self._at[f"w{layer}"].copy(), self._at[f"b{layer}"].copy())
            for layer in range(1, len(self.description.shapes) + 1)
        )

    @property
    def state(self) -> Buffers:
        """The optimiser's arrays by name, such as ``m_w1``, copies; assign them to go on there."""
        return {name: a.copy() for name, a in self._at.items() if self._is_state(name)}

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        mine = {name: a.shape for name, a in self._at.items() if self._is_state(name)}
        if mine != {name: a.shape for name, a in state.items()}:
            raise InputError("the state is that of another network or optimiser")
        for name, value in state.items():
            self._at[name] = np.array(value, self.description.dtype)

    def _is_state(self, name: str) -> bool:
        return any(name.startswith(f"{kept}_") for kept in self._state)

    def shuffled(self, rows: int, first_step: int) -> Array:
        """The numbers 0 .. rows - 1 in an order that depends on the seed and the epoch.

        Parameters
        ----------
        rows : int
            At most 2**32.
        first_step : int
            How many steps came before.
        """
        seed, step = self._at["seed"], first_step % 2**32
        key = noise.layer_key(NUMPY, *(NUMPY.words(value) for value in (seed, step, 0)))
        places = np.arange(rows - 1, 0, -1)
        picked = noise.pick(NUMPY, key, NUMPY.words(places), NUMPY.words(places + 1))
        order = list(range(rows))
        for here, there in zip(places.tolist(), picked.tolist(), strict=True):
            order[here], order[there] = order[there], order[here]
        return np.array(order, np.int64)

    def epoch(
        self,
        x: Array,
        t: Array,
        weight: Array | None,
        order: Array,
        batch: int,
        scalars: Mapping[str, Any],
        l2: Array,
        first_step: int,
    ) -> float:
        """Run the batches of one epoch; return the mean loss over its rows, by weight.

        A batch whose loss is not finite ends it before the update: ``lost`` are then its rows and
        the number of its step, else None, and what is returned is not finite.

        Parameters
        ----------
        x, t, weight : array
            All rows, (rows, D), (rows, K) or (rows, 1), and (rows, 1) or None; x may be in CSR
            format, in order and without duplicates. A batch whose weights are all zero is passed
            over.
        order : (rows used,) int64
            Which rows, in which order.
        batch : int
            Rows of a batch; the last one may be smaller.
        scalars : mapping of str to array of float64, one element a step, or number
            The optimiser's.
        l2 : array of float64, one element a step
            The factor of the L2 penalty.
        first_step : int
            How many steps came before, for the noise.
        """
        description, self.lost = self.description, None
        if is_sparse(x):
            x = stored_rows(x)  # a look at its indices, which SciPy follows wherever they point
        counts = {"x": x.shape[0], "t": len(t)}
        check_rows(counts if weight is None else {**counts, "weight": len(weight)}, order)
        if weight is None:
            weight = np.broadcast_to(np.ones((), description.dtype), (x.shape[0], 1))
        loss_sum = weight_sum = 0.0
        for number, first in enumerate(range(0, len(order), batch)):
            rows = order[first : first + batch]
            if not weight[rows].any():  # no row counts: there is no mean to take, and no step
                continue
            at = {name: self._at[name] for name in self._keep}
            at.update(all_x=x, all_t=t, all_weight=weight, order=rows)
            at["step"] = (first_step + number) % 2**32
            at["scalars"] = {k: float(v[number] if np.ndim(v) else v) for k, v in scalars.items()}
            at["l2"] = float(l2[number])
            at = walk(self.plan, at)
            if not np.isfinite(at["loss"]):
                self.lost = rows, at["step"]
                return float(at["loss"])
            self._at = {name: at[name] for name in self._keep}  # at once, for Ctrl-C
            counted = float(at["weight"].sum())
            loss_sum += float(at["loss"]) * counted
            weight_sum += counted
        return loss_sum / weight_sum


def as_real(a: Array, dtype: str, name: str) -> Array:
    """Numbers in a network's dtype. Raises InputError for what is none, or beyond it."""
    if is_tensor(a):
        check_range(a.detach().cpu().numpy(), dtype, name)
        return namespace_of(a).cast(a, dtype)
    a = stored_rows(a) if is_sparse(a) else as_numbers(a, name)
    check_range(a, dtype, name)
    return a.astype(dtype, copy=False)


class ArrayExecutor:
    """Runs plans with NumPy, or with PyTorch where x is a tensor; see `Executor`."""

    native = False

    def check_available(self) -> None:
        """It always is."""

    def reads(self, x: Array) -> bool:
        return True

    def run(
        self,
        plan: Plan,
        params: Params,
        given: Mapping[str, Array],
        outputs: tuple[str, ...] = (),
    ) -> dict[str, Array]:
        x = as_real(given["x"], plan.description.dtype, "x")
        plan.description.check_x(x)
        return walk(plan, {**given, "x": x, **parameter_buffers(params)}, namespace_of(x))

    def trainer(
        self,
        description: Description,
        params: Params,
        optimiser: optimisers.Optimiser,
        seed: int = 0,
        threads: int | None = None,
    ) -> Trainer:
        return ArrayTrainer(description, params, optimiser, seed, threads)

    def parameter_copy(self, a: Array) -> Array:
        return np.array(a)

    def predictor(
        self,
        description: Description,
        params: Params,
        threads: int | None = None,
        in_place: bool = False,
    ) -> Callable[[Array], Array] | None:
        return None


EXECUTOR: Executor = ArrayExecutor()
