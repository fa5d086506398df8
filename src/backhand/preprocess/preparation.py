"""How raw rows become a network's input, fitted on training rows and stored with the model.

`Standardise` is for pixels: one mean and one standard deviation for all of them. `TablePreparation`
is for tables: one encoder a column. Both turn into JSON-able dictionaries and back; the way back
distrusts its input, since a model file may have been edited.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backhand.errors import InputError, count
from backhand.memory import check_size, most_bytes
from backhand.plan.ranges import as_numbers
from backhand.preprocess import columns as cols
from backhand.preprocess.checks import entries, finite, one_of, positive_int

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {"number": "numbers", "date": "dates", "text": "text", "boolean": "true/false"}
CHUNK_VALUES = 1 << 20


@dataclass(frozen=True)
class Standardise:
    """``(scale * pixel - mean) / std`` with one mean and one std over all training values.

    Attributes
    ----------
    mean, std : float
        Of ``scale * pixel`` over every pixel of every training row; std is the population's
        (divided by the count, not by the count less one).
    scale : float
        Applied to raw pixels first, 1/256 for bytes in the lesson's convention.
    width : int
        D, the pixels in a row.
    """

    mean: float
    std: float
    scale: float
    width: int

    @classmethod
    def fit(cls, raw: ArrayLike, scale: float = 1.0) -> Standardise:
        """Take the statistics of ``raw``, which must be the training rows and no others.

        Parameters
        ----------
        raw : array of uint8 or float, shape (N, D) or (N, H, W)
        scale : float
            Positive.

        Raises
        ------
        InputError
            For another shape or dtype, no rows, values that are not finite, or one value
            everywhere.
        """
        rows = _rows(raw)
        if rows.size == 0:
            raise InputError(f"pixels of shape {rows.shape}: there is nothing to standardise")
        if rows.dtype == np.uint8:
            # Exact whatever the number of pixels: a histogram of bytes has all there is to know.
            counts = np.zeros(256, dtype=np.int64)
            for piece in _pieces(rows):
                counts += np.bincount(piece.ravel(), minlength=256)
            values = np.arange(256) * scale
            mean = float(counts @ values / rows.size)
            variance = float(counts @ (values - mean) ** 2 / rows.size)
        else:
            # Two passes over pieces: accurate, and without a float64 copy of the whole.
            mean = scale * sum(float(p.sum(dtype=np.float64)) for p in _pieces(rows)) / rows.size
            squares = (np.square(p.astype(np.float64) * scale - mean).sum() for p in _pieces(rows))
            variance = float(sum(squares)) / rows.size
        if not np.isfinite(variance):
            raise InputError("pixels hold values that are too large to standardise")
        if rows.min() == rows.max() or variance == 0:
            raise InputError(f"pixels are all {rows.flat[0]}: there is nothing to learn from")
        return cls(mean, float(np.sqrt(variance)), float(scale), rows.shape[1])

    def apply(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Prepare raw pixels.

        Parameters
        ----------
        raw : array of uint8 or float, shape (N, D) or (N, H, W) with H * W = D

        Returns
        -------
        x : ndarray of float32, shape (N, D), C-contiguous

        Raises
        ------
        InputError
            For another width, shape or dtype, and for values that are not finite.
        """
        rows = _rows(raw)
        if rows.shape[1] != self.width:
            raise InputError(f"rows have {rows.shape[1]} pixels, the model takes {self.width}")
        if rows.dtype == np.uint8:
            byte = np.arange(256, dtype=np.float64)
            prepared = ((byte * self.scale - self.mean) / self.std).astype(np.float32)
            return np.take(prepared, rows)
        x = np.empty(rows.shape, dtype=np.float32)
        first = 0
        for piece in _pieces(rows):
            last = first + len(piece)
            with np.errstate(over="ignore"):
                x[first:last] = (piece.astype(np.float64) * self.scale - self.mean) / self.std
            first = last
        if not np.isfinite(x).all():
            row, pixel = np.argwhere(~np.isfinite(x))[0]
            raise InputError(
                f"row {row + 1}, pixel {pixel}: {rows[row, pixel]} is too large for float32"
            )
        return x

    @property
    def feature_names(self) -> list[str]:
        """One name for each prepared column."""
        return [f"pixel {i}" for i in range(self.width)]

    @property
    def summary(self) -> str:
        """What the inputs are made of, for people."""
        return f"inputs: {self.width} pixels"

    def to_dict(self) -> dict[str, Any]:
        """Return what `preparation_from_dict` takes."""
        return {
            "kind": "pixels",
            "mean": self.mean,
            "std": self.std,
            "scale": self.scale,
            "width": self.width,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Standardise:
        """Rebuild from `to_dict`; InputError for anything else."""
        entries(d, "preparation", ("kind", "mean", "std", "scale", "width"))
        return cls(
            mean=finite(d["mean"], "preparation: mean"),
            std=finite(d["std"], "preparation: std", above=0),
            scale=finite(d["scale"], "preparation: scale", above=0),
            width=positive_int(d["width"], "preparation: width"),
        )


def _rows(raw: ArrayLike) -> NDArray[Any]:
    """Return pixels as (N, D), uint8 or floating point, all finite."""
    rows: NDArray[Any] = as_numbers(raw, "the array of rows")
    if rows.ndim == 3:
        rows = rows.reshape(len(rows), rows.shape[1] * rows.shape[2])
    if rows.ndim != 2:
        raise InputError(f"pixels of shape {rows.shape}: must be (N, D) or (N, H, W)")
    if rows.dtype.kind in "biu" and rows.dtype != np.uint8:
        rows = rows.astype(np.float64)
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        row, pixel = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"row {row + 1}, pixel {pixel}: {rows[row, pixel]} is not a finite number")
    return rows


