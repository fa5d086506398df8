"""`load_predictor`: a trained model for prediction only, from its file."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from math import isfinite
from struct import Struct
from typing import Any

import numpy as np

from ..errors import BackhandError, InputError
from ..files import as_path, reading
from ..preprocess.decision import Decision
from ..run.llvm.machine import object_cache
from ..run.llvm.machine.target import Target, processor
from ..run.llvm.runtime.frozen import RowFunctions

Array = Any

AT_ONCE = 1 << 20
"""Bytes of a file that are read at once."""

NUMBERS = "fiub"
"""Kinds of dtypes of the rows that machine code is given; others go the usual way."""


def load_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Load a model for prediction only: for services, where every row counts.

    The first time, the model is loaded as `backhand.load` does, compiled, and kept in the cache of
    compiled code. Any later process that finds it there loads neither LLVM nor scikit-learn.

    Parameters
    ----------
    path : path-like
        A file that `backhand.load` reads.

    Returns
    -------
    Predictor

    Raises
    ------
    InputError
        As `backhand.load`.

    Examples
    --------
    >>> import backhand
    >>> flats = {"size": [35, 48, 60, 71, 84, 90], "city": ["Oslo", "Bergen"] * 3}
    >>> model = backhand.TabularRegressor("fast", random_state=0)
    >>> model.fit(flats, [210, 240, 330, 350, 470, 440]).save("flats.safetensors")
    >>> predictor = backhand.load_predictor("flats.safetensors")
    >>> 210 <= predictor.predict({"size": 70, "city": "Oslo"}) <= 470
    True
    """
    path = os.path.abspath(as_path(path))
    digest = _checksum(path)
    machine = _machine()
    numpy_only = (os.environ.get("BACKHAND_ENGINE") or "llvm") != "llvm"
    # all of the package decides what is in an entry, and its key says which model it is of
    key = f"predictor {digest} {object_cache.generator(('',))} {machine}"
    cached = bool(digest and machine and not numpy_only)
    content = object_cache.read(key) if cached else None
    model = None
    if content is None:
        from ..export.loading import load
        from .serving import can_be_kept, serving

        model = load(path)
        content = serving(model)
        _check_same(path, digest)
        if cached and can_be_kept():
            object_cache.write(key, content)
    about, code = object_cache.unpacked(content)
    return Predictor(path, digest, json.loads(about), RowFunctions(code) if code else None, model)


def _machine() -> str:
    """What is known of the processor, from LLVM where the C library does not say; else nothing."""
    try:
        return processor() or str(Target.host())
    except BackhandError:
        return ""


def _checksum(path: str) -> str:
    """Of a file's content; none of one that is too large for the cache."""
    digest = hashlib.sha256()
    with reading(path), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > object_cache.LARGEST_ENTRY:
            return ""
        while some := file.read(AT_ONCE):
            digest.update(some)
    return digest.hexdigest()


def _check_same(path: str, digest: str) -> None:
    """Raise InputError if a file is not what it was."""
    if _checksum(path) != digest:
        raise InputError(f"{path} was changed since it was read: load the predictor again")


def _is_row(rows: Any) -> bool:
    """Whether it is a list of numbers, as JSON has a row of an array."""
    return type(rows) is list and bool(rows) and isinstance(rows[0], float | int)


