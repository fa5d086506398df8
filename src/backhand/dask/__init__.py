"""Networks for tables that lie on many machines: estimators for Dask, an extra.

Every task is a pure function of a partition or a shard, so it does not matter where one runs, and
one whose worker was lost runs elsewhere. In the order in which a fit uses them:

- `waiting`: results of tasks, or one clear error
- `partitions`: the partitions of Dask's collections as tables
- `passes`: what workers do with these: statistics, prepared rows
- `training`: shards on workers, trained on between exchanges; see `backhand.train.shards`
- `estimators`: `DaskTabularClassifier` and `DaskTabularRegressor`
"""

from __future__ import annotations

from .estimators import DaskTabularClassifier, DaskTabularRegressor

__all__ = ["DaskTabularClassifier", "DaskTabularRegressor"]
