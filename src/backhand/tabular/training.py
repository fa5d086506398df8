"""Trains the networks of an ensemble, each on rows of its own and on a thread of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from ..network import Network
from ..preprocess.preparation import TablePreparation
from ..run.llvm.host.team import available_threads, checked_threads
from ..sealed import checksum
from ..train.blocks import Blocks
from ..train.callbacks import Callback
from ..train.config import TrainConfig
from ..train.fit import fit
from ..train.result import DivergedError, FitResult
from ..train.rows import Rows, parts
from ..train.several import fit_several
from ..train.spread import fit_spread, has_workers
from .checkpoints import FitCheckpoint, MemberCheckpoint
from .folds import Fold
from .member import Member, outputs_of
from .metrics import Metric, metric_of
from .network import code_counts, network_of, with_unseen
from .recipes import LOG, NetworkRecipe, Recipe
from .targets import TargetScale
from .watching import Watch

Array = Any

FEWEST_EPOCHS = 8
"""A time limit first takes epochs, down to these; then networks, and then rows."""

RETRY_RATE = 0.25
"""Factor of the learning rate after a training that has diverged."""

TRIES = 3

SAMPLE = 1024
"""Rows that initial weights are made for."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What there is to learn.

    Attributes
    ----------
    preparation : TablePreparation
    x : array of float32 (N, D)
        Prepared rows.
    y : array (N,)
        Numbers of classes, or values.
    weight : array (N,) or None
    classes : int
        How many; 0 for a regression.
    metric : Metric
    folds : list of Fold
        Rows of x for the members of each kind.
    by_score : bool
        Whether the metric, and not the loss, says which epoch is the best one.
    """

    preparation: TablePreparation
    x: Array
    y: Array
    weight: Array | None
    classes: int
    metric: Metric
    folds: Sequence[Fold]
    by_score: bool = False

    @property
    def sample(self) -> Array:
        """Prepared rows (M, D) of which bins are made."""
        return self.x

    def scale(self, log: bool) -> TargetScale:
        """The scale of a regression's target."""
        return TargetScale.of(self.y, log)

    def start(self, rows: Any, seed: int) -> Array:
        """Some of a network's training rows, that its initial weights are made for."""
        return rows.x[some_of(len(rows), SAMPLE, seed)]

    def code_counts(self, rows: Any) -> list[Array]:
        """How many of a network's training rows have each code of each embedded column."""
        return code_counts(self.preparation, rows.x)

    def shortened(self, rows: Any, most: int, shuffled: bool, seed: int) -> Any:
        """At most so many of a network's training rows."""
        # the beginning of shuffled rows is no copy
        return rows.take(slice(0, most) if shuffled else some_of(len(rows), most, seed))

    def rows(self, which: Any, scale: TargetScale | None) -> Any:
        """Some of the rows, as a network with this target takes them."""
        y = self.y[which]
        t = y if scale is None else scale.encode(y)
        weight = None if self.weight is None else self.weight[which]
        return Rows(self.x[which], t, weight)

    def arrays(self) -> dict[str, Array]:
        """Arrays that tell these data from others, by name."""
        named = {"x": self.x, "y": self.y, "weight": self.weight}
        return {name: a for name, a in named.items() if a is not None}

    def described(self) -> dict[str, Any]:
        """What tells this task from others, for JSON."""
        return {"data": checksum(self.arrays(), json.dumps(self.preparation.to_dict()))}


@dataclasses.dataclass
class _Job:
    """One member before it is trained."""

    kind: int
    recipe: NetworkRecipe
    network: Network
    scale: TargetScale | None
    fold: Fold
    rows: Rows | Blocks
    validation: Rows | None
    seed: int

    def sample(self) -> Rows | None:
        """Some of its rows; of those that are streamed, of the held-out ones, which are here."""
        rows = self.rows if isinstance(self.rows, Rows) else self.validation
        return rows and rows.take(some_of(len(rows), SAMPLE, self.seed))


class _Settings(NamedTuple):
    """What the networks of a fit share; ``threads`` is how many are trained at a time."""

    recipe: Recipe
    epochs: int
    batch_size: int
    threads: int | None
    watch: Watch

    def config(self, job: _Job, rate_factor: float) -> TrainConfig:
        decay = f"weight_decay={job.recipe.weight_decay}"
        epochs = max(1, round(self.epochs * job.recipe.epochs))
        return TrainConfig(
            epochs=epochs,
            batch_size=min(self.batch_size, len(job.rows)),
            optimiser=f"adamw:beta2={job.recipe.beta2},{decay}",
            learning_rate=job.recipe.learning_rate * rate_factor,
            schedule="coslog4",
            schedules={"weight_decay": "flat_cos", "dropout": "flat_cos"},
            seed=job.seed,
            patience=max(1, math.ceil(self.recipe.patience * epochs)),
        )

    def callback(self, number: int, job: _Job) -> Callback:
        return self.watch.callback_of(number, job.kind, job.network, job.sample)


