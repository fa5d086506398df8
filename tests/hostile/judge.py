"""What may come of a call: the right result, or an error that says what is wrong."""

from __future__ import annotations

import dataclasses
import functools
import re
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backhand.errors import BackhandError
from backhand.train.result import DivergedError

from .ingredients import Given, UserError, fingerprint

LONGEST = 600  # characters of a message
NO_PATH = re.compile(r"os\.PathLike|embedded null byte|in path components")
"""Python's own words for what is no path; they are clear enough."""


@dataclasses.dataclass
class Call:
    """One call of the public interface.

    Attributes
    ----------
    text : str
        What is called.
    do : callable
        Calls it; takes the values of what is given by name.
    given : dict of str to Given
        The arguments that may be hostile.
    check : callable, optional
        Says what is wrong with a result, or nothing.
    kept : callable, optional
        A fingerprint of what a refused call must leave as it was.
    harmless : bool
        Whether a refusal is a fault if every argument is harmless.
    modifies : bool
        Whether the call itself (a callback of the user's) writes into the arguments.
    """

    text: str
    do: Callable[..., Any]
    given: Mapping[str, Given]
    check: Callable[[Any], str | None] | None = None
    kept: Callable[[], Any] | None = None
    harmless: bool = True
    modifies: bool = False

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"    {n}: {g.note}" for n, g in self.given.items())])


@dataclasses.dataclass
class Outcome:
    """What came of it: "result", "refused" or "fault"."""

    kind: str
    what: str = ""
    result: Any = None


def judge(call: Call) -> Outcome:
    """Make the call and say what came of it."""
    before = {name: fingerprint(given.value) for name, given in call.given.items()}
    kept = call.kept() if call.kept else None
    error = result = None
    leaks: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = functools.partial(listen, leaks)
        try:
            result = call.do(**{name: given.value for name, given in call.given.items()})
        except Exception as raised:
            error = raised
    fault = "".join(leaks[:1]) or (error is not None and unclear(error))
    if error is not None and not fault:
        easy = call.harmless and all(given.harmless for given in call.given.values())
        if easy and not isinstance(error, (UserError, DivergedError)):
            fault = f"harmless, but refused: {error}"
        elif call.kept and (now := call.kept()) != kept:
            fault = f"refused ({said(str(error))}), but changed: {difference(kept, now)}"
    if error is None and not fault:
        wrong = [f"{n} ({g.note})" for n, g in call.given.items() if g.truth is None]
        if wrong:
            fault = f"accepted: {'; '.join(wrong)}; gave {said(result)}"
        elif call.check:
            fault = call.check(result)
    if not fault and not call.modifies:
        changed = [n for n, g in call.given.items() if fingerprint(g.value) != before[n]]
        fault = f"the caller's {', '.join(changed)} changed" if changed else ""
    if fault:
        return Outcome("fault", str(fault))
    return Outcome("refused", str(error)) if error is not None else Outcome("result", "", result)


def said(result: Any) -> str:
    text = result if isinstance(result, str) else repr(result)
    return re.sub(r"\s+", " ", text)[:160]


def difference(before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        return ", ".join(k for k in {**before, **now} if before.get(k) != now.get(k))
    return f"{said(before)} -> {said(now)}"


def unclear(error: BaseException) -> str:
    """What is wrong with an error; nothing if it is one of ours, or clear enough."""
    message = str(error)
    name = type(error).__name__
    if isinstance(error, UserError):
        return ""
    if isinstance(error, BackhandError):
        if not message.strip() or "\n" in message or len(message) > LONGEST:
            return f"{name} is not one clear line: {message!r}"
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [i for i, frame in enumerate(frames) if "/backhand/" in frame.filename]
    below = frames[ours[-1] + 1 :] if ours else frames
    theirs = bool(below) and "/sklearn/" in below[-1].filename + below[0].filename
    if theirs and isinstance(error, (ValueError, TypeError, AttributeError)) and message:
        return ""
    if isinstance(error, (TypeError, ValueError)) and NO_PATH.search(message):
        return ""
    if "/torch/" in frames[-1].filename:  # says what to do with a tensor that needs gradients
        return ""
    last = frames[ours[-1]] if ours else frames[-1]
    where = f"{last.filename.rpartition('/backhand/')[2]}:{last.lineno} in {last.name}"
    return f"traceback: {name}: {said(message)} at {where}"


def listen(leaks: list[str], message: Any, category: Any, *_: Any, **__: Any) -> None:
    """Note a warning of NumPy's that nobody meant to give, unless scikit-learn provoked it."""
    if not issubclass(category, RuntimeWarning):
        return
    machinery = re.compile(r"/numpy/|/warnings\.py$")
    last = [f for f in traceback.extract_stack()[:-1] if not machinery.search(f.filename)][-1]
    if "/sklearn/" not in last.filename:
        where = f"{last.filename.rpartition('/backhand/')[2]}:{last.lineno}"
        leaks.append(f"leaks {category.__name__}: {str(message)[:120]} at {where}")


def differs(got: Any, want: Any, allowed: Any, dtype: str, what: str = "result") -> str:
    """Where two arrays differ by more than is allowed; values beyond the dtype may be infinite."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return f"{what} has shape {got.shape}, not {want.shape}"
    if got.dtype.kind not in "biuf":
        return f"{what} has dtype {got.dtype}"
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), want.astype(np.float64)
        allowed = np.broadcast_to(np.nan_to_num(allowed, nan=np.inf), b.shape)
        near = np.abs(a - b) <= allowed
        largest = float(np.finfo(dtype).max)
        near |= (np.abs(b) + allowed >= largest) & (a == np.sign(b) * np.inf)
        near |= ~np.isfinite(b) & ~np.isfinite(a) | (a == b)
    if near.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~near)[0])
    return f"{what}{list(at)} is {a[at]:.9g}, not {b[at]:.9g} (allowed {allowed[at]:.3g})"


def not_finite(*arrays: Any) -> str:
    for a in arrays:
        a = np.asarray(a)
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            return f"silently not finite: {said(a)}"
    return ""