class Predictor:
    """A trained model that predicts, and nothing else; safe from many threads at once.

    One row, a dict, an array (D,) or a list of D numbers, gives one answer. A list of dicts, a dict
    of columns or an array (N, D) gives N. These go through machine code. Arrow reads cells of which
    it is not certain what they hold, and warns or raises as for the model. Any other table, and an
    array with which something is wrong, goes through the model as `backhand.load` reads it.

    Attributes
    ----------
    columns : list of str
        Names of the columns of a row; empty if rows are arrays, which have no names.
    classes : list or None
        Labels in the order of probabilities, dates as text; None if numbers are predicted.
    inputs : int
        D, the prepared numbers.
    """

    def __init__(
        self,
        path: str,
        digest: str,
        about: Mapping[str, Any],
        functions: RowFunctions | None,
        model: Any = None,
    ) -> None:
        self._path, self._digest, self._functions = path, digest, functions
        self._name, self._kind, self._k = about["name"], about["kind"], about["answers"]
        self._decision = Decision(self._kind, threshold=about["threshold"])
        self.columns: list[str] = about["columns"]
        self.classes: list[Any] | None = about["classes"]
        self.inputs: int = about["inputs"]
        self._dtype = np.dtype(about["dtype"])
        self._labels = None
        if self.classes is not None and functions is not None:
            self._labels = np.array(self.classes, about["class_dtype"])
        self._categories: list[tuple[int, int]] = about["categories"]
        self._one_row = (self.inputs,)
        self._width = about["values"] or self.inputs
        self._pack = Struct(f"{about['values']}d").pack
        self._reader: Any = None
        if functions is not None and about["preparation"] is not None:
            from ..preprocess.one_row import RowReader
            from ..preprocess.preparation import preparation_from_dict
            from ..preprocess.tables import is_single

            preparation: Any = preparation_from_dict(about["preparation"])
            self._reader, self._is_single = RowReader(preparation), is_single
            self._raw: Any = functions.raw
        if model is not None:
            self.__dict__["model"] = model

    def __reduce__(self) -> tuple[Any, ...]:
        return load_predictor, (self._path,)

    def __repr__(self) -> str:
        return f"<Predictor: {self._name}>"

    @functools.cached_property
    def model(self) -> Any:
        """The model as `backhand.load` gives it, loaded when something first needs it.

        Raises
        ------
        InputError
            If the file is another one by now.
        """
        from ..export.loading import load

        model = load(self._path)
        _check_same(self._path, self._digest)
        return model

    @functools.cached_property
    def _program(self) -> Any:
        """The model's stages, which NumPy runs where there is no machine code."""
        from ..export.programs import program_of

        return program_of(self.model)

    # answers --------------------------------------------------------------------------------------

    def predict(self, rows: Any) -> Any:
        """What the model's ``predict`` gives: of one row, one class or one number.

        Parameters
        ----------
        rows : dict, list of dict, array (D,) or (N, D), list of float, or table
            See the class; each as the model's ``predict`` takes it.

        Returns
        -------
        object or array
            A label or a float of one row, else an array (N,). Several labels or numbers of a row
            are an array (K,) or (N, K).

        Raises
        ------
        InputError
            As the model.

        Warns
        -----
        UserWarning
            As the model.
        """
        y = self._answers(rows)
        if y is None:
            return self._usual(rows, "predict")
        return self._decided(y) if type(y) is list else self._all_decided(y)

    def predict_proba(self, rows: Any) -> Array:
        """The probability of each class, (K,) of one row, else (N, K); rows as `predict`.

        Raises
        ------
        InputError
            As the model, and if it predicts numbers.
        """
        if self.classes is None:
            raise InputError(f"{self._name} predicts numbers: there are no class probabilities")
        y = self._answers(rows)
        return self._usual(rows, "predict_proba") if y is None else np.array(y)[..., : self._k]

    def predict_prepared(self, x: Array) -> Array:
        """Probabilities, or numbers, of prepared rows: (K,) of x (D,), and (N, K) of x (N, D).

        Parameters
        ----------
        x : array
            What the model's preparation makes of rows, or the rows of a model without one.

        Raises
        ------
        InputError
            If x has another shape, something is no finite number, or a category is none.
        """
        if type(x) is not np.ndarray or x.dtype.kind not in NUMBERS:
            from ..plan.ranges import as_numbers

            x = np.asarray(as_numbers(x, "x"))
        if x.dtype is not self._dtype:
            with np.errstate(over="ignore"):  # it is then not finite
                x = x.astype(self._dtype)
        if x.shape == self._one_row:
            rows = 1
        elif x.ndim == 2 and x.shape[1] == self.inputs:
            rows = len(x)
        else:
            raise InputError(
                f"x has shape {x.shape}: a row has shape ({self.inputs},), rows (N, {self.inputs})"
            )
        if self._categories and (strange := self._strange(x)):
            raise InputError(strange)
        if not rows:
            return np.empty((0, self._k))
        if self._functions is None:
            found: Array = np.asarray(self._program.answers(x.reshape(rows, -1)), np.float64)
        else:
            bad, y = self._functions.prepared(x.tobytes(), rows)
            if bad:
                raise InputError(f"row {bad - 1} of x has a number that is not finite")
            found = np.frombuffer(y)
        if x.ndim == 1:
            return found.reshape(-1)[: self._k]
        return found.reshape(rows, -1)[:, : self._k]

    def _answers(self, rows: Any) -> Any:
        """y of one row as a list, or (N, K) of several; None if it is for the model to say."""
        kind = type(rows)
        if kind is np.ndarray:
            return self._of_array(rows)
        if kind is dict or isinstance(rows, Mapping):
            return self._of_mapping(rows)
        if kind is list and rows and isinstance(rows[0], Mapping):
            return self._of_rows(rows)
        return self._of_array(np.array(rows)) if _is_row(rows) else None

    def _of_mapping(self, row: Mapping[str, Any]) -> Any:
        """y of a row of a table, or of a table as a mapping of columns."""
        if self._reader is None:
            return None
        values = self._reader.quick(row)
        if values is None:
            if row and not any(map(self._is_single, row.values())):
                return self._of_values(self._reader.preparation.values(row))
            values = self._reader.values(row)
        y: list[float] = self._raw(self._pack(*values))[1][:]
        return y if isfinite(sum(y)) else None

    def _of_rows(self, rows: list[Any]) -> Any:
        """y of rows of a table."""
        if self._reader is None:
            return None
        values: Any = [self._reader.quick(row) for row in rows]
        if None in values:
            values = self._reader.preparation.values(rows)
        return self._of_values(np.array(values))

    def _of_values(self, values: Array) -> Any:
        """y of the values (N, V) of rows of a table."""
        if not len(values):
            return None
        _, y = self._raw(values.tobytes(), len(values))
        found = np.array(y).reshape(len(values), -1)
        return found if np.isfinite(found).all() else None

    def _of_array(self, rows: Array) -> Any:
        """y of rows of an array."""
        functions = self._functions
        if functions is None or self._reader or rows.dtype.kind not in NUMBERS:
            return None
        if rows.ndim not in (1, 2) or rows.shape[-1] != self._width or not rows.size:
            return None
        count = 1 if rows.ndim == 1 else len(rows)
        if functions.raw is None:
            if rows.dtype is not self._dtype:
                with np.errstate(over="ignore"):  # it is then not finite
                    rows = rows.astype(self._dtype)
            if self._categories and self._strange(rows):
                return None
            bad, y = functions.prepared(rows.tobytes(), count)
        elif np.isfinite(rows).all():
            bad, y = functions.raw(rows.astype(np.float64, copy=False).tobytes(), count)
        else:
            return None
        found: list[float] = y[:]
        if bad or not isfinite(sum(found)):
            return None
        return found if rows.ndim == 1 else np.frombuffer(y).reshape(count, -1)

    def _strange(self, x: Array) -> str:
        """What is wrong with columns of x that hold categories; nothing perhaps."""
        for column, values in self._categories:
            given = x[..., column]
            if not ((given >= 0) & (given < values) & (given == np.floor(given))).all():
                return (
                    f"column {column} of x holds categories, whole numbers from 0 to {values - 1}"
                )
        return ""

    def _usual(self, rows: Any, method: str) -> Any:
        """What the model itself says of rows."""
        from ..preprocess.tables import is_single

        one = isinstance(rows, Mapping) and any(map(is_single, rows.values()))
        rows = np.array(rows) if _is_row(rows) else rows
        if isinstance(rows, np.ndarray) and rows.ndim == 1:
            one, rows = True, rows[None]
        found = getattr(self.model, method)(rows)
        if not one:
            return found
        first = found[0]
        return first.item() if isinstance(first, np.generic) else first

    def _decided(self, y: list[float]) -> Any:
        """The answer of one row, as `Decision.of` and without arrays, which take longer."""
        kind, classes, k = self._kind, self.classes, self._k
        if kind == "numbers":
            return y[0] if k == 1 else np.array(y)
        if kind == "labels":
            return self._all_decided(np.array([y]))[0]
        assert classes is not None
        if kind == "threshold":
            return classes[y[1] >= self._decision.threshold]
        if kind == "positive_logit":
            return classes[y[k] > 0]
        y = y[k:] if kind == "largest_logit" else y
        return classes[y.index(max(y))]

    def _all_decided(self, y: Array) -> Array:
        """The answers of rows, y (N, K)."""
        found: Array = self._decision.of([y[:, self._k :]], y[:, : self._k])
        if self._kind == "numbers":
            return found[:, 0] if self._k == 1 else found
        if self._kind == "labels":
            return found.astype(int)
        assert self._labels is not None
        labels: Array = self._labels[found]
        return labels
