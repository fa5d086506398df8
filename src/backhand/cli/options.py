"""How the texts on a command line become values, and what is refused before any data is read."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shlex
from typing import TYPE_CHECKING

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..network import Network

LARGEST_NETWORK = 250_000_000  # parameters: with Adam's two moments, 3 GB in float32

LIMITS = {
    "epochs": (1, 10**9),
    "batch_size": (1, 10**9),
    "patience": (1, 10**9),
    "threads": (1, 1024),
    "seed": (0, 2**32 - 1),
    "networks": (1, 10**6),
    "members": (1, 1000),
    "cv": (2, 1000),
}
"""The least and the largest value of options that are whole numbers."""


@dataclasses.dataclass(frozen=True)
class Repeatable:
    """What the command line says of a training; the options that repeat the run."""

    name: str
    target: str | None
    task: str | None
    separator: str | None
    decimal: str | None
    encoding: str | None

    @property
    def command(self) -> str:
        """The command with every option that matters, to be run again."""
        words = ["backhand", "train", self.name]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None and value != ():
                text = _comma_separated(value) if isinstance(value, tuple) else str(value)
                words += [f"--{field.name.replace('_', '-')}", text]
        return shlex.join(words)

    @property
    def form(self) -> dict[str, str | None]:
        """How a text file is written, for `read_table`."""
        return {n: getattr(self, n) for n in ("separator", "decimal", "encoding")}


@dataclasses.dataclass(frozen=True)
class Options(Repeatable):
    """The options of a plain network."""

    hidden: str
    activation: str
    loss: str | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float
    optimiser: str
    schedule: str
    l2: float
    clip_norm: float | None
    dropout: float | None
    init: str
    patience: int | None
    dtype: str | None
    engine: str | None
    threads: int | None
    seed: int
    data_dir: str | None


@dataclasses.dataclass(frozen=True)
class TableOptions(Repeatable):
    """The options of the ensemble that a table gets."""

    preset: str
    members: int | None
    time_limit: float | None
    metric: str | None
    class_weight: str | None
    test: str | None
    cv: int | None
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    threads: int | None
    seed: int


def _comma_separated(names: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def checked_weights(text: str | None) -> str | dict[str, float] | None:
    """``--class-weight``: "balanced", or a JSON object of classes, as texts, with their weights.

    Raises
    ------
    InputError
        For anything else.
    """
    if text is None or text == "balanced":
        return text
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    positive = isinstance(found, dict) and found
    for value in found.values() if positive else ():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        positive = positive and is_number and 0 <= value < float("inf")
    if not positive:
        raise InputError(
            "--class-weight takes balanced, or classes with weights of at least 0 such as "
            f'\'{{"yes": 5, "no": 1}}\', got {text!r:.60}'
        )
    return {str(label): float(value) for label, value in found.items()}


def whole(text: str | int) -> int:
    """A whole number, for an option. Raises typer.BadParameter for anything else."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"a whole number is needed, got {text!r}") from None


def number(text: str | float) -> float:
    """A number, for an option. Raises typer.BadParameter for anything else."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"a number is needed, got {text!r}") from None


def check_limits(**values: int | None) -> None:
    """Raise InputError for the first value outside its `LIMITS`; None is an option not given."""
    for name, value in values.items():
        least, largest = LIMITS[name]
        if value is not None and not least <= value <= largest:
            raise InputError(
                f"--{name.replace('_', '-')} must be {least:,} to {largest:,}, got {value}"
            )


def names(text: str) -> list[str]:
    """The entries of ``"relu,elu:alpha=0.5,silu"``: a comma before ``name=`` does not part them."""
    return [part.strip() for part in re.split(r",(?!\s*\w+\s*=)", text)]


def hidden_widths(text: str) -> tuple[int, ...]:
    """``"256,128"`` as numbers; nothing for no hidden layer. Raises InputError for other texts."""
    if not text.strip():
        return ()
    widths = []
    for part in text.split(","):
        digits = part.strip()
        if not re.fullmatch("[0-9]{1,18}", digits) or int(digits) < 1:
            raise InputError(
                f"--hidden takes whole numbers above 0 such as 256,128, got {digits!r} in {text!r}"
            )
        widths.append(int(digits))
    return tuple(widths)


def check_size(network: Network, hidden: str) -> None:
    """Raise InputError for a network that no ordinary machine can hold."""
    if network.n_parameters > LARGEST_NETWORK:
        raise InputError(
            f"--hidden {hidden} makes {network.n_parameters:,} parameters; "
            f"the most is {LARGEST_NETWORK:,}"
        )
