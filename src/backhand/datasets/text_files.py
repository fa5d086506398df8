"""CSV and TSV files as a source: one after another, all cells as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backhand.datasets.dialect import checked_encoding, checked_separator, find_dialect
from backhand.datasets.reading import SEPARATORS, check_decimal, likely_decimal, noted, text_parts
from backhand.datasets.source import Batch, Source, check_unchanged, let_through, slices
from backhand.errors import InputError
from backhand.files import check_file, reading
from backhand.preprocess import arrow


class TextFiles(Source):
    """CSV and TSV files, in their order. All cells are text, and columns say what they hold.

    Parameters
    ----------
    paths : list of Path
    filter : pyarrow.compute.Expression, optional
    separator, decimal, encoding : str, optional
    """

    def __init__(
        self,
        paths: list[Path],
        filter: Any,
        separator: str | None,
        decimal: str | None,
        encoding: str | None,
    ) -> None:
        self._paths, self._filter, self._decimal = paths, filter, decimal
        separator, encoding = checked_separator(separator), checked_encoding(encoding)
        check_decimal(decimal, separator)
        self._dialects, self._seen = [], []
        for path in paths:
            usual = next(v for k, v in SEPARATORS.items() if k in path.name.lower())
            with reading(path):
                self._dialects.append(find_dialect(path, separator, encoding, usual))
            self._seen.append(self._state(path))
        self.names = [name for name in self._dialects[0].names if name]
        for path, dialect in zip(paths, self._dialects, strict=True):
            missing = sorted(set(self.names) - set(dialect.names))
            if missing:
                raise InputError(f"{path}: has no column {missing[0]!r}, and {paths[0]} has one")
        self._likely = "."
        for table in text_parts(paths[0], self._dialects[0]):
            self._likely = likely_decimal(table, self._dialects[0])
            break

    def _state(self, path: Path) -> tuple[int, int]:
        found = path.stat()
        return found.st_size, found.st_mtime_ns

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        names, first = self.names if columns is None else list(columns), 0
        for path, dialect, seen in zip(self._paths, self._dialects, self._seen, strict=True):
            self._check(path, seen)
            for whole in text_parts(path, dialect):
                for some in slices(whole):
                    table = let_through(some, self._filter, str(path)).select(names)
                    key = arrow.LIKELY_DECIMAL if self._decimal is None else arrow.DECIMAL
                    table = noted(table, key, self._decimal or self._likely)
                    if len(table):
                        yield Batch(table, np.arange(first, first + len(table)), str(path))
                    first += len(some)
            self._check(path, seen)

    def _check(self, path: Path, seen: tuple[int, int]) -> None:
        check_file(path)
        check_unchanged(path, self._state(path), seen)
