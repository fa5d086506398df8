"""Networks for tables: ensembles that take raw columns, in scikit-learn's manner.

In the order in which a fit uses them:

- `recipes`: the presets, a table of settings
- `targets`: what a network learns of a regression's target
- `metrics`: what a fit makes as good as it can
- `folds`: the training and validation rows of each network
- `network`: a recipe and prepared columns as a `backhand.Network`
- `member`: one network of an ensemble
- `watching`: callbacks and time limits, which look at networks while they are trained
- `checkpoints`: a fit that goes on after a kill
- `training`: trains them, within the time that there is
- `weights`: how much each kind of network counts, and how sure the ensemble may be
- `model`: all that predicts, and its file
- `importance`: what a score loses without a column
- `fitting`: goes this way, from rows and targets to a model
- `stream_rows`, `first_pass`, `second_pass`, `streaming`: the same for a table that is read while
  it is learned from
- `entering`: rows and parameters as people give them, checked
- `base`: what both estimators share
- `estimators`: `TabularClassifier` and `TabularRegressor`
"""

from __future__ import annotations

from .estimators import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
