"""Networks for tables: ensembles that take raw columns, in scikit-learn's manner.

In the order in which a fit uses them:

- `recipes`: the presets, a table of settings
- `targets`: what a network learns of a regression's target
- `metrics`: what a fit makes as good as it can
- `folds`: which rows each network learns from, and which it is judged by
- `network`: a recipe and prepared columns as a `backhand.Network`
- `members`: the networks, trained
- `weights`: how much each kind of network counts, and how sure the ensemble may be
- `model`: all that predicts, and its file
- `estimators`: `TabularClassifier` and `TabularRegressor`
"""

from __future__ import annotations

from .estimators import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
