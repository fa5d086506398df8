"""What an executor offers to the rest of backhand; `backhand.engines` has the table of them.

A new executor is a module that defines ``EXECUTOR``, an object with the methods of `Executor`, and
a line in that table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..formulas.optimisers import Optimiser
from ..plan.description import Description
from ..plan.step import Plan

Array = Any
Params = Mapping[str, Array]


class Trainer(Protocol):
    """Parameters and optimiser state in training; see `backhand.run.array_executor.ArrayTrainer`.

    Attributes
    ----------
    state : dict of str to array
        Copies of the optimiser's arrays by name; assign them to continue from them.
    nonfinite : (rows, step) or None
        The batch whose loss was not finite, and the number of its step.
    """

    state: dict[str, Array]
    nonfinite: tuple[Array, int] | None

    @property
    def params(self) -> Params: ...

    def shuffled(self, rows: int, first_step: int) -> Array: ...

    def epoch(
        self,
        x: Array,
        t: Array,
        weight: Array | None,
        order: Array,
        batch: int,
        scalars: Mapping[str, Any],
        first_step: int,
    ) -> float: ...


class Executor(Protocol):
    """Runs plans.

    Attributes
    ----------
    native : bool
        Whether it computes in machine code of its own. Checks compare that with the array
        executor's results; L-BFGS, which computes its own steps in NumPy, then holds BLAS to one
        thread.
    """

    native: bool

    def check_available(self) -> None:
        """Raise BackhandError if this executor cannot run on this machine."""

    def reads(self, x: Array) -> bool:
        """Whether `run` takes inputs such as ``x``: tensors, or sparse rows."""

    def run(
        self,
        plan: Plan,
        params: Params,
        given: Mapping[str, Array],
        outputs: tuple[str, ...] = (),
    ) -> dict[str, Array]:
        """Run a plan without updates once, on all rows.

        Parameters
        ----------
        plan : Plan
        params : mapping of str to array
            Checked, in the network's dtype.
        given : mapping of str to array
            What the plan reads besides: ``x`` in any dtype, which is checked here, and ``t``,
            ``weight`` or the gradient of the logits, which are checked.
        outputs : tuple of str
            Buffers that the caller wants, besides the gradients of parameters and the loss.

        Returns
        -------
        dict of str to array
            These buffers by name; there may be others.
        """

    def trainer(
        self,
        description: Description,
        params: Params,
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
        scheduled: tuple[str, ...] = (),
    ) -> Trainer:
        """Begin a training at these parameters, which are copied.

        ``scheduled`` are parameters of the loss that are per-step scalars; see `training_plan`.
        """

    def parameter_copy(self, a: Array) -> Array:
        """A copy of a parameter that a predictor can read in place."""

    def predictor(
        self,
        description: Description,
        params: Params,
        threads: int | None = None,
        in_place: bool = False,
    ) -> Callable[[Array], Array] | None:
        """A function from x (N, inputs) to logits, for many calls; None if `run` is as fast.

        Parameters are copied, or are copies of `parameter_copy` that it reads ``in_place``.
        """
