"""The 1,797 handwritten digits of 8 by 8 pixels that ship with scikit-learn."""

from __future__ import annotations

import numpy as np

from backhand.datasets.data import Data
from backhand.datasets.splitting import checked_seed, split_rows
from backhand.preprocess.pixels import Standardise
from backhand.train.rows import Rows

# Pixels count from 0 to 16.
SCALE = 1 / 16


def load_digits(seed: int = 0) -> Data:
    """Load the digits, split 60/20/20, stratified.

    Parameters
    ----------
    seed : int
        Decides the split: 0 <= seed < 2**32.

    Returns
    -------
    Data
        Classification with classes 0 to 9 and 64 inputs, standardised by one mean and one std over
        the training rows' pixels.

    Raises
    ------
    InputError
        For a seed that is no such integer.
    """
    from sklearn.datasets import load_digits as bundled

    seed = checked_seed(seed)
    pixels, labels = bundled(return_X_y=True)
    labels = labels.astype(np.int64)
    parts = split_rows(len(labels), labels, seed)
    preparation = Standardise.fit(pixels[parts[0]], SCALE)
    train, validation, test = (
        Rows(preparation.apply(pixels[rows]), labels[rows]) for rows in parts
    )
    return Data(
        name="digits",
        task="classification",
        train=train,
        validation=validation,
        test=test,
        classes=list(range(10)),
        preparation=preparation,
        target=None,
        feature_names=preparation.feature_names,
    )
