"""How fast a classifier learns from a bag of words, beside scikit-learn, and made dense in pieces.

    python benchmarks/sparse.py [--rows 20000] [--columns 10000] [--entries 100] [--epochs 2]

Every contender runs the same epochs of Adam in float32; the times are those of `fit`. The pieces
are 20 batches at a time of the same CSR rows, made dense for the same compiled training.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

from backhand import MLPClassifier
from backhand.run.llvm.runtime import engine

BATCHES_AT_ONCE = 20


def words(rows: int, columns: int, entries: int) -> tuple[Any, Any]:
    """Counts of words, rare ones in the end, and the class that random weights of words give."""
    rng = np.random.default_rng(0)
    indices = (columns * rng.random((rows, entries)) ** 2).astype(np.int32)
    indptr = np.arange(rows + 1) * entries
    data = np.ones(rows * entries, np.float32)
    x = sparse.csr_matrix((data, indices.ravel(), indptr), shape=(rows, columns))
    x.sum_duplicates()
    return x, (x @ rng.standard_normal(columns) > 0).astype(int)


class InPieces(engine.CompiledTrainer):
    """Training that makes some batches at a time dense."""

    def epoch(self, x: Any, t: Any, weight: Any, order: Any, batch: int, *rest: Any) -> float:
        scalars, first_step = rest
        loss = 0.0
        for first in range(0, math.ceil(len(order) / batch), BATCHES_AT_ONCE):
            some = slice(first, first + BATCHES_AT_ONCE)
            rows = order[first * batch : (first + BATCHES_AT_ONCE) * batch]
            loss += len(rows) * super().epoch(
                x[rows].toarray(),
                t[rows],
                weight,
                np.arange(len(rows)),
                batch,
                {name: v[some] if np.ndim(v) else v for name, v in scalars.items()},
                first_step + first,
            )
        return loss / len(order)


def main() -> None:
    """Print the time of each contender, and its loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args()
    x, y = words(given.rows, given.columns, given.entries)
    settings = {"hidden_layer_sizes": (100,), "batch_size": 200, "random_state": 0}
    warnings.simplefilter("ignore", ConvergenceWarning)
    direct = engine.CompiledTrainer
    contenders = (
        ("stored entries", MLPClassifier, direct),
        ("in pieces", MLPClassifier, InPieces),
        ("scikit-learn", neural_network.MLPClassifier, direct),
    )
    MLPClassifier(max_iter=1, **settings).fit(x[:400], y[:400])  # what is compiled is kept
    for name, kind, trainer in contenders:
        engine.CompiledTrainer = trainer  # type: ignore[misc]
        start = time.perf_counter()
        model = kind(max_iter=given.epochs, **settings).fit(x, y)
        took = time.perf_counter() - start
        print(f"{name:15} {took / given.epochs:7.3f} s an epoch, loss {model.loss_:.6f}")


if __name__ == "__main__":
    main()