def train_members(
    task: Task,
    recipe: Recipe,
    *,
    seed: int,
    threads: int | None = None,
    callbacks: Iterable[Callback] = (),
    deadline: float = math.inf,
    checkpoint: FitCheckpoint | None = None,
) -> list[Member]:
    """Train the networks of a recipe.

    Parameters
    ----------
    task : Task
    recipe : Recipe
    seed : int
    threads : int, optional
        How many networks are trained at a time. Never changes a bit of the result.
    callbacks : iterable of callable
        Each is called with a `MemberProgress`, one call at a time; True ends the fit.
    deadline : float
        When the fit is to be over, as `time.monotonic`. Fewer epochs, networks or rows are learned
        from if time would not be enough.
    checkpoint : FitCheckpoint, optional
        Where networks are kept while they are trained, and gone on with; only without a deadline.

    Raises
    ------
    InputError
        If the checkpoint is that of another training.
    DivergedError
        If a network diverges, even with smaller learning rates.
    KeyboardInterrupt
        If Ctrl-C came before any network had an epoch.
    """
    jobs = _jobs(task, recipe, seed)
    epochs, batch_size = recipe.length(len(jobs[0].rows))
    at_once = min(checked_threads(threads) or available_threads(), len(jobs))
    if deadline < math.inf:
        jobs, epochs = _affordable(jobs, epochs, batch_size, at_once, deadline, task)
    if checkpoint is not None:
        checkpoint.begin(lambda: {"recipe": dataclasses.asdict(recipe), **task.described()})
    watch = Watch(list(callbacks), len(jobs), deadline)
    shared = _Settings(recipe, epochs, batch_size, threads, watch)
    rounds = [jobs] if deadline == math.inf else _rounds(jobs, at_once)
    results: list[FitResult] = []
    for part in rounds:
        begun = time.monotonic()
        results += _train_stably(task, part, checkpoint, shared, len(results))
        if 2 * time.monotonic() - begun > deadline:
            break  # another round would take about as long
    if checkpoint is not None and not any(r.stopped == "interrupted" for r in results):
        checkpoint.complete = True
    members = [
        _member(task, job, result)
        for job, result in zip(jobs, results, strict=False)  # time may have been too short
        if result.history  # else Ctrl-C came first
    ]
    if not members:
        raise KeyboardInterrupt
    return members


def _jobs(task: Task, recipe: Recipe, seed: int) -> list[_Job]:
    """Every kind of network on every fold; what comes last is left out first."""
    jobs: list[_Job] = []
    taken: dict[Any, tuple[Rows | Blocks, Rows | None]] = {}
    kinds = []
    for settings in recipe.networks:
        scale = None if task.classes else task.scale(settings.target == LOG)
        loss = "softmax_cross_entropy" if task.classes else "mean_squared_error"
        network = network_of(settings, task.preparation, task.sample, max(task.classes, 1), loss)
        kinds.append((settings, network, scale))
    for number, (learned, held_out) in enumerate(task.folds):
        for kind, (settings, network, scale) in enumerate(kinds):
            if number >= settings.members:
                continue
            key = number if scale is None else (number, scale.log)
            if key not in taken:
                rows = task.rows(learned, scale)
                taken[key] = rows, (task.rows(held_out, scale) if _count(held_out) else None)
            own = seed + 1000 * kind + number
            jobs.append(_Job(kind, settings, network, scale, (learned, held_out), *taken[key], own))
    return jobs


def _count(which: Array | slice) -> int:
    return which.stop - which.start if isinstance(which, slice) else len(which)


def _rounds(jobs: list[_Job], at_once: int) -> list[list[_Job]]:
    """Jobs that are trained at the same time."""
    return [jobs[first : first + at_once] for first in range(0, len(jobs), at_once)]


def _train_stably(
    task: Task, jobs: list[_Job], checkpoint: FitCheckpoint | None, shared: _Settings, before: int
) -> list[FitResult]:
    """Train jobs, after ``before`` others; again with a smaller learning rate if one diverges."""

    def train(attempt: int) -> list[FitResult]:
        every = [
            None if checkpoint is None else checkpoint.member(number, attempt)
            for number in range(len(jobs))
        ]
        return _train(task, jobs, shared, RETRY_RATE**attempt, every, before)

    for attempt in range(checkpoint.attempt if checkpoint else 0, TRIES - 1):
        with contextlib.suppress(DivergedError):
            return train(attempt)
    return train(TRIES - 1)


