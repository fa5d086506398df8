"""What a fit on a table leaves behind: all that predicts, as data, with its file."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..export.exportable import Exportable
from ..formulas.answers import share
from ..formulas.columns import within
from ..formulas.sums import add
from ..network import Network
from ..preprocess.preparation import TablePreparation, preparation_from_dict
from ..run.namespaces import NUMPY
from ..train.rows import parts
from .member import Member, outputs_of
from .metrics import Metric
from .targets import TargetScale
from .weights import tempered

if TYPE_CHECKING:
    from ..export.program import Program

Array = Any

DATES = "mM"
"""Kinds of dtypes of dates and durations."""

MOST_RESIDUALS = 10_000
"""Errors of held-out rows that are kept for intervals; more would change them by under 1 %."""


@dataclasses.dataclass(frozen=True, eq=False)
class TableModel(Exportable):
    """An ensemble of networks with what turns raw rows into inputs, and outputs into answers.

    Attributes
    ----------
    preparation : TablePreparation
    members : tuple of Member
        None where there is nothing to be learned: one class only.
    weights : tuple of float
        Of the members; their sum is 1.
    classes : array or None
        Labels; None for a regression.
    target : str or None
        Name of the target's column, where it has one.
    temperature : float
        Divides the logarithms of probabilities.
    threshold : float
        Of two classes the second one is predicted from this probability on.
    lowest, highest : float
        Of a regression's training targets: predictions stay between them.
    residuals : array (R,) or None
        Absolute errors of rows that no network had learned from, in increasing order.
    about : dict
        Where the model comes from and how good it is: JSON-able, for people.
    """

    preparation: TablePreparation
    members: tuple[Member, ...]
    weights: tuple[float, ...]
    classes: Array | None = None
    target: str | None = None
    temperature: float = 1.0
    threshold: float = 0.5
    lowest: float = -math.inf
    highest: float = math.inf
    residuals: Array | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return "regression" if self.classes is None else "classification"

    def __repr__(self) -> str:
        of = "" if self.target is None else f" of {self.target!r}"
        count = len(self.members)
        return f"<TableModel: {self.task}{of}, {count} network{'' if count == 1 else 's'}>"

    def __getstate__(self) -> dict[str, Any]:
        """All but compiled functions, so that a model that has predicted can be pickled."""
        return {name: value for name, value in vars(self).items() if name != "_predictors"}

    @functools.cached_property
    def _predictors(self) -> list[Callable[[Array], Array]]:
        return [member.network.predictor(member.params) for member in self.members]

    def predict_prepared(self, x: Array) -> Array:
        """Probabilities (N, K) or values (N,) of prepared rows.

        Parameters
        ----------
        x : array of float32 (N, D)
            What `preparation` makes of rows. One row takes microseconds.
        """
        if not self.members:
            assert self.classes is not None
            return np.ones((len(x), len(self.classes)))
        shares = [
            share(NUMPY, outputs_of(member.network, member.scale, predict(x)), weight)
            for member, weight, predict in zip(
                self.members, self.weights, self._predictors, strict=True
            )
        ]
        return self.finished(functools.reduce(functools.partial(add, NUMPY), shares))

    def finished(self, found: Array) -> Array:
        """The means of what members predict, as the model predicts it."""
        if self.classes is None:
            return within(NUMPY, found, self.lowest, self.highest)
        return tempered(found, self.temperature)

    def predictions(self, raw: Any) -> Array:
        """Probabilities (N, K) or values (N,) of rows, as `predict_proba` takes them."""
        return self.predict_many(self.preparation.apply(raw))

    def predict_many(self, x: Array) -> Array:
        """As `predict_prepared`, some rows at a time, which bounds the memory."""
        found = [self.predict_prepared(some) for _, some in parts(x)]
        none = (0,) if self.classes is None else (0, len(self.classes))
        return np.concatenate(found) if found else np.empty(none)

    def score(self, metric: Metric, y: Array, found: Array, weight: Array | None = None) -> float:
        """The metric of `predictions` for rows with targets y (N,), of which greater is better.

        Of two classes, a metric of classes takes the one that `threshold` decides for.
        """
        if self.classes is not None and metric.is_of_classes:
            found = np.eye(len(self.classes))[self.chosen(found)]
        return metric(y, found, weight)

    def predict_proba(self, raw: Any) -> Array:
        """The probability of each class, (N, K), in the order of `classes`.

        Parameters
        ----------
        raw : table
            What `backhand.preprocess.tables.Columns` takes, with the columns of the training rows
            in any order; others are ignored.

        Raises
        ------
        InputError
            If the model is a regression, or a column is missing.
        """
        if self.classes is None:
            raise InputError("a regression has no probabilities of classes")
        return self.predictions(raw)

    def predict(self, raw: Any) -> Array:
        """Classes or values (N,) of rows, as `predict_proba` takes them."""
        found = self.predictions(raw)
        return found if self.classes is None else self.labels(found)

    def labels(self, p: Array) -> Array:
        """The classes (N,) that probabilities (N, K) speak for."""
        assert self.classes is not None
        return self.classes[self.chosen(p)]

    def chosen(self, p: Array) -> Array:
        """The numbers (N,) of these classes: of two, the second one from `threshold` on."""
        return (p[:, 1] >= self.threshold).astype(int) if p.shape[1] == 2 else p.argmax(axis=1)

    def half_width(self, coverage: float) -> float:
        """How far from a prediction a share of ``coverage`` of all values lie.

        By split conformal prediction (Lei et al. 2018): of R errors of rows that were held out, the
        one in place ceil((R + 1) coverage). It is infinite if that is beyond R.

        Raises
        ------
        InputError
            If no rows were held out, or coverage is not between 0 and 1.
        """
        if self.classes is not None:
            raise InputError(
                "intervals are for numbers, and this model predicts classes, with probabilities"
            )
        number = isinstance(coverage, (int, float, np.number)) and not isinstance(coverage, bool)
        if not (number and 0 < coverage < 1):
            raise InputError(f"coverage must be a number between 0 and 1, got {coverage!r:.60}")
        if self.residuals is None or len(self.residuals) == 0:
            raise InputError("the model was fitted to too few rows to hold any out for intervals")
        place = math.ceil((len(self.residuals) + 1) * coverage) - 1
        return float(self.residuals[place]) if place < len(self.residuals) else math.inf

    def predict_interval(self, raw: Any, coverage: float = 0.9) -> Array:
        """An interval (N, 2) for each row; a share of ``coverage`` of all values lie in theirs."""
        half = self.half_width(coverage)
        y = self.predictions(raw)
        return np.stack([y - half, y + half], axis=1)

    def to_program(self) -> Program:
        """The model as straight-line programs, from which exports are written."""
        from ..export.programs import program_of_ensemble

        return program_of_ensemble(self)

    # its file -------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Array]:
        """All arrays, by names."""
        found = {
            f"{number}.{name}": a
            for number, member in enumerate(self.members)
            for name, a in member.network.checked_parameters(member.params).items()
        }
        if self.residuals is not None:
            found["residuals"] = self.residuals
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON-able data."""
        networks = list(dict.fromkeys(member.network for member in self.members))
        classes = self.classes
        bounded = self.classes is None
        return {
            "preparation": self.preparation.to_dict(),
            "networks": [network.to_dict() for network in networks],
            "members": [
                {
                    "network": networks.index(member.network),
                    "scale": None if member.scale is None else dataclasses.asdict(member.scale),
                    "weight": weight,
                }
                for member, weight in zip(self.members, self.weights, strict=True)
            ],
            "classes": None if classes is None else _stored_classes(classes),
            "target": self.target,
            "temperature": self.temperature,
            "threshold": self.threshold,
            "range": [self.lowest, self.highest] if bounded else None,
            "about": self.about,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], tensors: Mapping[str, Array]) -> TableModel:
        """The model of `to_dict` and `tensors`. Raises InputError if they do not fit."""
        networks = [Network.from_dict(of) for of in data["networks"]]
        preparation = preparation_from_dict(data["preparation"])
        if not isinstance(preparation, TablePreparation):
            raise InputError("its preparation is not that of a table")
        members, weights, known = [], [], {"residuals"}
        for number, of in enumerate(data["members"]):
            network = networks[of["network"]]
            if network.inputs != preparation.width:
                raise InputError(
                    f"its preparation gives {preparation.width} inputs, network {number} takes "
                    f"{network.inputs}"
                )
            names = {f"{number}.{name}": name for name in network.shapes}
            known |= set(names)
            params = network.checked_parameters(
                {name: tensors[key] for key, name in names.items() if key in tensors}
            )
            for name, a in params.items():
                if not np.isfinite(a).all():
                    raise InputError(f"{number}.{name} has values that are not finite")
            scale = None if of["scale"] is None else TargetScale.from_dict(of["scale"])
            members.append(Member(network, params, scale))
            weights.append(float(of["weight"]))
        if strange := sorted(set(tensors) - known):
            raise InputError(f"it has an array {strange[0]!r} that nothing uses")
        classes = data["classes"]
        if classes is not None:
            kind = np.dtype(classes[0])
            classes = np.array(classes[1], np.int64 if kind.kind in DATES else kind).astype(kind)
        low, high = (-math.inf, math.inf) if data["range"] is None else data["range"]
        model = cls(
            preparation,
            tuple(members),
            tuple(weights),
            classes,
            data["target"],
            float(data["temperature"]),
            float(data["threshold"]),
            float(low),
            float(high),
            tensors.get("residuals"),
            dict(data["about"]),
        )
        model._check()
        return model

    def _check(self) -> None:
        """Raise InputError if the parts do not fit one another."""
        if self.members and not math.isclose(sum(self.weights), 1.0, abs_tol=1e-6):
            raise InputError(f"the weights of its networks add up to {sum(self.weights):g}, not 1")
        if not (0 < self.temperature < math.inf and 0 <= self.threshold <= 1):
            raise InputError(
                f"temperature {self.temperature:g} or threshold {self.threshold:g} makes no sense"
            )
        wanted = 1 if self.classes is None else len(self.classes)
        if not self.members and wanted != 1:
            raise InputError("it has no networks")
        for member in self.members:
            if member.network.outputs != wanted or (member.scale is None) != (
                self.classes is not None
            ):
                raise InputError(
                    f"a network has {member.network.outputs} outputs, {wanted} are needed"
                )


def _stored_classes(classes: Array) -> list[Any]:
    """Labels with their dtype as JSON-able data: dates and durations as integers."""
    plain = classes.astype(np.int64) if classes.dtype.kind in DATES else classes
    return [classes.dtype.str, plain.tolist()]


def kept_residuals(residuals: Array) -> Array:
    """Absolute errors in increasing order, at most `MOST_RESIDUALS` of them."""
    found = np.sort(np.abs(residuals))
    if len(found) > MOST_RESIDUALS:
        found = np.quantile(found, np.linspace(0.0, 1.0, MOST_RESIDUALS))
    return found
