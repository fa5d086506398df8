"""A trained model with all that is needed to use it, and its file; see `backhand.sealed`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..formulas.activations import ACTIVATIONS
from ..formulas.answers import complement, in_units
from ..formulas.loss import OF
from ..formulas.losses import LOSSES, QUANTILES
from ..network import Network, Params
from ..plan.layers import Activate
from ..plan.ranges import as_numbers
from ..report.walk.explorable import Explorable
from ..run.namespaces import NUMPY
from ..sealed import UNFIT, read_sealed, usable, write_sealed
from ..train.rows import check_finite
from .exportable import Exportable

if TYPE_CHECKING:
    from ..preprocess.preparation import Preparation
    from ..report.page.report import Report
    from ..report.walk.subjects import Subject
    from ..train.monitor import Look
    from ..train.state import Epoch
    from .program import Program

Array = Any

HOLDS = "model"
"""What the description of a file says of it."""


@dataclasses.dataclass(frozen=True)
class Model(Exportable, Explorable):
    """A trained network, and what turns raw rows into its inputs and logits into answers.

    Attributes
    ----------
    network : Network
    params : dict of str to array
    task : {"classification", "regression"}
    preparation : Preparation or None
        Statistics of the training rows; None if inputs are already what the network takes.
    classes : list or None
        The class of each index, for classification.
    target : str or None
        Name of the target's column.
    target_mean, target_std : float
        Of a regression's raw target over the training rows.
    provenance : dict
        Where it comes from: command, seed, versions, scores. JSON-able.
    """

    network: Network
    params: Params
    task: str
    preparation: Preparation | None = None
    classes: list[Any] | None = None
    target: str | None = None
    target_mean: float = 0.0
    target_std: float = 1.0
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        of = "" if self.target is None else f" of {self.target!r}"
        return f"<Model: {self.task}{of}, network {self.network.summary}>"

    def inputs(self, raw: Any) -> Array:
        """Raw rows (a table, or an array of rows) as the network's inputs (N, D)."""
        if self.preparation is not None:
            return self.preparation.apply(raw)
        rows = as_numbers(raw, "the array of rows")
        if rows.ndim != 2:
            raise InputError(
                f"rows have shape {rows.shape}; the model takes (N, {self.network.inputs})"
            )
        check_finite(rows, "prediction")
        return rows

    def predict_proba(self, raw: Any) -> Array:
        """The probability of each class, (N, classes), rows as `predict`.

        Raises
        ------
        InputError
            If the model is a regression, or the rows do not fit.
        """
        if self.task != "classification":
            raise InputError(f"a {self.task} model has no class probabilities")
        p = self.network.predict(self.params, self.inputs(raw))
        return np.concatenate([complement(NUMPY, p), p], axis=1) if p.shape[1] == 1 else p

    def predict(self, raw: Any) -> Array:
        """Classes (N,), or values in the target's own unit (N,).

        Parameters
        ----------
        raw : table or array
            Rows as they were before preparation. For a model of a table: a DataFrame, a
            pyarrow.Table, a dict of columns, a list of rows as dicts, or one row as a dict; with
            the original names in any order. For others: an array of pixels or inputs, (N, D).

        Raises
        ------
        InputError
            If a column is missing or a value is not of its kind; the message names it.

        Warns
        -----
        UserWarning
            Names a column with text that no training row has; it counts as the mean of what they
            have.
        """
        if self.task == "classification":
            assert self.classes is not None
            return np.asarray(self.classes)[self.predict_proba(raw).argmax(axis=1)]
        z = self.network.forward(self.params, self.inputs(raw)).astype(np.float64)
        return in_units(NUMPY, self.network.expected(z), self.target_mean, self.target_std)[:, 0]

    def to_program(self) -> Program:
        """The model as straight-line programs, from which exports are written."""
        from .programs import program_of_model

        return program_of_model(self)

    def explored(self, rows: Any, y: Any) -> Subject:
        """The networks, rows and targets that `explore` shows."""
        from ..report.walk.subjects import of_model

        return of_model(self, rows, y)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        raw: Any = None,
        y: Any = None,
        *,
        title: str = "Model",
        history: Sequence[Epoch] = (),
        looks: Sequence[Look] = (),
        notes: Sequence[str] = (),
    ) -> Report:
        """Everything that can be seen of the model, as one HTML file; a notebook shows it.

        Parameters
        ----------
        path : path-like, optional
            The file to write.
        raw : table or array, optional
            Rows as `predict` takes them, that were not learned from. Without any, only training
            and health are shown.
        y : array-like (N,), optional
            Their classes, or values in the target's own unit.
        title : str
            What it is called, if the target has no name.
        history : sequence of Epoch
            Of the training, `FitResult.history`.
        looks : sequence of Look
            At the layers, `backhand.Monitor.looks`.
        notes : sequence of str
            Said below the result.

        Raises
        ------
        InputError
            If rows or targets do not fit, or the file cannot be written.
        """
        from ..report.page.reports import of_model

        found = of_model(self, raw, y, title=title, history=history, looks=looks, notes=notes)
        if path is not None:
            found.save(path)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which is there whole or not at all.

        Raises
        ------
        InputError
            If the folder cannot be written to, or the parameters are not the network's.
        """
        params = self.network.checked_parameters(self.params)
        write_sealed(path, params, {"holds": HOLDS, **self.to_dict()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read what `save` or ``backhand train`` wrote. It executes nothing that is in the file.

        Raises
        ------
        InputError
            If there is no such file, or it is truncated, foreign, edited or of another version; the
            message says which.
        """
        tensors, about = read_sealed(path)
        with usable(path, HOLDS):
            return cls.from_file(tensors, about)

    @classmethod
    def from_file(cls, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> Model:
        """The model of a file's content. Raises InputError, or an error of `UNFIT`."""
        if about["holds"] != HOLDS:
            raise InputError(f"it holds {about['holds']!r:.60}; backhand.load reads every kind")
        return cls.from_dict(about, dict(tensors))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the parameters, as JSON-able data."""
        return {
            "network": self.network.to_dict(),
            "task": self.task,
            "preparation": None if self.preparation is None else self.preparation.to_dict(),
            "classes": self.classes,
            "target": self.target,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "provenance": self.provenance,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], params: Params) -> Model:
        """The model of `to_dict` with these parameters. Raises InputError if they do not fit."""
        from ..preprocess.preparation import preparation_from_dict

        try:
            _check_formulas(data["network"])
            network = Network.from_dict(data["network"])
            network.check_names(params)
            kept = data["preparation"]
            model = cls(
                network,
                {name: params[name] for name in network.shapes},
                task=data["task"],
                preparation=None if kept is None else preparation_from_dict(kept),
                classes=data["classes"],
                target=data["target"],
                target_mean=float(data["target_mean"]),
                target_std=float(data["target_std"]),
                provenance=data["provenance"],
            )
        except InputError:
            raise
        except UNFIT as error:
            raise InputError(f"its description is incomplete: {error!r}") from None
        model._check()
        return model

    def _check(self) -> None:
        """Raise InputError if the parts do not fit one another."""
        from ..preprocess.checks import text

        network, classes = self.network, self.classes
        network.check_parameters(self.params)
        for name, a in self.params.items():
            if a.dtype != np.dtype(network.dtype):
                raise InputError(f"{name} is {a.dtype}, the network's dtype is {network.dtype}")
            if network.is_learned(name) and not np.isfinite(a).all():
                raise InputError(f"{name} has values that are not finite")
        if self.task == "classification":
            wanted = max(network.outputs, 2)
            if not isinstance(classes, list) or len(classes) != wanted:
                raise InputError(f"{wanted} classes are needed, it has {classes!r}")
            if not all(isinstance(label, (str, int, float)) for label in classes):
                raise InputError(f"classes must be texts, numbers or booleans, it has {classes!r}")
            for label in classes:
                if isinstance(label, str):
                    text(label, "class")
            if len(set(classes)) < wanted:
                raise InputError(f"a class is there twice in {classes!r}")
        elif self.task == "regression":
            if network.outputs != 1 or network.loss.by_row:
                raise InputError(
                    f"a regression needs one output and a loss for numbers, it has "
                    f"{network.outputs} and {network.loss.name!r}"
                )
        else:
            raise InputError(f"its task is {self.task!r}")
        width = network.inputs if self.preparation is None else self.preparation.width
        if width != network.inputs:
            raise InputError(
                f"its preparation gives {width} inputs, the network takes {network.inputs}"
            )
        if not (np.isfinite(self.target_mean) and 0 < self.target_std < np.inf):
            raise InputError(
                f"its target has mean {self.target_mean} and std {self.target_std}: "
                "a finite mean and a finite std above 0 are needed"
            )
        if not isinstance(self.provenance, dict):
            raise InputError(f"its provenance is {self.provenance!r}, not a mapping")


def _activations(layers: Any) -> Iterator[Any]:
    """The activations in the description of layers, and of layers within them."""
    if isinstance(layers, Mapping):
        if layers.get("layer") == Activate.kind:
            yield layers.get("activation")
        else:
            yield from (found for value in layers.values() for found in _activations(value))
    elif isinstance(layers, list):
        for layer in layers:
            yield from _activations(layer)


def _check_formulas(description: Mapping[str, Any]) -> None:
    """Raise InputError for a formula that is not known here, perhaps one of the user's own."""
    for kind, specs, known in (
        ("activation", _activations(description["layers"]), ACTIVATIONS),
        ("loss", [description["loss"]], LOSSES),
    ):
        for name in (str(spec).partition(OF)[0].partition(":")[0] for spec in specs):
            if name not in known and f"{name}:" != QUANTILES:
                raise InputError(
                    f"unknown {kind} {name!r}; if it is your own, "
                    f"call backhand.register_{kind} before Model.load"
                )
