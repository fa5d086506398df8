from __future__ import annotations

from backhand.report.page.course import MOST_EPOCHS, thinned
from backhand.train.state import Epoch


def test_of_many_epochs_some_are_kept_and_the_last():
    history = [Epoch(n, 1 / n, None, None, 0.1, 0.0) for n in range(1, 5 * MOST_EPOCHS + 2)]
    kept = thinned(history)
    assert len(kept) <= MOST_EPOCHS
    assert kept[-1] == history[-1]
    assert kept == sorted(kept, key=lambda line: line.epoch)
    assert thinned(history[:7]) == history[:7]
    assert thinned([]) == []
