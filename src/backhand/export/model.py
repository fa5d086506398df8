"""A trained model with all that is needed to use it, and its file.

The file is safetensors: the parameters as tensors, everything else as JSON in the metadata. It is
data alone, so loading runs no code. A checksum over both tells an edited or damaged file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..network import Layer, Network, Params

if TYPE_CHECKING:
    from ..datasets.preparation import Preparation

Array = Any

FORMAT = "backhand model 1"
KEY = "backhand"


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained network, and what turns raw rows into its inputs and logits into answers.

    Attributes
    ----------
    network : Network
    params : tuple of Layer
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

    def inputs(self, raw: Any) -> Array:
        """Raw rows (a table, or an array of rows) as the network's inputs (N, D)."""
        return np.asarray(raw) if self.preparation is None else self.preparation.apply(raw)

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
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict(self, raw: Any) -> Array:
        """Classes (N,), or values in the target's own unit (N,).

        Parameters
        ----------
        raw : table or array
            Rows as they were before preparation: a pyarrow table or a dict of columns with the
            original names in any order, or an array of pixels.

        Raises
        ------
        InputError
            If a column is missing or a value is not of its kind; the message names it.
        """
        if self.task == "classification":
            assert self.classes is not None
            return np.asarray(self.classes)[self.predict_proba(raw).argmax(axis=1)]
        y = self.network.predict(self.params, self.inputs(raw))[:, 0].astype(np.float64)
        return y * self.target_std + self.target_mean

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
        from ..datasets.preparation import preparation_from_dict

        try:
            network = Network.from_dict(data["network"])
            kept = data["preparation"]
            model = cls(
                network,
                params,
                task=data["task"],
                preparation=None if kept is None else preparation_from_dict(kept),
                classes=data["classes"],
                target=data["target"],
                target_mean=float(data["target_mean"]),
                target_std=float(data["target_std"]),
                provenance=data["provenance"],
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"its description is incomplete: {error!r}") from None
        model._check()
        return model

    def _check(self) -> None:
        """Raise InputError if the parts do not fit one another."""
        self.network.check_parameters(self.params)
        if self.task not in ("classification", "regression"):
            raise InputError(f"its task is {self.task!r}")
        if self.task == "classification":
            wanted = max(self.network.outputs, 2)
            if not isinstance(self.classes, list) or len(self.classes) != wanted:
                raise InputError(f"{wanted} classes are needed, it has {self.classes!r}")
        if not (np.isfinite(self.target_mean) and np.isfinite(self.target_std)):
            raise InputError("the statistics of its target are not finite")
        for number, (w, b) in enumerate(self.params, 1):
            if not (np.isfinite(w).all() and np.isfinite(b).all()):
                raise InputError(f"layer {number} has values that are not finite")


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model; the file is there whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    from safetensors.numpy import save

    tensors = {}
    for number, (w, b) in enumerate(model.params, 1):
        tensors[f"w{number}"], tensors[f"b{number}"] = np.ascontiguousarray(w), np.asarray(b)
    text = json.dumps(model.to_dict(), sort_keys=True, allow_nan=False)
    seal = {"format": FORMAT, "model": text, "sha256": _checksum(tensors, text)}
    # one entry, since safetensors writes several in any order and the same model is the same file
    write_whole(path, save(tensors, metadata={KEY: json.dumps(seal)}))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write beside, then rename. Raises InputError if the folder cannot be written to."""
    path = Path(path)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save_model` wrote. It executes nothing that is in the file.

    Raises
    ------
    InputError
        If there is no such file, or it is truncated, foreign, edited or of another version; the
        message says which.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        tensors = load(content)
        seal = _seal(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a model: truncated or no safetensors file ({error})"
        ) from None
    if not seal:
        raise InputError(f"{path} is a safetensors file, but not a backhand model")
    if seal.get("format") != FORMAT:
        raise InputError(f"{path} is a {seal.get('format')!r}; this version reads {FORMAT!r}")
    text = str(seal.get("model"))
    if seal.get("sha256") != _checksum(tensors, text):
        raise InputError(f"{path} was edited or damaged: its content does not match its checksum")
    try:
        layers = range(1, len(tensors) // 2 + 1)
        params = tuple(Layer(tensors[f"w{n}"], tensors[f"b{n}"]) for n in layers)
        return Model.from_dict(json.loads(text), params)
    except (InputError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a usable model: {error}") from None


def _seal(content: bytes) -> dict[str, Any]:
    """Our entry in the metadata of a safetensors file: JSON behind its own length, eight bytes."""
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    return dict(json.loads(metadata.get(KEY, "{}")))


def _checksum(tensors: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        a = tensors[name]
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()
