"""`Layer`: a pair of forward and backward wiring, and chains of them."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ...errors import InputError
from ...formulas.entry import as_float
from ..buffers import Buffer
from ..wiring import Wiring

L = TypeVar("L", bound="Layer")


@dataclasses.dataclass(frozen=True)
class Layer(abc.ABC):
    """A part of a network: its forward nodes and, below them, its backward nodes.

    A layer is a frozen dataclass whose fields are numbers, texts, tuples of these, other layers or
    entries of formulas. Fields that are annotated as whole numbers, real numbers, booleans or
    layers are checked when one is made.

    To add one, write a file with `forward`, `backward`, and how parameters begin; export it in
    `backhand.plan.layers` and `backhand.layers`; and give `backhand.check.examples` a network with
    it, so that it is checked.
    """

    kind: ClassVar[str]
    """Its name in files and messages."""

    letter: ClassVar[str] = "y"
    """What its result is called: "z" before an activation, "h" after dropout, else "y"."""

    least: ClassVar[Mapping[str, float]] = {}
    """The smallest value of a field, where it is not 1 for whole numbers, and none for others."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__repr__" not in vars(cls):  # before the dataclass writes one with every field
            cls.__repr__ = Layer.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """The fields that differ from what they are by default, formulas by their names."""
        said: list[str] = []
        for field in dataclasses.fields(self):
            value, needed = getattr(self, field.name), field.default is dataclasses.MISSING
            if needed and not said:
                said.append(_shown(value))
            elif needed or value != field.default:
                said.append(f"{field.name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(said)})"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check = CHECKS.get(getattr(field.type, "__name__", str(field.type)))
            if check is not None:
                what = f"{self.kind}: {field.name}"
                value = check(getattr(self, field.name), what, self.least.get(field.name))
                object.__setattr__(self, field.name, value)

    @abc.abstractmethod
    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        """Write the nodes from ``x`` to the result; what `backward` needs comes with it."""

    @abc.abstractmethod
    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        """Write the nodes from the gradient at the result to those of the parameters and of x.

        It returns the gradient at x, or None if `Wiring.is_wanted` says that nobody needs it.
        """

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON-able data."""
        found: dict[str, Any] = {"layer": self.kind}
        for field in dataclasses.fields(self):
            found[field.name] = _plain(getattr(self, field.name))
        return found

    @classmethod
    def from_dict(cls: type[L], data: Mapping[str, Any]) -> L:
        """The layer of `to_dict`, without the entry "layer"."""
        return cls(**{name: _restored(value) for name, value in data.items()})


LAYERS: dict[str, type[Layer]] = {}
"""Every kind of layer by its name in files."""


def known(layer: type[L]) -> type[L]:
    """Enter a layer into `LAYERS`; a decorator."""
    LAYERS[layer.kind] = layer
    return layer


def layer_from_dict(data: Any) -> Layer:
    """The layer that `Layer.to_dict` wrote. Raises InputError if it is none that is known."""
    kind = data.get("layer") if isinstance(data, Mapping) else None
    if kind not in LAYERS:
        raise InputError(
            f"unknown layer {kind!r:.60}; if it is your own, call backhand.register_layer first"
        )
    try:
        return LAYERS[kind].from_dict({k: v for k, v in data.items() if k != "layer"})
    except TypeError as error:
        raise InputError(f"layer {kind!r}: {error}") from None


LONGEST = 3
"""Numbers that are shown of a longer sequence."""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        shortened = len(value) > LONGEST and not isinstance(value[0], Layer)
        some = [_shown(item) for item in (value[:LONGEST] if shortened else value)]
        return f"[{', '.join(some)}{f', ... {len(value)} in all' if shortened else ''}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return repr(getattr(value, "spec", value))


def _plain(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return getattr(value, "spec", value)  # an entry of formulas by its name


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping) and "layer" in value:
        return layer_from_dict(value)
    if isinstance(value, list):
        return tuple(_restored(item) for item in value)
    return value


def forward_all(wire: Wiring, layers: Sequence[Layer], x: Buffer) -> tuple[Buffer, list[Any]]:
    """One layer after another; what `backward_all` needs comes with the result."""
    tape = []
    for layer in layers:
        y, saved = layer.forward(wire, x)
        # the last of inner layers has noted what they give together
        noted = y == x or (bool(wire.results) and wire.results[-1].buffer == y)
        tape.append((x, None if noted else wire.result(layer.letter, y), saved))
        x = y
    return x, tape


def backward_all(
    wire: Wiring, layers: Sequence[Layer], tape: Sequence[Any], dy: Buffer
) -> Buffer | None:
    """The same layers from the last to the first.

    Raises
    ------
    InputError
        If a layer gives no gradient at its input that somebody needs, or one of another shape.
    """
    gradient: Buffer | None = dy
    for layer, (x, result, saved) in zip(reversed(layers), reversed(tape), strict=True):
        if gradient is None:
            break
        if result is not None:
            wire.result_gradient(result, gradient)
        gradient = layer.backward(wire, saved, gradient)
        if gradient is None and wire.is_wanted(x):
            raise InputError(f"{layer.kind}: backward gives no gradient at {x}, which is needed")
        if gradient is not None and gradient.axes != x.axes:
            raise InputError(f"{layer.kind}: backward gives {gradient} as the gradient at {x}")
    return gradient


def _whole(value: Any, what: str, least: float | None) -> int:
    least = 1 if least is None else int(least)
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise InputError(f"{what} must be a whole number of at least {least}, got {value!r:.40}")
    return int(value)


def _real(value: Any, what: str, least: float | None) -> float:
    number = as_float(value)
    if not math.isfinite(number) or (least is not None and number < least):
        wanted = "" if least is None else f" of at least {least:g}"
        raise InputError(f"{what} must be a finite number{wanted}, got {value!r:.40}")
    return number


def _flag(value: Any, what: str, least: float | None) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):  # Python's or NumPy's
        raise InputError(f"{what} must be True or False, got {value!r:.40}")
    return bool(value)


def _items(value: Any, what: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{what} must be a sequence, got {value!r:.40}")
    return tuple(value)


def checked_layers(value: Any, what: str, least: float | None = None) -> tuple[Layer, ...]:
    """A tuple of layers. Raises InputError if there is something else among them."""
    for layer in _items(value, what):
        if not isinstance(layer, Layer):
            raise InputError(f"{what} must be layers such as Linear(10), got {layer!r:.40}")
    return tuple(value)


def _wholes(value: Any, what: str, least: float | None) -> tuple[int, ...]:
    return tuple(_whole(item, what, least) for item in _items(value, what))


CHECKS: dict[str, Callable[[Any, str, float | None], Any]] = {
    "int": _whole,
    "float": _real,
    "bool": _flag,
    "Sequence[int]": _wholes,
    "Sequence[Layer]": checked_layers,
}
"""What looks at a field of a layer, by the field's annotation."""
