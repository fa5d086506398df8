"""The frozen, validated description of a network, and the checks of data where it enters."""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import InputError, unknown_name
from ..formulas.activations import Activation, choose_activation
from ..formulas.loss import TARGETS
from ..formulas.losses import Loss, choose_loss
from .ranges import as_numbers, check_range

DTYPES = ("float32", "float64")
LARGEST_WIDTH = 1_000_000

D = TypeVar("D", bound="Description")


@dataclasses.dataclass(frozen=True, init=False)
class Description:
    """A fully connected network, as data.

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
    """

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    dropout: tuple[float, ...]
    dtype: str

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: Any = "relu",
        loss: Any = "mean_squared_error",
        dropout: float | Sequence[float] = 0.0,
        dtype: Any = "float32",
    ) -> None:
        settle = object.__setattr__
        settle(self, "widths", _checked_widths(widths))
        settle(
            self,
            "activations",
            tuple(choose_activation(a) for a in self._each("activation", activation)),
        )
        settle(self, "loss", choose_loss(loss))
        settle(self, "dropout", tuple(map(_checked_rate, self._each("dropout", dropout))))
        settle(self, "dtype", _checked_dtype(dtype))
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

    def _each(self, name: str, value: Any) -> Iterable[Any]:
        """``value`` for each hidden layer."""
        hidden = len(self.widths) - 2
        if isinstance(value, str) or not _iterable(value):
            return itertools.repeat(value, hidden)
        values = tuple(value)
        if len(values) != hidden:
            raise InputError(
                f"{name} must be one value, or one for each of the {hidden} hidden layers, "
                f"got {len(values)} values"
            )
        return values

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.widths[0]

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.widths[-1]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape (in, out) of each layer's weights."""
        return tuple(itertools.pairwise(self.widths))

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum((d + 1) * k for d, k in self.shapes)

    def to_dict(self) -> dict[str, Any]:
        """The description as JSON-able data."""
        return {
            "widths": list(self.widths),
            "activation": [a.spec for a in self.activations],
            "loss": self.loss.spec,
            "loss_outputs": self.loss.outputs,
            "dropout": list(self.dropout),
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls: type[D], data: Mapping[str, Any]) -> D:
        """The description that `to_dict` wrote. Raises InputError if it is none."""
        try:
            loss = dataclasses.replace(choose_loss(data["loss"]), outputs=data["loss_outputs"])
            return cls(
                data["widths"],
                activation=data["activation"],
                loss=loss,
                dropout=data["dropout"],
                dtype=data["dtype"],
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"not the description of a network: {error}") from None

    # data where it enters -------------------------------------------------------------------

    def check_x(self, x: Any) -> None:
        """Raise InputError unless ``x`` is (N, inputs)."""
        shape = tuple(x.shape)
        if len(shape) != 2 or shape[1] != self.inputs:
            raise InputError(
                f"x has shape {shape}, the network's first weights {self.shapes[0]}: x must be "
                f"(N, {self.inputs}), so that (N, {self.inputs}) @ {self.shapes[0]} = "
                f"(N, {self.shapes[0][1]})"
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

    def checked_parameters(self, params: Any) -> tuple[tuple[Any, Any], ...]:
        """``params`` checked and as NumPy arrays of the network's dtype; arrays that are, stay.

        Raises
        ------
        InputError
            If there is not a (w, b) of the right shapes for each layer, of numbers that the dtype
            of the network holds.
        """
        try:
            pairs = [(w, b) for w, b in params]
        except (TypeError, ValueError):
            raise InputError(
                "parameters must be a sequence of (w, b), one for each layer, such as `init` gives"
            ) from None
        converted = []
        for number, layer in enumerate(pairs, 1):
            arrays = []
            for name, a in zip(("w", "b"), layer, strict=True):
                array = as_numbers(a, f"{name} of layer {number}")
                check_range(array, self.dtype, f"{name} of layer {number}")
                arrays.append(array.astype(self.dtype, copy=False))
            converted.append((arrays[0], arrays[1]))
        self.check_parameters(converted)
        return tuple(converted)

    def check_parameters(self, params: Any) -> None:
        """Raise InputError unless ``params`` has a (w, b) of the right shapes for each layer."""
        if len(params) != len(self.shapes):
            raise InputError(f"{len(params)} layers given, the network has {len(self.shapes)}")
        for number, ((w, b), (d, k)) in enumerate(zip(params, self.shapes, strict=True), 1):
            if tuple(w.shape) != (d, k) or tuple(b.shape) != (k,):
                raise InputError(
                    f"layer {number}: w {tuple(w.shape)} and b {tuple(b.shape)} given, "
                    f"the network needs w {(d, k)} and b {(k,)}"
                )


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


def _checked_rate(rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0 <= float(rate) < 1:
        raise InputError(f"dropout must be a number from 0 up to, not including, 1, got {rate!r}")
    return float(rate)


def _checked_dtype(dtype: Any) -> str:
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    return str(name)
