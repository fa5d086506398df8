"""`load`: whatever backhand has trained and saved, from its file."""

from __future__ import annotations

import os
from typing import Any

from ..errors import InputError
from ..sealed import read_sealed, usable
from .model import HOLDS, Model


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that ``backhand train``, `Model.save` or an estimator's ``save`` has written.

    Nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        A safetensors file.

    Returns
    -------
    Model, MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        What was saved. Each has ``predict``; it predicts the same bits as before.

    Raises
    ------
    InputError
        If there is no such file, or it is truncated, foreign, edited, of another version, or uses
        a formula of your own that is not registered; the message says which.

    Examples
    --------
    >>> import backhand
    >>> flats = {"size": [35, 48, 60, 71, 84, 90], "city": ["Oslo", "Bergen"] * 3}
    >>> model = backhand.TabularRegressor("fast", random_state=0)
    >>> model.fit(flats, [210, 240, 330, 350, 470, 440]).save("flats.safetensors")
    >>> backhand.load("flats.safetensors").predict({"size": 70, "city": "Oslo"}).shape
    (1,)
    """
    tensors, about = read_sealed(path)
    holds: Any = about.get("holds")
    with usable(path, "model"):
        if holds == HOLDS:
            return Model.from_file(tensors, about)
        # scikit-learn takes longer to load than a model does
        from .. import estimators, tabular

        for kind in (estimators, tabular):
            if holds in kind.__all__:
                return getattr(kind, holds).from_file(tensors, about)
        raise InputError(f"it holds {holds!r:.60}, which is nothing that can be loaded")
