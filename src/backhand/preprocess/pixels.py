"""Pixels, or other numbers that are all of a kind, as a network's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backhand.errors import InputError
from backhand.formulas.columns import standardised
from backhand.plan.ranges import as_numbers
from backhand.preprocess.checks import entries, finite, positive_int
from backhand.run.namespaces import NUMPY

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
            return np.take(self._standardised(byte).astype(np.float32), rows)
        x = np.empty(rows.shape, dtype=np.float32)
        first = 0
        for piece in _pieces(rows):
            last = first + len(piece)
            with np.errstate(over="ignore"):
                x[first:last] = self._standardised(piece.astype(np.float64))
            first = last
        if not np.isfinite(x).all():
            row, pixel = np.argwhere(~np.isfinite(x))[0]
            raise InputError(
                f"row {row + 1}, pixel {pixel}: {rows[row, pixel]} is too large for float32"
            )
        return x

    def _standardised(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        z: NDArray[np.float64] = standardised(NUMPY, pixels, self.scale, self.mean, self.std)
        return z

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
