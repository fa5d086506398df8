"""The frozen, validated description of a network, and the checks of data where it enters."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError, count, unknown_name
from ..formulas.activations import Activation
from ..formulas.loss import TARGETS
from ..formulas.losses import Loss, choose_loss
from .buffers import BATCH, Axes, Buffer, Role
from .layers import Activate, Dropout, Layer, Linear, layer_from_dict
from .layers.layer import checked_layers, forward_all
from .nodes import Noise, Product
from .ranges import as_numbers, check_range
from .wiring import Parameter, Wiring

DTYPES = ("float32", "float64")
LARGEST_WIDTH = 1_000_000

D = TypeVar("D", bound="Description")


@dataclasses.dataclass(frozen=True, init=False)
class Description:
    """A network, as data: its layers, its inputs, the loss and the dtype.

    Parameters
    ----------
    layers : sequence of int, or of Layer
        Widths such as (784, 50, 10) are short for a chain: inputs, units of each hidden layer,
        outputs. Otherwise the layers; the last one gives the logits.
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
        If a value makes no sense, or two layers do not fit; the message names it.
    """

    layers: tuple[Layer, ...]
    inputs: int
    loss: Loss
    dtype: str

    def __init__(
        self,
        layers: Sequence[int] | Sequence[Layer],
        *,
        inputs: int | None = None,
        activation: Any = None,
        loss: Any = "mean_squared_error",
        dropout: float | Sequence[float] | None = None,
        dtype: Any = "float32",
    ) -> None:
        settle = object.__setattr__
        if inputs is None and not _has_layers(layers):
            inputs, *widths = _checked_widths(layers)
            of_chain = "relu" if activation is None else activation
            layers = _chain(widths, of_chain, 0.0 if dropout is None else dropout)
        elif activation is not None or dropout is not None:
            raise InputError(
                "activation and dropout go with widths such as (784, 50, 10): in a list of layers "
                "they are layers, Activate and Dropout"
            )
        settle(self, "layers", checked_layers(layers, "layers"))
        settle(self, "inputs", _checked_inputs(inputs))
        settle(self, "loss", choose_loss(loss))
        settle(self, "dtype", _checked_dtype(dtype))
        if self.n_parameters == 0:
            raise InputError("the layers have no parameter: there is nothing to learn")
        if self.loss.by_row and self.outputs < 2:
            raise InputError(
                f"loss {self.loss.name!r} chooses between outputs and needs 2 or more, got "
                f"{self.outputs}; for one output there is 'binary_cross_entropy'"
            )
        if self.loss.levels and self.outputs != len(self.loss.levels):
            raise InputError(
                f"loss {self.loss.name!r} needs an output for each of its "
                f"{len(self.loss.levels)} levels, got {self.outputs}"
            )

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: the fields, not what is worked out of them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def _wired(self) -> tuple[Wiring, Buffer]:
        """The forward pass of training, which says what parameters there are, and the logits."""
        wire = Wiring(training=True)
        x = wire.reserved("x", (BATCH, self.inputs), Role.INPUT)
        z, _ = forward_all(wire, self.layers, x)
        return wire, z

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self._wired[1].width

    @property
    def members(self) -> int | None:
        """Members of an ensemble within the network, which give logits each; None without one."""
        logits = self._wired[1]
        return logits.members if len(logits.axes) == 3 else None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything that is learned, and constants, in the order of the layers."""
        return tuple(self._wired[0].parameters)

    def is_learned(self, name: str) -> bool:
        """Whether a parameter is learned; else it is a constant, which may be infinite."""
        return next(p.learned for p in self.parameters if p.buffer.name == name)

    @functools.cached_property
    def drops(self) -> bool:
        """Whether training draws noise, so that its loss is another function at each step."""
        return any(isinstance(node, Noise) for node in self._wired[0].nodes)

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter by its name."""
        return {p.buffer.name: _sizes(p.buffer.axes) for p in self.parameters}

    @property
    def categories(self) -> dict[int, int]:
        """Columns of x that hold whole numbers from 0 on, with how many there are."""
        return self._wired[0].categories

    @functools.cached_property
    def takes_sparse(self) -> bool:
        """Whether x is only read in products, and as a whole: stored entries are enough then."""
        reads = [(node, b) for node in self._wired[0].nodes for b in node.reads]
        inputs = [(node, b) for node, b in reads if b.home.role is Role.INPUT]
        return all(isinstance(node, Product) and b.base is None for node, b in inputs)

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(math.prod(self.shapes[p.buffer.name]) for p in self.parameters if p.learned)

    @functools.cached_property
    def _parts_of_chain(self) -> tuple[list[int], list[Any], list[float]] | None:
        """Widths, activations and dropout rates if this is a plain chain of linear layers."""
        widths = [self.inputs]
        activations: list[Activation] = []
        rates: list[float] = []
        layers = list(self.layers)
        while layers:
            linear = layers.pop(0)
            if not isinstance(linear, Linear) or linear != Linear(linear.units):
                return None
            widths.append(linear.units)
            if not layers:
                return widths, activations, rates
            active = layers.pop(0)
            if not isinstance(active, Activate) or active.strength:
                return None
            activations.append(active.activation)
            drops = bool(layers) and isinstance(layers[0], Dropout)
            rates.append(layers.pop(0).rate if drops else 0.0)  # type: ignore[attr-defined]
        return None

    @property
    def is_chain(self) -> bool:
        """Whether it is what widths are short for: linear layers with activations between."""
        return self._parts_of_chain is not None

    def _of_chain(self, part: int) -> tuple[Any, ...]:
        if self._parts_of_chain is None:
            raise InputError("only a plain chain of linear layers has widths and activations")
        return tuple(self._parts_of_chain[part])

    @property
    def widths(self) -> tuple[int, ...]:
        """Of a plain chain: inputs, units of each hidden layer, outputs."""
        return self._of_chain(0)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Of a plain chain: one for each hidden layer."""
        return self._of_chain(1)

    @property
    def dropout(self) -> tuple[float, ...]:
        """Of a plain chain: one rate for each hidden layer."""
        return self._of_chain(2)

    @property
    def summary(self) -> str:
        """Its sizes, for people: the widths of a plain chain, such as 784-50-10."""
        if self.is_chain:
            return "-".join(map(str, self.widths))
        named = (self.inputs, "input"), (len(self.layers), "layer"), (self.outputs, "output")
        return ", ".join(count(*one) for one in named)

    def __repr__(self) -> str:
        """As it could be made again, and how many parameters it has."""
        how = f"loss={self.loss.spec!r}, dtype={self.dtype!r}"
        if self.is_chain:
            names = [activation.spec for activation in self.activations]
            one = names[0] if len({*names}) == 1 else names
            of_hidden = f"activation={one!r}, " if names else ""
            drops = f"dropout={self.dropout!r}, " if self.drops else ""
            made = f"{self.widths}, {of_hidden}{drops}{how}"
        else:
            each = "".join(f"\n    {layer!r}," for layer in self.layers)
            made = f"[{each}\n], inputs={self.inputs}, {how}"
        return f"{type(self).__name__}({made})  # {self.n_parameters:,} parameters"

    def to_dict(self) -> dict[str, Any]:
        """The description as JSON-able data."""
        return {
            "inputs": self.inputs,
            "layers": [layer.to_dict() for layer in self.layers],
            "loss": self.loss.spec,
            "loss_outputs": self.loss.outputs,
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls: type[D], data: Mapping[str, Any]) -> D:
        """The description that `to_dict` wrote. Raises InputError if it is none."""
        try:
            loss = dataclasses.replace(choose_loss(data["loss"]), outputs=data["loss_outputs"])
            layers = [layer_from_dict(layer) for layer in data["layers"]]
            return cls(layers, inputs=data["inputs"], loss=loss, dtype=data["dtype"])
        except (KeyError, TypeError) as error:
            raise InputError(f"not the description of a network: {error}") from None

    # data where it enters -------------------------------------------------------------------

    def check_x(self, x: Any) -> None:
        """Raise InputError unless ``x`` is (N, inputs), and not sparse if columns are read."""
        shape = tuple(x.shape)
        if len(shape) != 2 or shape[1] != self.inputs:
            raise InputError(f"x has shape {shape}: the network takes (N, {self.inputs})")
        if hasattr(x, "tocoo") and not self.takes_sparse:
            raise InputError(
                "x is sparse, and the network's first layer needs every element: pass x.toarray()"
            )

    def check_categories(self, x: Any) -> None:
        """Raise InputError unless every category in ``x`` is one that has a row in its table."""
        for column, values in self.categories.items():
            given = x[:, column]
            with np.errstate(invalid="ignore"):  # NaN and infinity are no whole numbers
                whole = given.astype(np.int64)
            bad = (whole != given) | (whole < 0) | (whole >= values)
            if bool(bad.any()):
                row = int(bad.nonzero()[0][0])
                raise InputError(
                    f"x[{row}, {column}] is {float(given[row]):g}: column {column} holds "
                    f"categories, whole numbers from 0 to {values - 1}"
                )

    def check_t(self, t: Any, rows: int) -> None:
        """Raise InputError unless ``t`` has the shape that the loss asks for with ``rows`` rows."""
        shape = tuple(t.shape)
        wanted = (rows, 1) if self.loss.by_row else (rows, self.outputs)
        if shape != wanted:
            raise InputError(
                f"target has shape {shape}, {self.loss.name!r} of logits {(rows, self.outputs)} "
                f"needs {wanted}"
            )

    def check_values(self, t: Any) -> None:
        """Raise InputError unless every target is one that the loss can take."""
        if self.loss.by_row:
            whole = str(t.dtype).startswith("torch.int") or getattr(t.dtype, "kind", "f") in "iu"
            if not whole:
                raise InputError(f"{self.loss.name!r} takes class indices, got dtype {t.dtype}")
            bad, wanted = (t < 0) | (t >= self.outputs), f"0 to {self.outputs - 1}"
        else:
            fits, wanted = TARGETS[self.loss.target]
            bad = ~fits(t)
        if bool(bad.any()):
            row = int(bad.any(1).nonzero()[0][0])
            raise InputError(
                f"target in row {row} is {t[row].tolist()}: "
                f"{self.loss.name!r} needs targets {wanted}"
            )

    def check_weight(self, weight: Any, rows: int) -> None:
        """Raise InputError unless ``weight`` is (N, 1), finite, none negative, not all zero."""
        shape = tuple(weight.shape)
        if shape != (rows, 1):
            raise InputError(f"sample_weight has shape {shape}, {rows} rows need ({rows},)")
        bad = ~((weight >= 0) & (weight < float("inf")))
        if bool(bad.any()):
            row = int(bad[:, 0].nonzero()[0][0])
            raise InputError(
                f"sample_weight of row {row} is {weight[row].tolist()[0]}: "
                "weights must be finite and at least 0"
            )
        if not float(weight.sum()) > 0:
            raise InputError("sample_weight sums to 0: no row would count")

    def checked_parameters(self, params: Any) -> dict[str, Any]:
        """``params`` checked and as NumPy arrays of the network's dtype; arrays that are, stay.

        Raises
        ------
        InputError
            If there is not an array of the right shape for each parameter, of numbers that the
            dtype of the network holds.
        """
        self.check_names(params)
        converted = {}
        for name in self.shapes:
            array = as_numbers(params[name], name)
            check_range(array, self.dtype, name)
            converted[name] = array.astype(self.dtype, copy=False)
        self.check_parameters(converted)
        return converted

    def check_parameters(self, params: Any) -> None:
        """Raise InputError unless ``params`` has an array of the right shape for each name."""
        self.check_names(params)
        for name, shape in self.shapes.items():
            if tuple(params[name].shape) != shape:
                raise InputError(
                    f"{name} has shape {tuple(params[name].shape)}, the network needs {shape}"
                )

    def check_names(self, params: Any) -> None:
        """Raise InputError unless ``params`` is a mapping of just the parameters' names."""
        if not isinstance(params, Mapping):
            raise InputError(
                f"parameters must be a mapping from name to array, such as `init` gives, got a "
                f"{type(params).__name__}"
            )
        for name in self.shapes:
            if name not in params:
                raise InputError(f"parameter {name} {self.shapes[name]} is missing")
        for name in params:
            if name not in self.shapes:
                raise InputError(f"the network has no parameter {name!r:.40}: {_some(self.shapes)}")


