"""The compiled executor as the rest of backhand sees it; what it needs is imported when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...formulas.optimisers import Optimiser
from ...plan.description import Description
from ...plan.step import Plan
from ..executor import Executor, Params, Trainer
from ..namespaces import is_sparse, is_tensor

Array = Any


class CompiledExecutor:
    """Runs plans as machine code; see `backhand.run.executor.Executor`."""

    native = True

    def check_available(self) -> None:
        from .machine.target import Target

        Target.host()

    def reads(self, x: Array) -> bool:
        return not (is_tensor(x) or is_sparse(x))  # autograd is to see what tensors go through

    def run(
        self,
        plan: Plan,
        params: Params,
        given: Mapping[str, Array],
        outputs: tuple[str, ...] = (),
    ) -> dict[str, Array]:
        from .runtime.engine import execute

        return execute(plan, params, given, outputs)

    def trainer(
        self,
        description: Description,
        params: Params,
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
        scheduled: tuple[str, ...] = (),
    ) -> Trainer:
        from .runtime.engine import CompiledTrainer

        return CompiledTrainer(description, params, optimiser, seed, threads, scheduled)

    def parameter_copy(self, a: Array) -> Array:
        from .runtime.instance import aligned_copy

        return aligned_copy(a)

    def predictor(
        self,
        description: Description,
        params: Params,
        threads: int | None = None,
        in_place: bool = False,
    ) -> Callable[[Array], Array] | None:
        from .runtime.engine import Forward

        return Forward(description, params, threads, in_place)


EXECUTOR: Executor = CompiledExecutor()
