"""`Network`: the description of a network, with what one can do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import InputError
from .formulas.initialisers import Initialiser, choose_initialiser
from .plan.description import Description
from .plan.step import forward_plan, gradient_plan, logits, loss_plan
from .run.arrays import parameter_buffers, walk
from .run.namespaces import is_tensor, namespace_of

Array = Any


class Layer(NamedTuple):
    """Weights (in, out) and biases (out,) of a layer, or their gradients."""

    w: Array
    b: Array


Params = tuple[Layer, ...]


class LayerStatistics(NamedTuple):
    """What one array of a layer looks like on a batch of data.

    Attributes
    ----------
    layer : int
        Counts from 1; 0 are the inputs.
    buffer : str
        ``"x"``, ``"z"`` (pre-activation) or ``"y"`` (output), with ``"d"`` in front for gradients.
    mean, std : float
        Over all rows and units.
    zeros : float
        Share of elements that are exactly zero.
    dead : float
        Share of units that give the same value for every row: they tell nothing apart.
    """

    layer: int
    buffer: str
    mean: float
    std: float
    zeros: float
    dead: float


class Network(Description):
    """A fully connected network: frozen, validated, and without parameters of its own.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, units of each hidden layer, number of outputs.
    activation : str, Activation, or a sequence of them
        Of the hidden layers: one for all, or one for each. The last layer gives logits.
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
    >>> grads[0].w.shape
    (3, 5)
    """

    def init(self, scheme: str | Initialiser, seed: int = 0, x: Array | None = None) -> Params:
        """Draw parameters.

        Parameters
        ----------
        scheme : str or Initialiser
            See `backhand.formulas.initialisers`. Biases are zero.
        seed : int
            The same seed gives the same parameters.
        x : array (N, inputs), optional
            A batch of real data, for the data-driven ``"lsuv"``.

        Returns
        -------
        tuple of Layer
            ``(w, b)`` for each layer: (in, out) and (out,), of the network's dtype.

        Raises
        ------
        InputError
            If the scheme is unknown, or needs data and has none.
        """
        initialiser = choose_initialiser(scheme)
        rng = np.random.default_rng(seed)
        params = tuple(
            Layer(_draw(rng, initialiser, d, k).astype(self.dtype), np.zeros(k, self.dtype))
            for d, k in self.shapes
        )
        if not initialiser.data_driven:
            return params
        if x is None:
            raise InputError(f"initialiser {initialiser.name!r} needs a batch of data: pass x=")
        return self._scaled_on(params, x)

    def _scaled_on(self, params: Params, x: Array) -> Params:
        """Scale each layer's weights, front to back, to pre-activations of unit variance on x."""
        x = self._real(x)
        self.check_x(x)
        scaled = list(params)
        for layer, (w, b) in enumerate(params):
            z = walk(forward_plan(self), {"x": x, **parameter_buffers(scaled)})[f"z{layer + 1}"]
            spread = float(z.std(dtype=np.float64))
            if np.isfinite(spread) and spread > 0:  # else all rows are alike: leave it as drawn
                scaled[layer] = Layer((w / spread).astype(self.dtype), b)
        return tuple(scaled)

    def forward(self, params: Sequence[tuple[Array, Array]], x: Array) -> Array:
        """The logits.

        Parameters
        ----------
        params : sequence of (w, b)
            NumPy arrays or PyTorch tensors.
        x : array (N, inputs)
            Converted to the network's dtype.

        Returns
        -------
        array (N, outputs)

        Raises
        ------
        InputError
            If the shapes do not fit; the message names both.
        """
        buffers = self._enter(params, x)
        return walk(forward_plan(self), buffers, namespace_of(buffers["x"]))[logits(self)]

    def predict(self, params: Sequence[tuple[Array, Array]], x: Array) -> Array:
        """The expected target, (N, outputs): probabilities, rates, or the logits themselves."""
        z = self.forward(params, x)
        return self.loss.mean(namespace_of(z), z)

    def batch_loss(
        self,
        params: Sequence[tuple[Array, Array]],
        x: Array,
        t: Array,
        sample_weight: Array | None = None,
    ) -> Any:
        """The loss of a batch; parameters and errors as `loss_and_grads`."""
        buffers = self._enter(params, x, t, sample_weight)
        loss = walk(loss_plan(self), buffers, namespace_of(buffers["x"]))["loss"]
        return loss if is_tensor(loss) else float(loss)

    def loss_and_grads(
        self,
        params: Sequence[tuple[Array, Array]],
        x: Array,
        t: Array,
        sample_weight: Array | None = None,
        wrt_input: bool = False,
    ) -> Any:
        """The loss of a batch and its gradients, by the hand-written derivatives.

        Parameters
        ----------
        params : sequence of (w, b)
            NumPy arrays or PyTorch tensors.
        x : array (N, inputs)
            Converted to the network's dtype.
        t : array
            Targets: (N, outputs), or (N,) if there is one output; class indices (N,) for a loss
            that takes classes.
        sample_weight : array (N,), optional
            Weight of each row, at least 0. The loss is the mean by weight.
        wrt_input : bool
            Whether the gradient at the input is wanted too.

        Returns
        -------
        loss : float, or a scalar tensor
        grads : tuple of Layer
            ``(dw, db)`` for each layer, of the shapes of ``params``.
        dx : array (N, inputs)
            Only if ``wrt_input``.

        Raises
        ------
        InputError
            If shapes do not fit or targets are not what the loss takes.
        """
        buffers = self._enter(params, x, t, sample_weight)
        at = walk(gradient_plan(self, wrt_input=wrt_input), buffers, namespace_of(buffers["x"]))
        grads = tuple(Layer(at[f"dw{i}"], at[f"db{i}"]) for i in self._layers)
        loss = at["loss"] if is_tensor(at["loss"]) else float(at["loss"])
        return (loss, grads, at["dx"]) if wrt_input else (loss, grads)

    def statistics(
        self, params: Sequence[tuple[Array, Array]], x: Array, t: Array | None = None
    ) -> list[LayerStatistics]:
        """What happens to data on the way through, and to gradients on the way back.

        Parameters
        ----------
        params : sequence of (w, b)
            NumPy arrays.
        x : array (N, inputs)
            A batch of data.
        t : array, optional
            Targets; gradients are then those of the loss. Without them, the gradient at the
            logits is unit-normal noise (seed 0), which shows what the layers make of its scale.

        Returns
        -------
        list of LayerStatistics
            Forward from the inputs to the logits, then backward from the logits to the inputs.
        """
        buffers = self._enter(params, x, t)
        plan = gradient_plan(self, wrt_input=True)
        if t is None:
            top = f"d{logits(self)}"
            backward = [getattr(node, "out", "") for node in plan.nodes].index(top) + 1
            buffers = walk(forward_plan(self), buffers)
            noise = np.random.default_rng(0).standard_normal(buffers[logits(self)].shape)
            buffers[top] = noise.astype(self.dtype)
            plan = type(plan)(self, plan.nodes[backward:])
        at = walk(plan, buffers)
        last = len(self.shapes)
        forward = [(0, "x")]
        for layer in self._layers:
            forward += [(layer, "z")] + [(layer, "y")] * (layer < last)
        rows = [_describe(layer, kind, at) for layer, kind in forward]
        return rows + [_describe(layer, f"d{kind}", at) for layer, kind in reversed(forward)]

    @property
    def _layers(self) -> range:
        return range(1, len(self.shapes) + 1)

    def _real(self, a: Array) -> Array:
        if is_tensor(a):
            return namespace_of(a).cast(a, self.dtype)
        return np.asarray(a, self.dtype)

    def _enter(
        self,
        params: Sequence[tuple[Array, Array]],
        x: Array,
        t: Array | None = None,
        weight: Array | None = None,
    ) -> dict[str, Array]:
        """Check data where it enters, and name it."""
        x = self._real(x)
        self.check_x(x)
        self.check_parameters(params)
        buffers = {"x": x, **parameter_buffers(params)}
        if t is None:
            return buffers
        rows = len(x)
        if rows == 0:
            raise InputError(f"x has shape {tuple(x.shape)}: a loss needs at least one row")
        buffers["t"] = self._target(t, rows)
        if weight is None:
            weight = x[:, :1] * 0 + 1 if is_tensor(x) else np.ones((rows, 1), self.dtype)
        else:
            weight = self._real(weight)
            weight = weight[:, None] if weight.ndim == 1 else weight
            self.check_weight(weight, rows)
        buffers["weight"] = weight
        return buffers

    def _target(self, t: Array, rows: int) -> Array:
        t = t if is_tensor(t) else np.asarray(t)
        if t.ndim == 1 and (self.loss.by_row or self.outputs == 1):
            t = t[:, None]
        self.check_t(t, rows)
        if not self.loss.by_row:
            t = self._real(t)
        self.check_values(t)
        return t


def _draw(rng: np.random.Generator, scheme: Initialiser, d: int, k: int) -> Array:
    """Weights (d, k) in float64."""
    scale = scheme.scale(d, k)
    if scheme.distribution == "uniform":
        return rng.uniform(-scale, scale, (d, k))
    normal = rng.standard_normal((d, k))
    if scheme.distribution == "normal":
        return scale * normal
    tall = normal if d >= k else normal.T
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the choice unique, and uniform (Mezzadri 2007)
    return scale * (q if d >= k else q.T)


def _describe(layer: int, kind: str, at: dict[str, Array]) -> LayerStatistics:
    name = kind if kind.endswith("x") else f"{kind}{layer}"
    a = np.asarray(at[name])
    return LayerStatistics(
        layer,
        kind,
        float(a.mean(dtype=np.float64)),
        float(a.std(dtype=np.float64)),
        float((a == 0).mean()),
        float((a == a[:1]).all(axis=0).mean()),
    )
