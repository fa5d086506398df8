"""`fit`: train a network, with validation, early stopping, callbacks and checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import BackhandError, InputError
from ..formulas.schedules import SCHEDULES
from ..network import Network
from .blocks import Blocks
from .callbacks import Callback
from .checkpoint import Checkpoint
from .config import LBFGS, SCHEDULED, TrainConfig
from .evaluate import Score, evaluate
from .loop import AfterEpoch, TrainLoop
from .result import DivergedError, FitResult
from .rows import Rows, checked
from .state import Epoch, TrainState
from .stopping import Patience

Array = Any

CONSTANT = SCHEDULES["constant"]
"""Which is as good as no schedule."""


def fit(
    network: Network,
    params: Mapping[str, Array] | None,
    rows: Rows | Blocks,
    config: TrainConfig,
    *,
    validation: Rows | None = None,
    score: Score | None = None,
    callbacks: Iterable[Callback] = (),
    state: TrainState | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
) -> FitResult:
    """Train a network.

    Parameters
    ----------
    network : Network
    params : mapping of str to array
        Where training starts; they are not changed. With ``state`` they do not count.
    rows : Rows or Blocks
        What to learn from; blocks are for more rows than memory holds, see
        `backhand.train.blocks`.
    config : TrainConfig
    validation : Rows, optional
        What to judge each epoch by; the parameters of the best epoch are then returned.
    score : callable, optional
        ``score(logits, t) -> float``, greater is better. Without it the validation loss judges.
    callbacks : iterable of callable
        Each is called with a `Progress` after every epoch; one that returns ``True`` ends the
        training. A context manager is entered before it, and left after it.
    state : TrainState, optional
        Continue from here: `FitResult.state` of an earlier training, or what `load_checkpoint`
        read. With the same network, rows and config the result has the bits of a training that
        was never interrupted. L-BFGS starts again from its first parameters.
    checkpoint : Checkpoint or path-like, optional
        Where to write the state every minute, or as often as the `Checkpoint` says, and when
        Ctrl-C ends the training.

    Returns
    -------
    FitResult
        Ctrl-C ends training and keeps the best parameters so far.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or the state is that of another training.
    DivergedError
        If the loss or a parameter stops being finite; it names epoch and layer.
    """
    if not isinstance(rows, Blocks):
        rows = checked(network, rows, "training")
    check_lbfgs(network, config, rows)
    if state is not None:
        _check_state(network, state, config)
        params, best = network.checked_parameters(state.params), state.best
        if best.params is not None:  # a file has them in another order
            best = dataclasses.replace(best, params=network.checked_parameters(best.params))
        history = state.history[: state.epoch]
        state = dataclasses.replace(state, params=params, best=best, history=history)
    elif params is None:
        raise InputError("params are None: give some to start from, such as network.init(...)")
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    after = AfterEpoch(
        config.epochs,
        list(callbacks),
        patience=Patience(config.patience or float("inf"), config.min_delta),
        checkpoint=checkpoint,
    )
    if validation is not None:
        held_out = checked(network, validation, "validation")
        after.evaluate = lambda now: evaluate(network, now, held_out, score, config.engine)
        after.merit = _by_score if config.monitor == "score" and score is not None else _by_loss
    params = network.checked_parameters(params)
    trainer = None
    if isinstance(rows, Blocks):
        trainer = rows.trainer(params, {} if state is None else state.arrays)
    loop = TrainLoop(network, params, config, len(rows), state=state, trainer=trainer)
    if checkpoint is not None:
        checkpoint.begin(loop.state.epoch)
    try:
        if after.patience.is_over(loop.state.best):
            stopped = "patience"  # the state is that of a training that had ended
        elif config.optimiser == LBFGS and not isinstance(rows, Blocks):
            stopped = loop.run_lbfgs(rows, after, l2=config.l2)
        else:
            stopped = loop.run(rows, after)
    except DivergedError as error:
        error.result = _result(loop, after, "diverged")
        raise
    except BackhandError:  # such as of a file that has changed, or of workers that were lost
        if checkpoint is not None and isinstance(rows, Blocks):
            checkpoint.write(loop.resumable)
        raise
    if checkpoint is not None:
        with contextlib.suppress(KeyboardInterrupt):  # a second one is for the file only
            checkpoint.end(loop.resumable, stopped)
    return _result(loop, after, stopped)


def _result(loop: TrainLoop, after: AfterEpoch, stopped: str) -> FitResult:
    state = loop.state
    best_epoch, params = state.epoch, state.params
    if state.optimiser is None and stopped != "diverged":
        params = loop.latest()
    if after.merit is not None and state.best.params is not None:
        best_epoch, params = state.best.epoch, state.best.params
    if stopped == "interrupted" and best_epoch == 0:
        params = loop.params  # of an unfinished epoch: better than none
    loop.close()  # callbacks may keep what they were told, and with it the loop
    history = state.history[: state.epoch]
    return FitResult(params, history, best_epoch, stopped, loop.resumable)


def _by_score(line: Epoch) -> float | None:
    return line.validation_score


def _by_loss(line: Epoch) -> float | None:
    return None if line.validation_loss is None else -line.validation_loss


def check_lbfgs(network: Network, config: TrainConfig, rows: Rows | Blocks | None = None) -> None:
    """Raise InputError for dropout with L-BFGS, and for rows in blocks."""
    if config.optimiser == LBFGS and isinstance(rows, Blocks):
        raise InputError(
            "rows that come in blocks need another optimiser than 'lbfgs', which takes all rows at "
            "each step"
        )
    if config.optimiser == LBFGS and network.drops:
        raise InputError(
            "dropout needs another optimiser than 'lbfgs', which takes the loss to be the same "
            "function at every step"
        )


def _check_state(network: Network, state: TrainState, config: TrainConfig) -> None:
    """Raise InputError if a training with this config cannot go on from the state."""
    if not isinstance(state, TrainState):
        raise InputError(f"state must be a TrainState, got {type(state).__name__}")
    asked = None if config.optimiser == LBFGS else config.optimiser
    pairs: dict[str, tuple[Any, Any]] = {
        "optimiser": (state.optimiser, asked),
        "schedule": (state.schedule, config.schedule),
    }
    for name in SCHEDULED:
        was, wanted = (of.schedules.get(name, CONSTANT) for of in (state, config))
        pairs[f"{name} schedule"] = was, wanted
    for kind, (was, wanted) in pairs.items():
        if was != wanted:
            names = [LBFGS if rule is None else rule.spec for rule in (was, wanted)]
            raise InputError(
                f"the state is that of {kind} {names[0]!r}, the config asks for {names[1]!r}: "
                "continue with the same one, or start again from params"
            )
    network.check_parameters(state.params)
    if state.best.params is not None:
        network.check_parameters(state.best.params)
