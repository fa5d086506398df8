"""What the classifier and the regressor of tables share."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from ..datasets.sources import is_source
from ..datasets.stream import Stream
from ..errors import InputError, count
from ..estimators.entering import as_input_error
from ..estimators.parameters import validation_rows
from ..estimators.persistence import Loadable, plain, read_plain
from ..estimators.shown import Shown
from ..estimators.weighing import checked_weight, product, weights_of_classes
from ..export.exportable import Exportable
from ..plan.ranges import check_unmasked
from ..preprocess.checks import listed, positive_int, text
from ..preprocess.tables import Columns, columns_of, is_missing
from ..report.walk.explorable import Explorable
from ..sealed import write_sealed
from .entering import generator, is_list_of_dicts, is_whole, sequence, table_of
from .fitting import Fitted, Labelled, Settings, fit_model
from .importance import shuffled_losses
from .metrics import Metric
from .model import TableModel
from .recipes import Recipe
from .streaming import fit_stream

if TYPE_CHECKING:
    from ..export.program import Program
    from ..report.page.report import Report
    from ..report.walk.subjects import Subject

Array = Any


class BaseTabular(Shown, Loadable, Exportable, Explorable, BaseEstimator):  # type: ignore[misc]  # scikit-learn
    """What both estimators share."""

    def _set(self, values: dict[str, Any]) -> None:
        """Set every parameter, from the constructor's `locals()`."""
        for name in self._get_param_names():
            setattr(self, name, values[name])

    def fit(
        self,
        X: Any,
        y: Array = None,
        sample_weight: Any = None,
        *,
        target: str | None = None,
        X_val: Any = None,
        y_val: Array | None = None,
        sample_weight_val: Array | None = None,
        checkpoint: Any = None,
    ) -> Any:
        """Fit the networks to the rows of a table.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            A DataFrame of pandas or Polars, an Arrow table, an array of numbers or objects, or a
            list of rows as dicts. Numbers, texts, booleans and dates are recognised; values may be
            missing. Or a table that memory does not hold: a `backhand.Stream`, or what one is made
            of, such as a folder of Parquet files.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0; only their ratios matter. A row of weight 0 is as if it were not there. Of a
            stream, the name of a column.
        target : str, default=None
            Of a stream, in the place of y: the column to predict.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Rows to choose epochs and weights by, instead of some of X; they go through the same
            preparation, which is fitted to X only. Of a stream, X_val is another one.
        checkpoint : path-like or Checkpoint, default=None
            A folder, where the networks are kept every minute, or as often as the `Checkpoint`
            says. If it has those of a fit that did not end, the same parameters and data go on
            with it, to the same bits; without a ``random_state`` that fit's seed holds. It is
            removed in the end.

        Returns
        -------
        self : object

        Raises
        ------
        InputError
            A ``ValueError``: if a parameter or the data make no sense, or training diverges.
        """
        if isinstance(X, Stream) or is_source(X):
            name = target if y is None else y
            return self._fit_stream(X, name, sample_weight, X_val, checkpoint)
        if target is not None:
            raise InputError(f"target={target!r:.60} is for a stream; of a table in memory, pass y")
        given = validation_rows(X_val, y_val, sample_weight_val)
        scratch = self._scratch()
        rows, classes = self._entered(scratch, X, y, sample_weight, None, "", reset=True)
        validation = None
        if given is not None:
            validation, _ = self._entered(scratch, *given, classes, "_val", reset=False)
        settings = self._settings(checkpoint)
        fitted = fit_model(rows, classes, settings, validation, getattr(y, "name", None))
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__ |= scratch.__dict__ | self._attributes(fitted, classes)
        return self

    def _settings(self, checkpoint: Any) -> Settings:
        settings = Settings(
            self.preset,
            self.n_members,
            self.time_limit,
            self.metric,
            int(generator(self.random_state).randint(2**31 - 1)),
            self.threads,
            sequence(self.callbacks, "callbacks", "functions"),
            sequence(self.drop, "drop", "columns"),
            sequence(self.keep, "keep", "columns"),
        )
        seeded = self.random_state is not None
        return settings.with_checkpoint(checkpoint, type(self).__name__, seeded)

    def _fit_stream(self, X: Any, target: Any, weight: Any, X_val: Any, checkpoint: Any) -> Any:
        """Fit to a table that is read while it is learned from."""
        for name, given in (("target", target), ("sample_weight", weight)):
            if not isinstance(given, str) and (given is not None or name == "target"):
                raise InputError(
                    f"{name} of a stream must be a column's name, got {given!r:.60}; "
                    f"X={X!r:.60} is one, and no table in memory"
                )
        fitted, classes, names = fit_stream(
            _stream(X),
            target,
            self._settings(checkpoint),
            regression=is_regressor(self),
            weight=weight,
            class_weight=getattr(self, "class_weight", None),
            validation=None if X_val is None else _stream(X_val),
        )
        self.__dict__ |= self._attributes(fitted, classes)
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.array(names, dtype=object)
        return self

    def _learned(self) -> str:
        model: TableModel | None = self.__dict__.get("model_")
        if model is None:
            return ""
        score = ""
        if math.isfinite(self.held_out_score_):
            from ..report.scores import named

            name, sign = named(Metric(str(model.about["metric"])))
            score = f"; {name} of held-out rows {sign * self.held_out_score_:.4g}"
        rows = count(int(model.about["rows"]), "row")
        networks = count(len(model.members), "network")
        return f"Fitted: {networks}, from {rows}; {model.preparation.summary}{score}"

    def _scratch(self) -> Any:
        """An estimator without attributes of a fit, to learn names of columns."""
        scratch = object.__new__(type(self))
        scratch.__dict__ |= self.get_params(deep=False)
        return scratch

    def _attributes(self, fitted: Fitted, classes: Array | None) -> dict[str, Any]:
        return {
            "model_": fitted.model,
            "members_": fitted.members,
            "held_out_": fitted.held_out,
            "held_out_score_": fitted.score,
        }

    def _entered(
        self,
        scratch: Any,
        X: Any,
        y: Array,
        sample_weight: Array | None,
        classes: Array | None,
        which: str,
        reset: bool,
    ) -> tuple[Labelled, Array | None]:
        """Checked rows, those of weight 0 left out, and the classes."""
        table = table_of(scratch, X, reset, f"X{which}")
        if y is None:
            raise InputError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        y, classes = self._targets(y, table, classes, which)
        if table.rows < 2 and not which:
            raise InputError(f"X has {table.rows} rows (n_samples={table.rows}): 2 are needed")
        factors = []
        if sample_weight is not None:
            factors.append(checked_weight(sample_weight, y[:, None], f"sample_weight{which}"))
        if not which and classes is not None and getattr(self, "class_weight", None) is not None:
            factors.append(weights_of_classes(self.class_weight, classes, y[:, None]))
        if not factors:
            return Labelled(table, y), classes
        weight, _ = product(factors, "float32", f"sample_weight{which}")
        counted = np.flatnonzero(weight > 0)
        if len(counted) == len(y):
            return Labelled(table, y, weight), classes
        weight = weight[counted]
        weight = None if (weight == weight[0]).all() else weight  # only their ratios matter
        y = y[counted]
        if classes is not None and not which:
            present, y = np.unique(y, return_inverse=True)
            classes = classes[present]
        return Labelled(table, y, weight, counted), classes

    def _targets(
        self, y: Any, table: Columns, classes: Array | None, which: str = ""
    ) -> tuple[Array, Array | None]:
        """The targets of a table's rows as numbers, and the classes if there are any."""
        name = f"y{which}"
        check_unmasked(y, name)
        with as_input_error(name):
            y = column_or_1d(y, warn=True)
        if len(y) != table.rows:
            raise InputError(f"X{which} has {table.rows} rows, and {name} has {len(y)}")
        if y.dtype.kind in "fOMm":
            with np.errstate(invalid="ignore"):
                absent = [is_missing(value) for value in y] if y.dtype.kind == "O" else y != y
            absent = np.asarray(absent, bool)
            if y.dtype.kind == "f":
                absent |= np.isinf(y)
            if absent.any():
                row = int(np.flatnonzero(absent)[0])
                raise InputError(
                    f"Input {name} contains NaN or infinity, or lacks a value: it is {y[row]} in "
                    f"row {row}; leave such rows out"
                )
        return self._numbered(y, classes, name)

    def _numbered(self, y: Array, classes: Array | None, name: str) -> tuple[Array, Array | None]:
        """Targets, none missing, as numbers, and the classes if there are any."""
        raise NotImplementedError

    def _rows(self, X: Any) -> Any:
        """Rows to predict."""
        check_is_fitted(self)
        if isinstance(X, Mapping) or is_list_of_dicts(X):
            return X  # by names, in any order
        return table_of(self, X, False, "X")

    def predict(self, X: Any) -> Array:
        """The class of each row, or its value, which is within the range of the training rows.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As for `fit`. Dicts may have their entries in any order, and further ones.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        InputError
            If a column is missing, or a value makes no sense.
        """
        rows = self._rows(X)  # which raises if it is not fitted
        return self.model_.predict(rows)

    def to_program(self) -> Program:
        """The fitted model as straight-line programs, from which exports are written."""
        check_is_fitted(self)
        model: TableModel = self.model_
        return model.to_program()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a safetensors file, whole or not at all.

        `backhand.load` reads it, and then it predicts the same bits. Callbacks, histories and
        held-out rows are not kept.

        Raises
        ------
        InputError
            If a parameter is no plain value, or the folder cannot be written to.
        """
        check_is_fitted(self)
        given = {**self.get_params(deep=False), "callbacks": ()}
        if isinstance(self.preset, Recipe):
            given["preset"] = dataclasses.asdict(self.preset)
        about = {
            "holds": type(self).__name__,
            "parameters": {name: plain(name, value) for name, value in given.items()},
            "columns": self.n_features_in_,
            "names": [*getattr(self, "feature_names_in_", [])] or None,
            "score": plain("held_out_score_", self.held_out_score_),
            "model": self.model_.to_dict(),
        }
        write_sealed(path, self.model_.tensors(), about)

    @classmethod
    def from_file(cls, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> Any:
        """The estimator of a file's content. Raises InputError, or an error of `UNFIT`."""
        made = cls.unfitted(about)
        if isinstance(made.preset, dict):
            made.preset = Recipe.from_dict(made.preset)
        model = TableModel.from_dict(about["model"], tensors)
        if (model.classes is None) != is_regressor(made):
            raise InputError(f"its model is a {model.task}")
        made.model_, made.members_ = model, [*model.members]
        made.n_features_in_ = positive_int(about["columns"], "columns")
        made.held_out_ = None
        made.held_out_score_ = float(read_plain(about["score"]))
        if about["names"] is not None:
            names = [text(name, "names") for name in listed(about["names"], "names")]
            if len(names) != made.n_features_in_ or not set(model.preparation.columns) <= {*names}:
                raise InputError("its names are not those of its columns")
            made.feature_names_in_ = np.array(names, dtype=object)
        if model.classes is not None:
            made.classes_ = model.classes
        return made

    def explored(self, rows: Any, y: Any) -> Subject:
        """The networks, rows and targets that `explore` shows."""
        from ..report.walk.subjects import of_table

        check_is_fitted(self)
        raw = columns_of(self._rows(rows))
        numbers, _ = self._targets(y, raw, self.model_.classes)
        return of_table(self.model_, raw, numbers)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        X: Any = None,
        y: Array | None = None,
        *,
        held_out: bool = False,
    ) -> Report:
        """Everything that can be seen of the model, as one HTML file.

        Scores, thresholds, calibration or errors; what columns matter, and how; the rows that are
        most wrong, and why; how training went, and whether the layers are well. Of what happened
        in the layers while they were trained it tells if a `backhand.Watcher` was among the
        ``callbacks``. A notebook shows what this returns.

        Parameters
        ----------
        path : path-like, default=None
            The file to write.
        X : table of shape (n_samples, n_features), default=None
            Rows that were not learned from. Without any, only training and health are shown.
        y : array-like of shape (n_samples,), default=None
        held_out : bool
            Whether X and y are those of `fit`. Then each row that was held out is answered by the
            networks that had not learned from it.

        Returns
        -------
        Report

        Raises
        ------
        InputError
            If rows or targets do not fit, or the file cannot be written.
        """
        from ..report.page.reports import of_tabular

        check_is_fitted(self)
        raw = numbers = None
        if X is not None:
            raw = columns_of(self._rows(X))
            if y is None:
                raise InputError("rows without targets cannot be scored: give y as well")
            numbers, _ = self._targets(y, raw, self.model_.classes)
        looks: dict[int, Any] = {}
        for callback in sequence(self.callbacks, "callbacks", "functions"):
            looks |= {n: m.looks for n, m in getattr(callback, "monitors", {}).items()}
        found = of_tabular(self, raw, numbers, held_out=held_out, looks=looks)
        if path is not None:
            found.save(path)
        return found

    def feature_importances(
        self, X: Any, y: Array, *, n_repeats: int = 5, random_state: Any = None
    ) -> dict[str, Array]:
        """How much worse the metric becomes where the values of one column change places.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows that were not learned from, for an honest answer.
        y : array-like of shape (n_samples,)
        n_repeats : int
        random_state : int, RandomState or None

        Returns
        -------
        dict of str to array of shape (n_repeats,)
            By the name of each column that is used, most important first: how much the metric that
            the model was fitted for loses. Breiman 2001, section 10. Of an array, columns are
            called x0, x1 and so on.

        Raises
        ------
        InputError
            If X or y are not as for `fit`, or n_repeats is no number of times.
        """
        check_is_fitted(self)
        if not (is_whole(n_repeats) and n_repeats > 0):
            raise InputError(f"n_repeats must be a whole number over 0, got {n_repeats!r:.60}")
        table = columns_of(self._rows(X))
        model, rng = self.model_, generator(random_state)
        y, _ = self._targets(y, table, model.classes)
        metric = Metric(model.about["metric"])
        x = model.preparation.apply(table)

        def score(x: Array) -> float:
            return float(model.score(metric, y, model.predict_many(x)))

        return shuffled_losses(x, model.preparation.places, score, n_repeats, rng)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _stream(given: Any) -> Stream:
    return given if isinstance(given, Stream) else Stream(given)
