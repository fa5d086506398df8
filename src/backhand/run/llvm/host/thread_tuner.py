"""How many threads train fastest, as measured while they train.

What a step is worth on several threads depends on how far apart the processors are: where a machine
or its host lets threads wander between groups of cores, a line of memory takes several times as
long from one to the other, and this may change from one second to the next. So the number that the
cost model gives is compared now and then with half as many, or with twice as many where these are
not out of the question, for some milliseconds. It never changes a bit of the result.
"""

from __future__ import annotations

from .. import tuning


class ThreadTuner:
    """Chooses the number of threads and of batches for each call of native code.

    Parameters
    ----------
    start, most : int
        Threads to begin with, and at most; by default both are the same.
    fixed : bool
        Whether to stay with ``start`` threads.

    Attributes
    ----------
    threads : int
        The fastest number of threads so far.
    seconds : float
        Seconds per batch at `threads` threads, or at fewer at first; 0 until measured.
    """

    def __init__(self, start: int, most: int = 0, fixed: bool = False) -> None:
        self.limits = start, max(start, most)
        self.threads, self.seconds = start, 0.0
        self._fixed, self._wait, self._since = fixed, tuning.FIRST_TRIAL_SECONDS, 0.0
        self._other, self._found = 0, dict[int, float]()
        self._left, self._up, self._held_back = 0, False, False

    def next(self, available: int) -> tuple[int, int]:
        """The number of threads, ``available`` at most, and of batches for the next call."""
        turn = self._other if self._left % 2 else self.threads
        self._held_back = available < max(turn, self.threads)
        if not self.seconds:
            return min(turn, available), 1
        if self._held_back:  # for now, so it is soon asked again
            some = int(tuning.HELD_BACK_SECONDS / self.seconds)
            return min(self.threads, available), max(1, some)
        if not self._left:
            return turn, max(1, int(tuning.CALL_SECONDS / self.seconds))
        return turn, max(1, int(tuning.TRIAL_SECONDS / self.seconds))

    def record(self, threads: int, batches: int, seconds: float) -> None:
        """Record how long a call took."""
        each = max(seconds / batches, 1e-9)
        if threads == self.threads or not self.seconds:
            self.seconds = each
        if self._held_back:
            return
        if self._left:
            self._found[threads] = min(each, self._found.get(threads, each))
            self._left -= 1
            if not self._left:
                self._decide()
            return
        self._since += seconds
        if self._since >= self._wait and not self._fixed and each <= tuning.TRIAL_SECONDS:
            self._begin()

    def _begin(self) -> None:
        """Compare with half as many threads or with twice as many, in turns."""
        fewer, more = max(1, self.threads // 2), min(self.limits[1], 2 * self.threads)
        self._up = more > self.threads and (fewer == self.threads or not self._up)
        self._other = more if self._up else fewer
        self._found, self._since = {}, 0.0
        self._left = 4 if self._other != self.threads else 0  # calls: two with each number

    def _decide(self) -> None:
        if self._found[self._other] < tuning.TAKE_OVER * self._found[self.threads]:
            self.threads, self.seconds = self._other, self._found[self._other]
            self._wait = tuning.FIRST_TRIAL_SECONDS
        else:
            self._wait = min(tuning.LAST_TRIAL_SECONDS, 2 * self._wait)
