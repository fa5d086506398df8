"""`fit_several`: networks at once, each on a thread of its own.

Those of one shape share a compiled program and nothing else: no thread waits for another. Each
ends with the bits that it has when it is trained alone, since the bits of a training do not depend
on threads.
"""

from __future__ import annotations

import ctypes
import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from ..errors import InputError
from ..network import Network
from ..run.llvm.host.team import available_threads, checked_threads
from .blocks import UNINTERRUPTED, Blocks
from .callbacks import Callback
from .checkpoint import Checkpoint
from .config import TrainConfig
from .evaluate import Score
from .fit import fit
from .result import DivergedError, FitResult
from .rows import Rows, checked
from .state import TrainState

Array = Any


def fit_several(
    networks: Network | Sequence[Network],
    starts: Sequence[Mapping[str, Array]],
    rows: Rows | Blocks | Sequence[Rows | Blocks],
    configs: TrainConfig | Sequence[TrainConfig],
    *,
    validation: Rows | Sequence[Rows | None] | None = None,
    score: Score | Sequence[Score] | None = None,
    callbacks: Callable[[int], Iterable[Callback]] = lambda number: (),
    threads: int | None = None,
    states: Sequence[TrainState | None] | None = None,
    checkpoints: Sequence[Checkpoint | None] | None = None,
) -> list[FitResult]:
    """Train a network several times at once, from different starts, or several networks.

    Parameters
    ----------
    networks : Network, or a sequence of them
        The same for all, or one for each.
    starts : sequence of mappings of str to array
        The parameters that each training begins with; they are not changed.
    rows : Rows or Blocks, or a sequence of them
        What to learn from: the same for all, or one for each, such as the folds of a
        cross-validation.
    configs : TrainConfig, or a sequence of them
        The same for all, or one for each, such as other seeds and learning rates. Each trains on
        one thread, whatever ``threads`` it names.
    validation : Rows, or a sequence of them, optional
        As of `fit`.
    score : callable, or a sequence of them, optional
        As of `fit`; it is called from several threads.
    callbacks : callable
        From the number of a training to its callbacks. They are called from several threads.
    threads : int, optional
        How many trainings run at a time; by default as many as the machine grants threads.
    states, checkpoints : sequence, optional
        One for each training, or None for it, as of `fit`.

    Returns
    -------
    list of FitResult
        In the order of ``starts``. Ctrl-C ends all trainings, and each keeps its best parameters.

    Raises
    ------
    InputError
        If numbers of starts, rows and configs differ, and as `fit`.
    DivergedError
        If a training diverges; the others end as by Ctrl-C.
    """
    if isinstance(starts, Mapping):
        raise InputError("starts must be a list of parameters, one dict for each training")
    count = len(starts)
    each_network = _each(networks, Network, count, "networks")
    each_rows = _each(rows, (Rows, Blocks), count, "rows")
    each_config = _each(configs, TrainConfig, count, "configs")
    each_held_out = _each(validation, Rows, count, "validation")
    each_score = [score] * count if callable(score) else _each(score, type(None), count, "score")
    each_state = _each(states, TrainState, count, "states")
    each_checkpoint = _each(checkpoints, Checkpoint, count, "checkpoints")
    seen: dict[tuple[int, int], Any] = {}
    for what, several in (("training", each_rows), ("validation", each_held_out)):
        for network, some in zip(each_network, several, strict=True):
            key = id(network), id(some)
            if some is not None and key not in seen:  # the same rows are checked once
                whole = not isinstance(some, Blocks)
                seen[key] = checked(network, some, what) if whole else some
    at_once = checked_threads(threads) or available_threads()
    busy: dict[int, int] = {}
    ended = threading.Event()

    def train(number: int, **changes: Any) -> FitResult:
        network, held_out = each_network[number], each_held_out[number]
        return fit(
            network,
            starts[number],
            seen[id(network), id(each_rows[number])],
            dataclasses.replace(each_config[number], threads=1, **changes),
            validation=None if held_out is None else seen[id(network), id(held_out)],
            score=each_score[number],
            callbacks=callbacks(number),
            state=each_state[number],
            checkpoint=None if changes else each_checkpoint[number],
        )

    def train_or_stop(number: int) -> FitResult:
        busy[number] = threading.get_ident()
        try:
            if not ended.is_set():
                return train(number)
        except KeyboardInterrupt:  # before the first epoch
            pass
        except DivergedError as error:
            error.args = (f"training {number}: {error}",)
            raise
        finally:
            busy.pop(number, None)
        return dataclasses.replace(train(number, epochs=0), stopped="interrupted")

    with ThreadPoolExecutor(max(1, min(at_once, count)), "backhand-fit") as pool:
        waiting = [pool.submit(train_or_stop, number) for number in range(count)]
        try:
            done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
            failed = any(future.exception() for future in done)
        except KeyboardInterrupt:
            failed = True
        if failed:
            ended.set()
            _interrupt(busy)
    return [future.result() for future in waiting]


def _each(given: Any, kind: Any, count: int, name: str) -> list[Any]:
    """One for each training. Raises InputError if there are more or fewer."""
    if given is None or isinstance(given, kind):
        return [given] * count
    values = list(given)
    if len(values) != count:
        raise InputError(f"{name} has {len(values)} entries, and there are {count} starts")
    return values


def _interrupt(busy: Mapping[int, int]) -> None:
    """End trainings as Ctrl-C does: in Python, which native code returns to again and again."""
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    with UNINTERRUPTED:
        for ident in [*busy.values()]:
            raise_in(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
