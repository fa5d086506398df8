"""Whether layers are well, in words, and what to try if they are not.

Each illness has a threshold, which stands in `LIMITS`, and a remedy.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import count
from ...tabular.member import MemberProgress
from ...train.monitor import Budget, Look, Monitor
from ...train.state import Epoch

GOOD, NOTE, BAD = "good", "note", "bad"


class Limits(NamedTuple):
    """From when on something is an illness.

    Attributes
    ----------
    dead : float
        Share of a hidden layer's units that give the same value for every row.
    flat : float
        Share of a layer's units through which hardly any gradient passes.
    vanishing : float
        Spread of the gradient at the first layer, as a share of that at the last hidden one.
    exploding : float
        The same, the other way round.
    fading : float
        Variance of pre-activations at the last hidden layer, as a share of that at the first.
    spread : float
        Of pre-activations: where inputs and weights are in scale it is near 1.
    large_update : float
        Relative change of a layer's weights in an epoch, in the second half of the training.
    small_update : float
        The same in the first half.
    overfit : float
        By how much the validation loss has risen from its lowest value, as a share of that.
    rough : float
        Share of epochs, after the first few, in which the training loss rises...
    rise, of_range : float
        ... by more than these shares of itself, and of all that it covers after these few.
    gain : float
        By how much the loss has to fall in all, as a share of what it was after the first epoch.
    """

    dead: float = 0.1
    flat: float = 0.5
    vanishing: float = 1e-3
    exploding: float = 1e3
    fading: float = 0.1
    spread: float = 50.0
    large_update: float = 0.5
    small_update: float = 1e-5
    overfit: float = 0.1
    rough: float = 0.25
    rise: float = 0.05
    of_range: float = 0.1
    gain: float = 0.01


LIMITS = Limits()

FEWEST_EPOCHS = 6
"""Epochs from which curves say something."""


class Verdict(NamedTuple):
    """What is to be said of a network.

    Attributes
    ----------
    level : {"good", "note", "bad"}
    says : str
    remedy : str
        What to try; empty where nothing is wrong.
    """

    level: str
    says: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Watched:
    """One network, as it was looked at.

    Attributes
    ----------
    name : str
    looks : list of Look
        At least one.
    verdicts : list of Verdict
    """

    name: str
    looks: list[Look]
    verdicts: list[Verdict]


class Watcher:
    """A callback of the estimators of tables, which watches the first network of each kind.

    Attributes
    ----------
    monitors : dict of int to Monitor
        By the number of the network, from 1.
    """

    def __init__(self) -> None:
        self.monitors: dict[int, Monitor] = {}
        self._kinds: dict[int, int] = {}
        self._budget = Budget()

    def prepared(self, preparation: object) -> None:
        """The fit begins."""
        self._budget = Budget()

    def __call__(self, now: MemberProgress) -> None:
        """Look, if there is time."""
        if self._kinds.setdefault(now.kind, now.member) != now.member:
            return
        if now.member not in self.monitors:
            if not self._budget.allows():
                return
            sample = now.sample
            if now.network is None or sample is None:
                return
            self.monitors[now.member] = Monitor(now.network, sample, self._budget)
        self.monitors[now.member](now)


def of_layers(looks: Sequence[Look]) -> list[Verdict]:
    """What is to be said of the layers of a network, by its last look and those before."""
    if not looks or not looks[-1].layers:
        return []
    found = [v for judge in JUDGES for v in judge(looks)]
    if not found:
        text = "layers: spread, dead units, gradients and updates are all as they should be"
        return [Verdict(GOOD, text)]
    return found


def _dead(looks: Sequence[Look]) -> Iterator[Verdict]:
    begun = looks[-1].epoch > 0
    for layer in looks[-1].layers[:-1]:
        if layer.dead >= max(1, LIMITS.dead * layer.units):
            yield Verdict(
                BAD if layer.dead > layer.units / 2 else NOTE,
                f"layer {layer.layer}: {layer.dead} of {layer.units} units never fire: they give "
                "the same value for every row that was looked at",
                f"try {'a lower learning rate' if begun else 'fewer layers'}, or leaky_relu",
            )


def _flat(looks: Sequence[Look]) -> Iterator[Verdict]:
    for layer in looks[-1].layers[:-1]:
        if layer.flat >= LIMITS.flat:
            yield Verdict(
                BAD,
                f"layer {layer.layer}: {100 * layer.flat:.0f} % of units are where the activation "
                "is flat, so that hardly any gradient passes",
                "standardise the inputs, or try the initialiser lecun_normal, or a lower learning "
                "rate",
            )


def _gradients(looks: Sequence[Look]) -> Iterator[Verdict]:
    hidden = looks[-1].layers[:-1]
    if len(hidden) < 2 or not hidden[-1].dz_std:
        return
    ratio = hidden[0].dz_std / hidden[-1].dz_std
    if ratio < LIMITS.vanishing:
        yield Verdict(
            BAD,
            f"gradients vanish: at layer 1 they are {ratio:.1e} times those at layer "
            f"{hidden[-1].layer}",
            "try the initialiser kaiming_normal, an activation such as relu or selu, or fewer "
            "layers",
        )
    elif ratio > LIMITS.exploding:
        yield Verdict(
            BAD,
            f"gradients explode: at layer 1 they are {ratio:.1e} times those at layer "
            f"{hidden[-1].layer}",
            "try clip_norm=1, or the initialiser lecun_normal",
        )


def _spread(looks: Sequence[Look]) -> Iterator[Verdict]:
    for layer in looks[-1].layers[:-1]:
        if layer.z_std > LIMITS.spread:
            yield Verdict(
                BAD,
                f"layer {layer.layer}: pre-activations have a spread of {layer.z_std:.3g}; near 1 "
                "is usual",
                "standardise the inputs, or try a lower learning rate or some weight decay",
            )


def _fading(looks: Sequence[Look]) -> Iterator[Verdict]:
    hidden = looks[-1].layers[:-1]
    if len(hidden) < 2 or not hidden[0].z_std:
        return
    ratio = (hidden[-1].z_std / hidden[0].z_std) ** 2
    if ratio < LIMITS.fading:
        lost = f"{100 * (1 - ratio):.3g}"
        yield Verdict(
            BAD if ratio < LIMITS.fading**2 else NOTE,
            f"signals fade: {lost} % of the variance of pre-activations is lost between layer 1 "
            f"and layer {hidden[-1].layer}",
            "try the initialiser kaiming_normal, or lsuv, which scales each layer by the data",
        )


def _updates(looks: Sequence[Look]) -> Iterator[Verdict]:
    known = [(one.epoch, layer) for one in looks for layer in one.layers if layer.update]
    if not known:
        return
    half = looks[-1].epoch / 2
    late = [(layer.update or 0.0, layer.layer) for epoch, layer in known if epoch > half]
    early = [(layer.update or 0.0, layer.layer) for epoch, layer in known if epoch <= half]
    if late and max(late)[0] > LIMITS.large_update:
        size, number = max(late)
        yield Verdict(
            BAD,
            f"layer {number}: its weights still change by {100 * size:.0f} % in an epoch late in "
            "the training",
            "try a lower learning rate, or a schedule that falls to 0",
        )
    if early and max(early)[0] < LIMITS.small_update:
        yield Verdict(
            BAD,
            f"weights hardly move: by at most {max(early)[0]:.1e} of their size in an epoch",
            "try a learning rate 10 to 100 times as large",
        )


JUDGES: tuple[Callable[[Sequence[Look]], Iterator[Verdict]], ...] = (
    _dead,
    _flat,
    _gradients,
    _fading,
    _spread,
    _updates,
)


def of_history(history: Sequence[Epoch], best_epoch: int, stopped: str) -> list[Verdict]:
    """What is to be said of the curves of a training."""
    if len(history) < FEWEST_EPOCHS:
        return []
    found = []
    loss = np.array([line.loss for line in history])
    held_out: list[Any] = [line.validation_loss for line in history]
    falls = loss[0] - loss.min()
    if not falls > LIMITS.gain * abs(loss[0]):
        found.append(
            Verdict(
                BAD,
                f"the training loss hardly falls: {loss[0]:.4g} after the first epoch, "
                f"{loss[-1]:.4g} after the last",
                "try another learning rate, or look whether the columns say anything about the "
                "target",
            )
        )
    later = loss[FEWEST_EPOCHS // 2 :]
    least = np.maximum(LIMITS.rise * np.abs(later[:-1]), LIMITS.of_range * np.ptp(later))
    rises = float(np.mean(np.diff(later) > least))
    if rises > LIMITS.rough:
        found.append(
            Verdict(
                NOTE,
                f"the training loss is rough: in {100 * rises:.0f} % of epochs it rises by over "
                f"{100 * LIMITS.rise:.0f} %",
                "try a lower learning rate or a larger batch_size",
            )
        )
    if all(value is not None and math.isfinite(value) for value in held_out):
        lowest = min(held_out)
        risen = (held_out[-1] - lowest) / (abs(lowest) or 1.0)
        if risen > LIMITS.overfit and loss[-1] < loss[int(np.argmin(held_out))]:
            found.append(
                Verdict(
                    NOTE,
                    f"overfits: after epoch {int(np.argmin(held_out)) + 1} the validation loss "
                    f"rises from {lowest:.3g} to {held_out[-1]:.3g} while the training loss falls; "
                    f"epoch {best_epoch} was kept, so the model is not harmed",
                    "more dropout, weight decay or rows may make it better",
                )
            )
        gaining = len(history) > 1 and held_out[-1] == lowest and stopped == "epochs"
        before = held_out[-max(2, len(history) // 10) - 1]
        if gaining and before - lowest > 0.02 * abs(before):
            found.append(
                Verdict(
                    NOTE,
                    "the validation loss was still falling when training ended, after "
                    f"{count(len(history), 'epoch')}",
                    "try more epochs",
                )
            )
    return found