def _pieces(rows: NDArray[Any]) -> Iterable[NDArray[Any]]:
    step = max(1, CHUNK_VALUES // max(1, rows.shape[1]))
    return (rows[i : i + step] for i in range(0, len(rows), step))


@dataclass(frozen=True)
class TablePreparation:
    """One encoder a column, in the order of the prepared columns.

    Numbers are standardised, a missing one becomes the mean; text and booleans become one-hot. See
    `backhand.preprocess.columns` for what each does. The original columns are found by name, so
    their order in a new table does not matter, and other columns are ignored.
    """

    encoders: tuple[cols.Encoder, ...]

    @classmethod
    def fit(
        cls,
        table: pa.Table | Mapping[str, Any],
        rows: NDArray[np.integer[Any]] | None = None,
        *,
        exclude: Iterable[str] = (),
    ) -> TablePreparation:
        """Choose and fit an encoder for each column.

        What a column holds (numbers, dates, booleans, text) is read off the whole table; every
        statistic, category and decision to drop comes only from ``rows``.

        Parameters
        ----------
        table : pyarrow.Table or mapping of column names to values
        rows : ndarray of int or None
            The training rows; None for all.
        exclude : iterable of str
            Columns that are no features, such as the target.

        Raises
        ------
        InputError
            For an infinite value, and if no column is left.

        Warns
        -----
        UserWarning
            Names the columns that are dropped because they are constant in the training rows, hold
            too many distinct texts, or are of a type that no encoder takes.
        """
        source = cols.as_table(table)
        skip = set(exclude)
        fitted: list[cols.Encoder] = []
        dropped: dict[str, list[str]] = {}
        for name in source.column_names:
            if name in skip:
                continue
            result = cols.fit_column(source, name, rows)
            if isinstance(result, str):
                dropped.setdefault(result, []).append(name)
            else:
                fitted.append(result)
        for reason, names in dropped.items():
            many = "columns are" if len(names) > 1 else "column is"
            listed = ", ".join(map(repr, names))
            warnings.warn(f"{len(names)} {many} left out ({reason}): {listed}", stacklevel=2)
        if not fitted:
            why = "; ".join(f"{', '.join(map(repr, n))}: {r}" for r, n in dropped.items())
            raise InputError(f"no usable feature column{f' ({why})' if why else ''}")
        return cls(tuple(fitted))

    @property
    def columns(self) -> list[str]:
        """The original columns that `apply` needs."""
        return [encoder.name for encoder in self.encoders]

    @property
    def feature_names(self) -> list[str]:
        """One name for each prepared column."""
        return [feature for encoder in self.encoders for feature in encoder.feature_names]

    @property
    def width(self) -> int:
        """D, the number of prepared columns."""
        return sum(len(encoder.feature_names) for encoder in self.encoders)

    @property
    def summary(self) -> str:
        """What the columns became, for people."""
        made = []
        for kind, holds in KINDS.items():
            found = [encoder for encoder in self.encoders if encoder.kind == kind]
            values = sum(len(e.values) for e in found if isinstance(e, cols.CategoryColumn))
            if found:
                made.append(f"{len(found)} of {holds}" + (f" ({values} values)" if values else ""))
        gaps = [repr(encoder.name) for encoder in self.encoders if encoder.missing]
        shown = ", ".join(gaps[:5]) + (f" and {len(gaps) - 5} more" if len(gaps) > 5 else "")
        if gaps:
            one = "an input" if len(gaps) == 1 else "an input each"
            shown = f" ({one} for values that are missing in training rows: {shown})"
        return f"columns: {', '.join(made)}, as {count(self.width, 'input')}{shown}"

    def apply(
        self, raw: pa.Table | Mapping[str, Any], tell_unseen: bool = True
    ) -> NDArray[np.float32]:
        """Prepare the rows of a table.

        Parameters
        ----------
        raw : table
            What `backhand.preprocess.columns.as_table` takes: a DataFrame, a pyarrow.Table, a
            mapping of columns, a list of rows. The original columns in any order; others are
            ignored.
        tell_unseen : bool
            Whether to warn of text that no training row has.

        Returns
        -------
        x : ndarray of float32, shape (N, D), C-contiguous

        Raises
        ------
        InputError
            For a missing column (with the nearest name that is there), for text where numbers
            belong and for an infinite number (with column, row and value).

        Warns
        -----
        UserWarning
            Names a column with text that no training row has, how much of it, and one value.
        """
        table = cols.as_table(raw)
        cols.check_there(table, self.columns)
        what = f"{self.width:,} inputs for each of {table.num_rows:,} rows take"
        check_size(4 * table.num_rows * self.width, most_bytes(), "the table", what)
        x = np.zeros((table.num_rows, self.width), dtype=np.float32)
        first = 0
        for encoder in self.encoders:
            last = first + len(encoder.feature_names)
            unseen = encoder.encode(table, x[:, first:last])
            if unseen and tell_unseen:
                warnings.warn(unseen, stacklevel=2)
            first = last
        return x

    def to_dict(self) -> dict[str, Any]:
        """Return what `preparation_from_dict` takes."""
        return {"kind": "table", "columns": [encoder.to_dict() for encoder in self.encoders]}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> TablePreparation:
        """Rebuild from `to_dict`; InputError for anything else."""
        entries(d, "preparation", ("kind", "columns"))
        if not isinstance(d["columns"], (list, tuple)) or not d["columns"]:
            raise InputError("preparation: columns must be a list that is not empty")
        encoders = tuple(cols.encoder_from_dict(item) for item in d["columns"])
        names = [encoder.name for encoder in encoders]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"preparation: column {twice!r} is there twice")
        return cls(encoders)


Preparation = Standardise | TablePreparation


def preparation_from_dict(d: object) -> Preparation:
    """Rebuild a preparation from what its ``to_dict`` returned.

    Parameters
    ----------
    d : mapping
        May come from a file that somebody has edited: every entry is checked.

    Raises
    ------
    InputError
        For anything that no ``to_dict`` returns; the message names the entry.
    """
    if not isinstance(d, Mapping):
        raise InputError(f"preparation: must be a mapping, not {type(d).__name__}")
    kind = one_of(d.get("kind"), "preparation kind", ("pixels", "table"))
    return Standardise.from_dict(d) if kind == "pixels" else TablePreparation.from_dict(d)
