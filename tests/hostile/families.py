"""All families of calls, and how often each is drawn."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np

from . import estimator_calls, file_calls, meddling, network_calls, training_calls
from .ingredients import Dice
from .judge import Call
from .network_calls import Calls


def planted(fault: str) -> Any:
    """A family whose second call has a fault that the harness must see."""

    def calls(dice: Dice, memory: Any) -> Calls:
        faults = {
            "stray read": lambda: ctypes.string_at(memory.bytes(64).ctypes.data + 64 - 1, 4096),
            "hang": lambda: time.sleep(600),
        }
        yield Call(f"nothing, before a planted {fault}", int, {})
        yield Call(f"a planted {fault}", faults[fault], {})

    return calls


_ALL: dict[str, tuple[Any, float]] = {
    "passes": (network_calls.passes, 3),
    "losses": (network_calls.losses, 3),
    "descriptions": (network_calls.descriptions, 1),
    "fits": (training_calls.fits, 3),
    "epochs": (training_calls.epochs, 3),
    "meddling": (meddling.training, 1),
    "settings": (training_calls.settings, 1),
    "sessions": (estimator_calls.sessions, 6),
    "parts": (estimator_calls.parts, 2),
    "meddled sessions": (meddling.estimators, 1),
    "models": (file_calls.models, 1),
    "files": (file_calls.files, 1),
    "places": (file_calls.places, 0.3),
    "datasets": (file_calls.datasets, 1),
    "verified": (file_calls.verified, 0.5),
    "registered": (file_calls.registered, 0.5),
    **{f"planted {f}": (planted(f), 0) for f in ("stray read", "hang")},
}
FAMILIES = {name: calls for name, (calls, _) in _ALL.items()}
SHARES = np.array([share for _, share in _ALL.values()], float)
SHARES /= SHARES.sum()
