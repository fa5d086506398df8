"""What activations, losses, optimisers, schedules and initialisers share: a name and parameters."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from ..errors import InputError, unknown_name

E = TypeVar("E", bound="Entry")

CHOOSERS: dict[str, Callable[[Any], Any]] = {}
"""For each kind of entry, the function that finds one by its text."""


def finds(kind: str) -> Callable[[Callable[[Any], E]], Callable[[Any], E]]:
    """Enter a function into `CHOOSERS`; pickles of entries then refer to it."""

    def enter(chooser: Callable[[Any], E]) -> Callable[[Any], E]:
        CHOOSERS[kind] = chooser
        return chooser

    return enter


def as_float(value: Any) -> float:
    """A real number as a float; NaN for anything else, and for what a float does not hold."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


@dataclasses.dataclass(frozen=True)
class Entry:
    """A named formula with parameters, frozen.

    Attributes
    ----------
    name : str
        The name that people write, in estimators, on the command line and in model files.
    parameters : tuple of (str, float)
        Parameters that the formula takes by keyword, with their values. They are constants of a
        compiled program, unlike learning rates and the like.
    limits : tuple of (str, float, float)
        The least and the largest value of a parameter that cannot be just any number.
    """

    kind: ClassVar[str] = "formula"

    name: str
    parameters: tuple[tuple[str, float], ...] = dataclasses.field(default=(), kw_only=True)
    limits: tuple[tuple[str, float, float], ...] = dataclasses.field(default=(), kw_only=True)

    @property
    def keywords(self) -> dict[str, float]:
        """The parameters as keyword arguments."""
        return dict(self.parameters)

    def with_(self: E, **changes: Any) -> E:
        """Return the same formula with other parameter values.

        Raises
        ------
        InputError
            If a parameter is unknown, or a value is not a finite number.
        """
        known = self.keywords
        for name, value in changes.items():
            if name not in known:
                if not known:
                    raise InputError(f"{self.kind} {self.name!r} takes no parameters, got {name!r}")
                raise unknown_name(f"parameter of {self.kind} {self.name!r}", name, known)
            number = as_float(value)
            if not math.isfinite(number):
                raise InputError(
                    f"{self.kind} {self.name!r}: {name} must be a finite number, got {value!r:.40}"
                )
            for limited, least, largest in self.limits:
                if name == limited and not least <= number <= largest:
                    wanted = _described(least, largest)
                    raise InputError(
                        f"{self.kind} {self.name!r}: {name} must be {wanted}, got {value!r}"
                    )
        values = {**known, **{k: float(v) for k, v in changes.items()}}
        return dataclasses.replace(self, parameters=tuple(values.items()))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle and copy by text, so that an entry whose formulas are lambdas survives too."""
        chooser = CHOOSERS.get(self.kind)
        try:
            known = None if chooser is None else chooser(self.spec)
        except InputError:
            known = None
        if known is None or type(known) is not type(self):
            return super().__reduce_ex__(protocol)
        names = [field.name for field in dataclasses.fields(self)]
        now, then = ({n: getattr(e, n) for n in names} for e in (self, known))
        changes = {n: now[n] for n in names if now[n] != then[n]}
        if any(map(callable, changes.values())):  # another formula of the same name
            return super().__reduce_ex__(protocol)
        return _restored, (chooser, self.spec, changes)

    @property
    def spec(self) -> str:
        """The text that `choose` turns into this entry again, such as ``"huber:delta=2.0"``."""
        values = ",".join(f"{k}={v!r}" for k, v in self.parameters)
        return f"{self.name}:{values}" if values else self.name


def _restored(chooser: Callable[[str], Any], spec: str, changes: dict[str, Any]) -> Any:
    try:
        entry = chooser(spec)
    except InputError as error:
        kind = next(kind for kind, known in CHOOSERS.items() if known is chooser)
        raise InputError(
            f"{error}; if it is your own, call backhand.register_{kind} before loading"
        ) from None
    return dataclasses.replace(entry, **changes) if changes else entry


POSITIVE = math.ulp(0.0)
"""As a least value: anything above 0."""

BELOW_ONE = 1.0 - 2.0**-53
"""As a largest value: anything below 1."""


def _described(least: float, largest: float) -> str:
    low = "above 0" if least == POSITIVE else f"at least {least:g}"
    if largest == math.inf:
        return low
    return f"{low} and " + ("below 1" if largest == BELOW_ONE else f"at most {largest:g}")


def choose(table: Mapping[str, E], value: Any, kind: str) -> E:
    """Find an entry: by itself, by name, or by text such as ``"leaky_relu:slope=0.2"``.

    Raises
    ------
    InputError
        If the name is unknown (the nearest valid one is suggested) or a parameter is wrong.
    """
    if isinstance(value, Entry):
        if value.kind != kind:
            raise InputError(f"{kind} expected, got the {value.kind} {value.name!r}")
        return value  # type: ignore[return-value]  # its kind is that of the table's entries
    if not isinstance(value, str):
        raise InputError(f"{kind} must be a name or an entry, got {value!r}")
    name, _, rest = value.partition(":")
    if name not in table:
        raise unknown_name(kind, name, table)
    changes = {}
    for part in filter(None, rest.split(",")):
        key, _, number = part.partition("=")
        try:
            changes[key.strip()] = float(number)
        except ValueError:
            raise InputError(
                f"{kind} {name!r}: parameters are written name=number, got {part!r}"
            ) from None
    return table[name].with_(**changes) if changes else table[name]