def _some(shapes: Mapping[str, Any]) -> str:
    names = list(shapes)
    return f"it has {', '.join(names[:8])}{', ...' * (len(names) > 8)}"


def _sizes(axes: Axes) -> tuple[int, ...]:
    return tuple(int(length) for length in axes)


def _has_layers(layers: Any) -> bool:
    return isinstance(layers, Sequence) and any(isinstance(layer, Layer) for layer in layers)


def _checked_inputs(inputs: Any) -> int:
    if inputs is None:
        raise InputError("inputs is needed with layers: how many columns x has")
    if isinstance(inputs, bool) or not isinstance(inputs, numbers.Integral):
        raise InputError(f"inputs must be a whole number, got {inputs!r:.40}")
    if not 1 <= int(inputs) <= LARGEST_WIDTH:
        raise InputError(f"inputs must be 1 to {LARGEST_WIDTH}, got {inputs!r:.40}")
    return int(inputs)


def _chain(widths: Sequence[int], activation: Any, dropout: Any) -> list[Layer]:
    """Linear layers with activations and dropout between."""
    *hidden, last = widths
    activations = _each("activation", activation, len(hidden))
    rates = _each("dropout", dropout, len(hidden))
    layers: list[Layer] = []
    for units, active, rate in zip(hidden, activations, rates, strict=True):
        layers += [Linear(units), Activate(active)]
        dropping = Dropout(rate)
        if dropping.rate > 0:
            layers.append(dropping)
    return [*layers, Linear(last)]


def _each(name: str, value: Any, hidden: int) -> list[Any]:
    """``value`` for each hidden layer."""
    if isinstance(value, str) or not _iterable(value):
        return [value] * hidden
    values = list(value)
    if len(values) != hidden:
        raise InputError(
            f"{name} must be one value, or one for each of the {hidden} hidden layers, "
            f"got {len(values)} values"
        )
    return values


def _iterable(value: Any) -> bool:
    """Whether it has elements; an array of no dimension only looks so."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _checked_widths(widths: Any) -> tuple[int, ...]:
    if isinstance(widths, (str, numbers.Number)) or not _iterable(widths):
        raise InputError(f"widths must be a sequence such as (784, 50, 10), got {widths!r}")
    values = tuple(widths)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise InputError(f"widths must be whole numbers, got {value!r} in {values}")
        if not 1 <= int(value) <= LARGEST_WIDTH:
            raise InputError(f"widths must be 1 to {LARGEST_WIDTH}, got {value!r} in {values}")
    if len(values) < 2:
        raise InputError(f"widths needs inputs and outputs at least, got {values}")
    return tuple(map(int, values))


def _checked_dtype(dtype: Any) -> str:
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    return str(name)
