"""`Explorable`: the method by which models and estimators are walked through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from .subjects import Subject
    from .walk import Walk


class Explorable:
    """What models and estimators inherit that say what is `explored`."""

    def explore(
        self, path: str | os.PathLike[str] | None = None, rows: Any = None, y: Any = None
    ) -> Walk:
        """A page in which one walks through the network; a notebook shows it.

        A row's numbers go forward, through the loss, and back, beside slopes that the page
        measures; parameters and activations can be changed, and the network trained. It is one
        HTML file that loads nothing from anywhere.

        Parameters
        ----------
        path : path-like, optional
            The file to write.
        rows : array or table
            Rows as `predict` takes them, of which a sample is kept.
        y : array-like (N,)
            Their classes, or values in the target's own unit.

        Raises
        ------
        InputError
            If rows or targets do not fit, there are several targets, the network is too large for
            a page, or the file cannot be written.
        """
        from .walk import walk_of

        if rows is None or y is None:
            raise InputError("a walk needs rows and their targets: give both")
        found = walk_of(self.explored(rows, y))
        if path is not None:
            found.save(path)
        return found

    def explored(self, rows: Any, y: Any) -> Subject:
        """The networks, rows and targets that `explore` shows."""
        raise NotImplementedError
