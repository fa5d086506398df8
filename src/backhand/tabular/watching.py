"""Callbacks and the time limit of an ensemble: they look at its networks after every epoch."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..network import Network
from ..train.callbacks import Callback, Progress
from ..train.rows import Rows
from .member import MemberProgress


class Watch:
    """Hands each epoch of each member to the user's callbacks, and ends what has no time left."""

    def __init__(self, callbacks: list[Callback], members: int, deadline: float) -> None:
        self._callbacks, self._members, self._deadline = callbacks, members, deadline
        self._lock, self._ended = threading.Lock(), False
        for callback in callbacks:
            if not callable(callback):
                raise InputError(f"callbacks must be functions, got {callback!r:.60}")

    @property
    def needs(self) -> list[str]:
        """The arguments of a fit that are asked after every epoch."""
        limited = self._deadline < math.inf
        return ["callbacks"] * bool(self._callbacks) + ["time_limit"] * limited

    def callback_of(
        self, number: int, kind: int, network: Network, sample: Callable[[], Rows | None]
    ) -> Callback:
        """The callback of one member; ``sample`` gives some of its rows."""
        last = time.monotonic()
        about: dict[str, Any] = {
            "member": number + 1,
            "members": self._members,
            "kind": kind,
            "network": network,
            "_sample": sample,
        }

        def notify(now: Progress) -> bool:
            nonlocal last
            took, last = time.monotonic() - last, time.monotonic()
            if self._callbacks:
                known = {f.name: getattr(now, f.name) for f in dataclasses.fields(Progress)}
                seen = MemberProgress(**known, **about)
                with self._lock:
                    answers = [callback(seen) for callback in self._callbacks]
                    self._ended |= any(answer is True for answer in answers)
            return self._ended or last + took > self._deadline

        return notify
