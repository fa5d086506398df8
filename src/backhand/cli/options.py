"""How the texts on a command line become values, and what is refused before any data is read."""

from __future__ import annotations

import dataclasses
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
}
"""The least and the largest value of options that are whole numbers."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says; the options that repeat a run."""

    name: str
    target: str | None
    task: str | None
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
    separator: str | None
    decimal: str | None
    encoding: str | None

    @property
    def command(self) -> str:
        """The command with every option that matters, to be run again."""
        words = ["backhand", "train", self.name]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None:
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        return shlex.join(words)


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


def check_alone(context: typer.Context) -> None:
    """Raise InputError if anything is given that a resumed run has of its own."""
    for name in context.params:
        given = getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        if given and name not in ("resume", "threads", "plot", "checkpoint_every"):
            what = "NAME" if name == "name" else f"--{name.replace('_', '-')}"
            raise InputError(f"--resume takes the options of its run: leave out {what}")
