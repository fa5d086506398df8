"""Fully connected networks on ordinary processors: formulas, checks and fast training.

Everything here is imported when it is first used, so that ``import backhand`` is quick and does
not load scikit-learn, llvmlite or pyarrow until something needs them.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Network": "network",
    "Layer": "plan.layers",
    "TrainConfig": "train.config",
    "Rows": "train.rows",
    "stream_rows": "train.stored",
    "fit": "train.fit",
    "fit_several": "train.several",
    "FitResult": "train.result",
    "DivergedError": "train.result",
    "TrainState": "train.state",
    "Checkpoint": "train.checkpoint",
    "Monitor": "train.monitor",
    "load_checkpoint": "train.checkpoint",
    "ProgressBar": "report.progress",
    "Watcher": "report.page.health",
    "verify": "check",
    "register_activation": "check",
    "register_initialiser": "check",
    "register_layer": "check",
    "register_loss": "check",
    "register_optimiser": "check",
    "register_schedule": "check",
    "Activation": "formulas.activations",
    "Initialiser": "formulas.initialisers",
    "Loss": "formulas.losses",
    "Optimiser": "formulas.optimisers",
    "Schedule": "formulas.schedules",
    "Stream": "datasets.stream",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "TabularClassifier": "tabular",
    "TabularRegressor": "tabular",
    "Model": "export",
    "load": "export",
    "Predictor": "serve",
    "load_predictor": "serve",
    "BackhandError": "errors",
    "InputError": "errors",
}

__all__ = [*_HOME, "layers", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "layers":
        return importlib.import_module("backhand.layers")
    if name not in _HOME:
        raise AttributeError(f"module 'backhand' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"backhand.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