def _train(
    task: Task,
    jobs: list[_Job],
    shared: _Settings,
    rate_factor: float,
    checkpoints: Sequence[MemberCheckpoint | None],
    before: int,
) -> list[FitResult]:
    """Train jobs; ``rate_factor`` is a factor of the learning rate."""
    configs = [shared.config(job, rate_factor) for job in jobs]
    starts = [
        job.network.init("data_kinks", job.seed, task.start(job.rows, job.seed)) for job in jobs
    ]
    states = [None if one is None else one.state for one in checkpoints]
    has_validation = jobs[0].validation is not None
    scores = [_score(task, job) for job in jobs] if has_validation and task.by_score else None
    if len(jobs) == 1:  # which may have all threads
        result = fit(
            jobs[0].network,
            starts[0],
            jobs[0].rows,
            dataclasses.replace(configs[0], threads=shared.threads),
            validation=jobs[0].validation,
            score=None if scores is None else scores[0],
            callbacks=[shared.callback(before, jobs[0])],
            state=states[0],
            checkpoint=checkpoints[0],
        )
        return [result]
    networks, rows = [job.network for job in jobs], [job.rows for job in jobs]
    held_out = [job.validation for job in jobs]
    if has_workers() and _may_leave(rows, shared.watch, any(checkpoints)):
        return fit_spread(networks, starts, rows, configs, held_out, scores or [None] * len(jobs))
    return fit_several(
        networks,
        starts,
        rows,
        configs,
        validation=held_out,
        score=scores,
        callbacks=lambda number: [shared.callback(before + number, jobs[number])],
        threads=shared.threads,
        states=states,
        checkpoints=checkpoints,
    )


def _may_leave(
    rows: Sequence[Rows | Blocks], watch: Watch, checkpoint: bool
) -> TypeGuard[Sequence[Rows]]:
    """Whether networks can be trained in other processes; a warning says what keeps them here."""
    keep = [*watch.needs, *(["a checkpoint"] if checkpoint else [])]
    if not all(isinstance(some, Rows) for some in rows):
        keep.append("streamed rows")
    if keep:
        warnings.warn(
            f"{' and '.join(keep)} cannot be had on joblib's workers: the networks are trained on "
            "threads of this process",
            stacklevel=2,
        )
    return not keep


def some_of(rows: int, most: int, seed: int) -> Array | slice:
    """Which rows to take of a number of them: all, or ``most`` by chance."""
    if rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _score(task: Task, job: _Job) -> Callable[[Array, Array], float]:
    """The task's metric of a network's logits for its validation rows."""
    rows = job.fold[1]
    y, weight = task.y[rows], None if task.weight is None else task.weight[rows]
    metric, default = task.metric, metric_of(None, not task.classes)
    network, scale = job.network, job.scale  # the function may be pickled: it holds no table

    def score(z: Array, t: Array) -> float:
        predictions = outputs_of(network, scale, z)
        found = metric(y, predictions, weight)
        # not a number where the rows lack a class that the metric needs, in each epoch then
        return found if math.isfinite(found) else default(y, predictions, weight)

    return score


def _member(task: Task, job: _Job, result: FitResult) -> Member:
    counts = task.code_counts(job.rows)
    params = with_unseen(job.network, result.params, counts, task.preparation.frequencies)
    member = Member(job.network, params, job.scale, job.kind, job.fold[1], result=result)
    if job.validation is None:
        return member
    if job.scale is not None and job.scale.log:
        z = np.concatenate([job.network.forward(params, x) for _, x in parts(job.validation.x)])
        scale = job.scale.smeared(task.y[job.fold[1]], z)
        member = dataclasses.replace(member, scale=scale)
    return dataclasses.replace(member, held_out=member.predictions(job.validation.x))


def _affordable(
    jobs: list[_Job], epochs: int, batch_size: int, at_once: int, deadline: float, task: Task
) -> tuple[list[_Job], int]:
    """What there is time for, of jobs and epochs. Each kind is timed on some batches."""
    seconds: dict[int, float] = {}
    whole = deadline - time.monotonic()
    for job in jobs:
        if job.kind in seconds or (seconds and deadline - time.monotonic() < whole / 2):
            continue  # to compile one more kind may take all there is
        some = task.shortened(job.rows, 20 * batch_size, True, job.seed)
        config = TrainConfig(epochs=1, batch_size=min(batch_size, len(some)), threads=1)
        config = dataclasses.replace(config, optimiser="adamw", learning_rate=1e-6)
        start = job.network.init("lecun_normal", 0)
        for _ in range(2):  # the first one compiles
            begun = time.monotonic()
            fit(job.network, start, some, config)
        seconds[job.kind] = (time.monotonic() - begun) / len(some)
    jobs = [job for job in jobs if job.kind in seconds]
    at_once = min(at_once, len(jobs))
    left = max(deadline - time.monotonic(), 1e-3)

    def needed(jobs: list[_Job], epochs: int) -> float:
        passes = sum(seconds[job.kind] * len(job.rows) * job.recipe.epochs for job in jobs)
        rounds = math.ceil(len(jobs) / at_once) * at_once / len(jobs)
        return 1.25 * epochs * passes * rounds / at_once  # validation takes some, and so on

    fewest = min(FEWEST_EPOCHS, epochs)
    if needed(jobs, epochs) > left:
        epochs = max(fewest, int(epochs * left / needed(jobs, epochs)))
    while len(jobs) > 1 and needed(jobs, epochs) > left:
        jobs = jobs[:-1]
        at_once = min(at_once, len(jobs))
    if (share := left / needed(jobs, epochs)) < 1:
        for job in jobs:
            most = max(2 * batch_size, int(share * len(job.rows)))
            shuffled = isinstance(job.fold[0], slice)
            job.rows = task.shortened(job.rows, most, shuffled, job.seed)
    return jobs, epochs
