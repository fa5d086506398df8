"""`Network`: the description of a network, with what one can do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .engines import default_engine, executor
from .errors import InputError
from .formulas.initialisers import Initialiser, choose_initialiser
from .passes import LayerArray, LayerStatistics
from .plan.description import Description
from .plan.nodes import Product
from .plan.ranges import as_numbers, usable_weight
from .plan.step import (
    Plan,
    forward_plan,
    gradient_plan,
    logits_gradient_plan,
    logits_loss_plan,
    propagation_plan,
)
from .plan.wiring import Result
from .run.array_executor import as_real
from .run.arrays import walk
from .run.blas import one_blas_thread
from .run.namespaces import is_sparse, is_tensor, namespace_of

Array = Any


Params = dict[str, Array]
"""Parameters, or their gradients, by name."""


class Network(Description):
    """A fully connected network: frozen, validated, and without parameters of its own.

    Parameters
    ----------
    layers : sequence of int, or of Layer
        Widths such as (784, 50, 10) are short for a chain: inputs, units of each hidden layer,
        outputs. Otherwise the layers of `backhand.layers`; the last one gives the logits.
    inputs : int, optional
        Columns of x, where ``layers`` are layers.
    activation : str, Activation, or a sequence of them
        Of a chain's hidden layers: one for all, or one for each.
    loss : str or Loss
        A function of the logits.
    dropout : float or sequence of float
        Share of each hidden layer's outputs that training drops: one for all, or one for each.
    dtype : {"float32", "float64"}
        Of parameters and arithmetic.

    Raises
    ------
    InputError
        If a value makes no sense; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((3, 5, 1), activation="relu", loss="mean_squared_error", dtype="float64")
    >>> params = net.init("kaiming_normal", seed=0)
    >>> x, t = np.ones((4, 3)), np.zeros((4, 1))
    >>> loss, grads = net.loss_and_grads(params, x, t)
    >>> grads["w1"].shape
    (3, 5)
    """

    def init(self, scheme: str | Initialiser, seed: int = 0, x: Array | None = None) -> Params:
        """Draw parameters.

        Parameters
        ----------
        scheme : str or Initialiser
            See `backhand.formulas.initialisers`: how the weights of linear layers are drawn. All
            other parameters begin as their layers say, biases at zero.
        seed : int
            The same seed gives the same parameters.
        x : array (N, inputs), optional
            A batch of real data, for the data-driven ``"lsuv"`` and ``"data_kinks"``.

        Returns
        -------
        dict of str to array
            Each parameter by its name, such as w1 (in, out) and b1 (out,), of the network's dtype.

        Raises
        ------
        InputError
            If the scheme is unknown, or needs data and has none.
        """
        initialiser = choose_initialiser(scheme)
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(f"seed must be a whole number, at least 0, got {seed!r}")
        rng = np.random.default_rng(seed)
        params = {}
        for parameter, (name, shape) in zip(self.parameters, self.shapes.items(), strict=True):
            if parameter.draw is None:
                a = _draw(rng, initialiser, *shape)
            else:
                a = np.broadcast_to(parameter.draw(rng, shape), shape)
            params[name] = a.astype(self.dtype)
        if not initialiser.data_driven:
            return params
        if x is None:
            raise InputError(f"initialiser {initialiser.name!r} needs a batch of data: pass x=")
        return self._scaled_on(params, x, initialiser.kinks, rng)

    def _scaled_on(self, params: Params, x: Array, kinks: int, rng: np.random.Generator) -> Params:
        """Scale each linear layer's weights, front to back, to a result of unit variance on x.

        Those of members and of embeddings stay as they are drawn. With ``kinks``, each unit is
        scaled by itself, and its bias puts its 0 among the rows.
        """
        x = self._inputs(x)
        plan, scaled = forward_plan(self), dict(params)
        for node in plan.nodes:
            if not isinstance(node, Product) or len(node.right.axes) != 2:
                continue
            given = dict(scaled)
            if node.bias is not None:
                given[node.bias.name] = np.zeros_like(scaled[node.bias.name])
            with one_blas_thread():  # so that the same seed gives the same bits
                z = walk(plan, {"x": x, **given})[node.out.name]
            z = z.reshape(-1, z.shape[-1]).astype(np.float64)
            spread = z.std(axis=0) if kinks else np.full(z.shape[1], z.std())
            # where all rows are alike it stays as drawn
            spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
            w = scaled[node.right.name]
            scaled[node.right.name] = (w / spread).astype(self.dtype)
            if kinks and node.bias is not None:
                at = rng.integers(0, len(z), (kinks, z.shape[1]))
                share = rng.exponential(size=at.shape)
                found = np.take_along_axis(z / spread, at, axis=0) * (share / share.sum(0))
                b = scaled[node.bias.name]
                scaled[node.bias.name] = np.broadcast_to(-found.sum(0), b.shape).astype(self.dtype)
        return scaled

    def forward(self, params: Mapping[str, Array], x: Array, engine: str | None = None) -> Array:
        """The logits.

        Parameters
        ----------
        params : mapping of str to array
            NumPy arrays or PyTorch tensors.
        x : array or sparse matrix (N, inputs)
            Converted to the network's dtype. Sparse rows stay so, in the array executor.
        engine : {"llvm", "numpy"}, optional
            Which executor; see `default_engine`. Tensors are always for the array executor.

        Returns
        -------
        array (N, outputs)

        Raises
        ------
        InputError
            If the shapes do not fit; the message names both.
        """
        plan = forward_plan(self)
        z = plan.logits.name
        return self._run(plan, self._parameters(params, x), {"x": x}, (z,), engine)[z]

    def predictor(
        self, params: Mapping[str, Array], threads: int | None = None
    ) -> Callable[[Array], Array]:
        """A function from x (N, inputs) to logits (N, outputs), compiled, for many calls.

        Parameters
        ----------
        params : mapping of str to array
            They are copied.
        threads : int, optional
            How many; by default as many as the rows are worth.

        Raises
        ------
        InputError
            If shapes do not fit.
        """
        engine = default_engine()
        params = self.checked_parameters(params)
        predict = executor(engine).predictor(self, params, threads)
        if predict is not None:
            return predict
        params = {name: a.copy() for name, a in params.items()}
        return lambda x: self.forward(params, x, engine)

    def predict(self, params: Mapping[str, Array], x: Array) -> Array:
        """The expected target, (N, outputs): probabilities, rates, or the logits themselves.

        Of an ensemble within the network, the mean of what its members predict.
        """
        return self.expected(self.forward(params, x))

    def expected(self, z: Array) -> Array:
        """What logits z (N, outputs) of any dtype mean, as `predict` gives it."""
        predicted = self.loss.inverse_link(namespace_of(z), z)
        return predicted if self.members is None else predicted.mean(1)

    def batch_loss(
        self,
        params: Mapping[str, Array],
        x: Array,
        t: Array,
        sample_weight: Array | None = None,
        engine: str | None = None,
    ) -> Any:
        """The loss of a batch; parameters and errors as `loss_and_grads`."""
        return self.loss_at(self.forward(params, x, engine), t, sample_weight)

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is seen in the result
    def loss_at(self, z: Array, t: Array, sample_weight: Array | None = None) -> Any:
        """The loss of logits z (N, outputs), with targets and weights as `loss_and_grads`."""
        z = self._real(z if is_tensor(z) else as_numbers(z, "z"), "z")
        plan = logits_loss_plan(self)
        if tuple(z.shape[1:]) != plan.logits.axes[1:]:
            raise InputError(f"z has shape {tuple(z.shape)}: logits are {plan.logits.shape_text}")
        given = self._given(z, t, sample_weight)
        loss = walk(plan, {plan.logits.name: z, **given}, namespace_of(z))["loss"]
        return loss if is_tensor(loss) else float(loss)

    def loss_and_grads(
        self,
        params: Mapping[str, Array],
        x: Array,
        t: Array,
        sample_weight: Array | None = None,
        wrt_input: bool = False,
        engine: str | None = None,
    ) -> Any:
        """The loss of a batch and its gradients, by the hand-written derivatives.

        Parameters
        ----------
        params : mapping of str to array
            NumPy arrays or PyTorch tensors.
        x : array or sparse matrix (N, inputs)
            Converted to the network's dtype. Sparse rows stay so, in the array executor.
        t : array
            Targets: (N, outputs), or (N,) if there is one output; class indices (N,) for a loss
            that takes classes.
        sample_weight : array (N,), optional
            Weight of each row, at least 0. The loss is the mean by weight.
        wrt_input : bool
            Whether the gradient at the input is wanted too.
        engine : {"llvm", "numpy"}, optional
            Which executor; see `default_engine`. Tensors are always for the array executor.

        Returns
        -------
        loss : float, or a scalar tensor
        grads : dict of str to array
            The gradient of each parameter by the parameter's name.
        dx : array (N, inputs)
            Only if ``wrt_input``.

        Raises
        ------
        InputError
            If shapes do not fit or targets are not what the loss takes.
        """
        params = self._parameters(params, x)
        given = self._enter(x, t, sample_weight)
        plan = gradient_plan(self, wrt_input=wrt_input)
        dx = () if plan.dx is None else (plan.dx.name,)
        at = self._run(plan, params, given, dx, engine)
        grads = {parameter.name: at[gradient.name] for parameter, gradient in plan.gradients}
        loss = at["loss"] if is_tensor(at["loss"]) else float(at["loss"])
        return (loss, grads, at[dx[0]]) if dx else (loss, grads)

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is seen in the result
    def statistics(
        self,
        params: Mapping[str, Array],
        x: Array,
        t: Array | None = None,
        engine: str | None = None,
    ) -> list[LayerStatistics]:
        """What happens to data on the way through, and to gradients on the way back.

        Parameters
        ----------
        params : mapping of str to array
            NumPy arrays.
        x : array (N, inputs)
            A batch of data.
        t : array, optional
            Targets; gradients are then those of the loss. Without them, the gradient at the
            logits is unit-normal noise (seed 0), which shows what the layers make of its scale.
        engine : {"llvm", "numpy"}, optional
            Which executor; see `default_engine`.

        Returns
        -------
        list of LayerStatistics
            Forward from the inputs to the logits, then backward from the logits to the inputs.

        Raises
        ------
        InputError
            If shapes do not fit, or there are no rows.
        """
        return [one.statistics for one in self.passes(params, x, t, engine)]

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is seen in the result
    def passes(
        self,
        params: Mapping[str, Array],
        x: Array,
        t: Array | None = None,
        engine: str | None = None,
    ) -> list[LayerArray]:
        """The arrays that `statistics` describes, in that order; parameters and errors as there."""
        if is_sparse(x):
            raise InputError("statistics describe every element of x: pass x.toarray()")
        params = self._parameters(params)
        given = self._enter(x, t)
        if len(given["x"]) == 0:
            raise InputError(f"x has shape {given['x'].shape}: statistics need at least one row")
        plan, z = propagation_plan(self), self.forward(params, given["x"], engine)
        assert plan.dlogits is not None
        top, dtop = plan.logits.name, plan.dlogits.name
        if t is None:
            dz = np.random.default_rng(0).standard_normal(z.shape).astype(self.dtype)
        else:
            dz = walk(logits_gradient_plan(self), {**given, top: z})[dtop]
        shown = [Result(0, "x", plan.x, plan.dx), *plan.results]
        names = [buffer.name for result in shown for buffer in result.buffers]
        wanted = tuple(dict.fromkeys(name for name in names if name not in ("x", dtop)))
        at = self._run(plan, params, {"x": given["x"], dtop: dz}, wanted, engine)
        at |= {"x": given["x"], dtop: dz}
        forward = [LayerArray(r.linear_index, r.letter, at[r.buffer.name]) for r in shown]
        backward = [
            LayerArray(r.linear_index, f"d{r.letter}", at[r.gradient.name])
            for r in reversed(shown)
            if r.gradient is not None
        ]
        return forward + backward

    def input_gradients(
        self, params: Mapping[str, Array], x: Array, dz: Array, engine: str | None = None
    ) -> Array:
        """The gradient at the inputs, dx (N, inputs), of what has a known gradient at the logits.

        That is dz (N, outputs). Other parameters, and errors, are those of `forward`.
        """
        plan, given = propagation_plan(self), self._enter(x)
        assert plan.dlogits is not None
        if plan.dx is None:
            return np.zeros(given["x"].shape, self.dtype)
        dz = self._real(as_numbers(dz, "dz"), "dz")
        if tuple(dz.shape) != (len(given["x"]), *plan.logits.axes[1:]):
            raise InputError(f"dz has shape {dz.shape}: it needs that of the logits")
        given[plan.dlogits.name], name = dz, plan.dx.name
        return self._run(plan, self._parameters(params), given, (name,), engine)[name]

    @np.errstate(over="ignore", invalid="ignore")  # as machine code does
    def _run(
        self,
        plan: Plan,
        params: Mapping[str, Array],
        given: dict[str, Array],
        outputs: tuple[str, ...] = (),
        engine: str | None = None,
    ) -> dict[str, Array]:
        """Run a plan on checked data with an executor."""
        return executor(engine, given["x"]).run(plan, params, given, outputs)

    def _real(self, a: Array, name: str) -> Array:
        """Numbers in the network's dtype. Raises InputError for what is none, or beyond it."""
        return as_real(a, self.dtype, name)

    def _inputs(self, x: Array) -> Array:
        """x (N, inputs) in the network's dtype, checked."""
        x = self._real(x, "x")
        self.check_x(x)
        if not is_tensor(x):
            self.check_categories(x)
        return x

    def _parameters(self, params: Any, x: Array = None) -> Any:
        """Parameters in the network's dtype, checked; tensors stay as they are, beside a tensor."""
        if not is_tensor(x):
            return self.checked_parameters(params)
        self.check_names(params)
        tensors = all(map(is_tensor, params.values()))
        if not tensors:
            raise InputError("x is a tensor, and parameters are no tensors: pass all of one kind")
        self.check_parameters(params)
        return params

    def _enter(
        self, x: Array, t: Array | None = None, weight: Array | None = None
    ) -> dict[str, Array]:
        """Check data where it enters, and name it as the plan does."""
        x = self._inputs(x)
        return {"x": x} if t is None else {"x": x, **self._given(x, t, weight)}

    def _given(self, rows_of: Array, t: Array, weight: Array | None) -> dict[str, Array]:
        """Targets and weights, checked, for as many rows as an array has."""
        rows = rows_of.shape[0]
        if rows == 0:
            raise InputError(f"x has shape {tuple(rows_of.shape)}: a loss needs at least one row")
        if weight is None:
            ones = rows_of[:, :1] * 0 + 1 if is_tensor(rows_of) else np.ones((rows, 1), self.dtype)
            return {"t": self._target(t, rows), "weight": ones}
        if not is_tensor(weight):
            weight = as_numbers(weight, "sample_weight")
        weight = weight[:, None] if weight.ndim == 1 else weight
        self.check_weight(weight, rows)
        if is_tensor(weight):
            weight = self._real(weight, "sample_weight")
        else:
            weight, _ = usable_weight(weight, self.dtype)
        return {"t": self._target(t, rows), "weight": weight}

    def _target(self, t: Array, rows: int) -> Array:
        t = t if is_tensor(t) else as_numbers(t, "target")
        if t.ndim == 1 and (self.loss.by_row or self.outputs == 1):
            t = t[:, None]
        self.check_t(t, rows)
        if not self.loss.by_row:
            t = self._real(t, "target")
        self.check_values(t)
        return t


def _draw(rng: np.random.Generator, scheme: Initialiser, d: int, k: int) -> Array:
    """Weights (d, k) in float64."""
    scale = scheme.scale(d, k, **scheme.keywords)
    if scheme.distribution == "uniform":
        return rng.uniform(-scale, scale, (d, k))
    normal = rng.standard_normal((d, k))
    if scheme.distribution == "normal":
        return scale * normal
    tall = normal if d >= k else normal.T
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the choice unique, and uniform (Mezzadri 2007)
    return scale * (q if d >= k else q.T)
