"""Digests of trained weights, to show that a change of structure changed no bit.

    python tests/golden/digests.py            compare with digests.json; exits 1 if one differs
    python tests/golden/digests.py --write    write it anew, where a change of bits is meant

Every case is a fit through the estimators in machine code, most of them in float32, whose bits do
not depend on threads or instruction set. Data and first weights come from NumPy's legacy
generator, which is the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from backhand import MLPClassifier, MLPRegressor

KEPT = pathlib.Path(__file__).with_name("digests.json")
ACTIVATIONS = (
    *("identity", "relu", "shifted_relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish"),
    *("softplus", "tanh", "logistic"),
)
SHAPES = (
    *((784, 50, 10, 64), (784, 256, 10, 128), (20, 128, 2, 256), (1, 1, 2, 7)),
    *((17, 129, 11, 31), (100, 300, 3, 500), (4090, 8, 2, 16)),
)
LOSSES = (
    *("squared_error", "absolute_error", "huber", "quantile:level=0.9", "quantiles:0.1,0.5,0.9"),
    *("poisson", "gamma", "tweedie"),
)


class Case(NamedTuple):
    """A fit: what learns, from how many rows, inputs and outputs, of which kind."""

    learner: type
    parameters: dict[str, Any]
    shape: tuple[int, int, int]
    kind: str = "class"
    how: str = ""


def cases() -> dict[str, Case]:
    """Every case by name."""
    c, r = MLPClassifier, MLPRegressor
    found = {
        f"activation {a}": Case(c, {"hidden_layer_sizes": (33, 20), "activation": a}, (500, 13, 4))
        for a in ACTIVATIONS
    }
    for solver in ("sgd", "adam", "adamw"):
        for rate in (0.0, 0.3):
            chosen = {"hidden_layer_sizes": (64, 17), "solver": solver, "dropout": rate}
            found[f"solver {solver} dropout {rate}"] = Case(c, chosen, (700, 20, 3))
    for depth in (1, 2, 3, 5):
        chosen = {"hidden_layer_sizes": (40,) * depth, "batch_size": 64}
        found[f"depth {depth}"] = Case(c, chosen, (900, 10, 2))
    for inputs, hidden, outputs, batch in SHAPES:
        chosen = {"hidden_layer_sizes": (hidden,), "batch_size": batch}
        name = f"shape {inputs}-{hidden}-{outputs} batch {batch}"
        found[name] = Case(c, chosen, (1100, inputs, outputs))
    for loss in LOSSES:
        chosen = {"loss": loss, "hidden_layer_sizes": (31,)}
        found[f"loss {loss}"] = Case(r, chosen, (600, 9, 1), "number")
    one, two = {"hidden_layer_sizes": (31,)}, {"hidden_layer_sizes": (31, 7)}
    five = (600, 9, 5)
    found["several outputs"] = Case(r, {"hidden_layer_sizes": (31, 9)}, five, "number")
    found["several labels"] = Case(c, one, five, "labels")
    found["focal"] = Case(c, {**one, "loss": "focal"}, five)
    found["smoothed"] = Case(c, {**one, "label_smoothing": 0.1}, five)
    found["clipped"] = Case(c, {**one, "clip_norm": 0.1}, five)
    found["cosine"] = Case(c, {**one, "learning_rate": "constant", "alpha": 0.01}, five)
    found["weighted"] = Case(c, one, five, how="weighted")
    found["sparse"] = Case(c, two, (600, 90, 5), how="sparse")
    found["not shuffled"] = Case(c, {**two, "shuffle": False}, (605, 9, 5))
    found["float64 data"] = Case(c, {**two, "dtype": "float32"}, (605, 9, 5), how="double")
    for a in ("identity", "relu", "tanh"):
        chosen = {"solver": "sgd", "learning_rate_init": 1e-3, "dtype": "float64"}
        chosen = {**two, "activation": a, **chosen}
        found[f"float64 sgd {a}"] = Case(r, chosen, (605, 9, 1), "number")
    return found


def data(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """X, y and what else `fit` takes."""
    rows, inputs, outputs = case.shape
    random = np.random.RandomState(0)
    x: Any = random.standard_normal((rows, inputs)).astype(np.float32)
    if case.kind == "class":
        y = random.randint(outputs, size=rows)
        y[:outputs] = np.arange(outputs)
    elif case.kind == "labels":
        y = (random.standard_normal((rows, outputs)) > 0).astype(int)
    else:
        noise = random.standard_normal((rows, outputs))
        y = np.abs(x[:, :1] + noise).astype(np.float32) + 0.1
        y = y[:, 0] if outputs == 1 else y
    weight = {}
    if case.how == "weighted":
        weight = {"sample_weight": np.random.RandomState(1).random_sample(rows)}
    if case.how == "sparse":
        x = scipy.sparse.csr_matrix(np.where(np.abs(x) > 1.2, x, 0))
    if case.how == "double":
        x = x.astype(np.float64)
    return x, y, weight


def digest(case: Case) -> str:
    """The digest of the weights after three epochs, on one thread and on two."""
    x, y, weight = data(case)
    found = []
    for threads in (1, 2):
        model = case.learner(
            max_iter=3,
            tol=0.0,
            n_iter_no_change=10**6,
            random_state=0,
            threads=threads,
            engine="llvm",
            **case.parameters,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # three epochs are no end to a training
            model.fit(x, y, **weight)
        bits = hashlib.sha256()
        for a in (*model.coefs_, *model.intercepts_):
            bits.update(np.ascontiguousarray(a).tobytes())
        found.append(bits.hexdigest()[:16])
    return found[0] if found[0] == found[1] else "differs by threads"


def kept() -> dict[str, str]:
    """The digests that are held to."""
    return dict(json.loads(KEPT.read_text("utf-8")))


def main() -> int:
    now = {name: digest(case) for name, case in cases().items()}
    if "--write" in sys.argv:
        KEPT.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
        print(f"{len(now)} digests written")
        return 0
    then = kept()
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    for name in changed:
        print(f"{name}: {then.get(name)} before, {now.get(name)} now")
    print(f"{len(then) - len(changed)} of {len(then)} digests of trained weights are as before")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
