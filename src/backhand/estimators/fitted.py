"""`Fitted`: what a fit leaves behind, complete in itself."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ..engines import executor
from ..errors import InputError
from ..formulas.activations import Activation, choose_activation
from ..formulas.loss import through
from ..formulas.losses import Loss, choose_loss
from ..network import Network, Params
from ..plan.nodes import Product
from ..plan.ranges import MOST_SQUARED
from ..plan.step import Plan, forward_plan
from ..run.arrays import walk
from ..run.executor import Executor, Trainer
from ..run.namespaces import is_sparse, stored_rows
from ..train.rows import parts
from ..train.state import TrainState
from .course import Course
from .targets import Classes

Array = Any


class Live(NamedTuple):
    """A trainer that the next part may go on with, if all of this is the same by then."""

    trainer: Trainer
    network: Network
    engine: str
    threads: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network with everything that predicting, saving and going on need.

    Whatever an estimator does after a fit reads this, and never the parameters that it has by
    then. A fit makes it whole and hands it over at its end, so one that fails changes nothing.

    Parameters
    ----------
    network : Network
        With the activations, the dtype, and the loss of the logits.
    loss : Loss
        The loss before ``link``.
    link : Activation or None
        The parameter `out_activation`.
    out_activation : str
        The attribute `out_activation_`.
    targets : Classes or Numbers
        What is predicted.
    engine : str or None
        The parameters `engine`, `solver` and `scoring` of the fit.
    solver : str
    scoring : object
    names : ndarray or None
        The names of the columns of X.
    course : Course
    state : TrainState or None
        Where training stands, without the parameters, which may be written to.
    params : dict of str to array
        The arrays that the estimator shows as `coefs_` and `intercepts_`. They may be written to;
        those that somebody puts in their place count too, see `params_of`.
    executor : Executor or None
        The executor for which they are laid out, which then predicts whatever the environment names
        by that time; None if they are the estimator's.
    live : list of Live
        At most one: the trainer of the last part. Who goes on with it takes it out.
    """

    network: Network
    loss: Loss
    link: Activation | None
    out_activation: str
    targets: Any
    engine: str | None
    solver: str
    scoring: Any
    names: Array | None
    course: Course
    state: TrainState | None
    params: Params = dataclasses.field(default_factory=dict)
    executor: Executor | None = None
    live: list[Live] = dataclasses.field(default_factory=list)

    def with_params(self, params: Params) -> Fitted:
        """The same with a copy of these parameters, laid out for the executor that reads them."""
        chosen = executor(self.engine)
        return dataclasses.replace(
            self,
            params={
                name: chosen.parameter_copy(np.asarray(a, self.network.dtype))
                for name, a in params.items()
            },
            executor=chosen,
        )

    def without_params(self) -> Fitted:
        """The same with no parameters of its own, so that only the estimator's count."""
        return dataclasses.replace(self, params={}, executor=None)

    def attributes(self, course: dict[str, Any]) -> dict[str, Any]:
        """All that an estimator has after the fit; ``course`` comes from its `Course`."""
        named = {} if self.names is None else {"feature_names_in_": self.names}
        if isinstance(self.targets, Classes):
            named["classes_"] = self.targets.labels
        return {
            "_fitted": self,
            "coefs_": self.coefs,
            "intercepts_": self.intercepts,
            "n_features_in_": self.network.inputs,
            "n_outputs_": self.network.outputs,
            "n_layers_": len(self.network.widths),
            "out_activation_": self.out_activation,
            **named,
            **course,
        }

    @property
    def coefs(self) -> list[Array]:
        """The weights of each layer, of a chain's parameters w1, b1, w2, b2, ..."""
        return list(self.params.values())[::2]

    @property
    def intercepts(self) -> list[Array]:
        """The biases of each layer."""
        return list(self.params.values())[1::2]

    # predicting -----------------------------------------------------------------------------------

    @functools.cached_property
    def inputs(self) -> int:
        """How many columns X has."""
        return self.network.inputs

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        """What parameters and arithmetic are in."""
        return np.dtype(self.network.dtype)

    @functools.cached_property
    def limits(self) -> dict[str, float]:
        """By the type code of X: up to what sum of squares every value is finite in the network."""
        double = MOST_SQUARED if self.network.dtype == "float32" else float(np.finfo("f8").max)
        return {"f": float(np.finfo("f4").max), "d": double}

    @functools.cached_property
    def _arrays(self) -> tuple[Array, ...]:
        return *self.coefs, *self.intercepts

    @functools.cached_property
    def _compiled(self) -> list[Any]:
        return [None]

    def compiled(self, coefs: Any, intercepts: Any) -> Callable[[Array], Array] | None:
        """The compiled forward pass if the estimator still has our arrays, else None."""
        made = self._compiled[0]
        if made is None:
            made = self._compiled[0] = self._compile()
        if not made:
            return None
        ours = self._arrays
        try:
            now = (*coefs, *intercepts)
        except TypeError:
            return None
        return made if len(ours) == len(now) and all(map(is_, ours, now)) else None

    def _compile(self) -> Any:
        """The compiled forward pass; False if there is none to be had."""
        if self.executor is None:
            return False
        return self.executor.predictor(self.network, self.params, in_place=True) or False

    def params_of(self, coefs: Any, intercepts: Any) -> Params:
        """Parameters that may be anybody's, as the network takes them.

        Raises
        ------
        InputError
            If they are not numbers of the right shapes; the message names the array.
        """
        try:
            arrays = itertools.chain.from_iterable(zip(coefs, intercepts, strict=True))
            named = dict(zip(self.network.shapes, arrays, strict=True))
            return self.network.checked_parameters(named)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"coefs_ and intercepts_ are not those of the fitted network any more: {error}"
            ) from None

    def forward(self, x: Array, params: Params) -> Array:
        """The logits (N, K) by the array executor."""
        plan, buffers = self._plan, dict(params)
        pieces = []
        for _, some in parts(stored_rows(x) if is_sparse(x) else x):
            buffers["x"] = some.astype(self.network.dtype, copy=False)
            pieces.append(walk(plan, buffers)[plan.logits.name])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def check_logits(self, z: Array, x: Array, params: Params) -> None:
        """Raise InputError unless logits z (N, K) of x are finite: it names the layer."""
        bad = ~np.isfinite(z).all(1)
        if not bad.any():
            return
        row = int(bad.argmax())
        some = stored_rows(x)[row : row + 1].toarray() if is_sparse(x) else x[row : row + 1]
        plan, buffers = self._plan, {"x": some.astype(self.network.dtype), **params}
        with np.errstate(over="ignore", invalid="ignore"):
            at = walk(plan, buffers)
        products = [node for node in plan.nodes if isinstance(node, Product)]
        infinite = (n for n in products if not np.isfinite(at[n.out.name]).all())
        product = next(infinite, products[-1])
        layer, w = products.index(product) + 1, params[product.right.name]
        raise InputError(
            f"row {row} of X makes values of layer {layer} that are not finite in "
            f"{self.network.dtype} (the largest of that row is {float(abs(some).max()):.3g}, of "
            f"the layer's weights {float(abs(w).max()):.3g}): scale X, or fit "
            "anew"
        )

    @functools.cached_property
    def _plan(self) -> Plan:
        return forward_plan(self.network)

    # copies and files -----------------------------------------------------------------------------

    def portable(self) -> dict[str, Any]:
        """The network as data: formulas by name where that leads back to them, else themselves."""
        link = None if self.link is None else _portable(self.link, choose_activation)
        return {
            "widths": self.network.widths,
            "activation": [_portable(a, choose_activation) for a in self.network.activations],
            "loss": _portable(self.loss, choose_loss),
            "outputs": self.loss.outputs,
            "link": link,
            "dropout": self.network.dropout,
            "dtype": self.network.dtype,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # the estimator has its parameters, and executors cannot be copied
        left = ("network", "loss", "link", "params", "executor", "live")
        others = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in left
        }
        return restored, (self.portable(), others)


def restored(portable: dict[str, Any], others: dict[str, Any]) -> Fitted:
    """The inverse of `Fitted.portable`, without parameters. Raises InputError if it is none."""
    loss = dataclasses.replace(choose_loss(portable["loss"]), outputs=portable["outputs"])
    link = None if portable["link"] is None else choose_activation(portable["link"])
    network = Network(
        portable["widths"],
        activation=portable["activation"],
        loss=composed(loss, link),
        dropout=portable["dropout"],
        dtype=portable["dtype"],
    )
    return Fitted(network, loss, link, **others)


def composed(loss: Loss, link: Activation | None) -> Loss:
    """The loss of the logits."""
    return loss if link is None else through(loss, link)


def _portable(entry: Any, chosen: Callable[[Any], Any]) -> Any:
    try:
        known = chosen(entry.spec)
    except InputError:
        return entry
    if isinstance(entry, Loss):
        known = dataclasses.replace(known, outputs=entry.outputs)
    return entry.spec if known == entry or getattr(entry, "levels", ()) else entry
