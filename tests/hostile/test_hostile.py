"""A sample of the hostile calls, and that the harness sees what it must see."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from tests.campaigns import share_of

from ..run.llvm.guard_pages import Guarded
from .ingredients import LAYOUTS, NUMBERS, Dice, Given, dense, fingerprint, plain
from .judge import Call, judge
from .runner import Finding, run
from .sparse import sparse

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="guard pages use Linux's mmap")


def told(found: list[Finding]) -> str:
    return "\n".join(
        f"python -m tests.hostile --seed {f.seed}\n  {f.call}\n  => {f.fault}" for f in found
    )


@pytest.mark.parametrize(
    ("first", "seeds"), [(0, 60), pytest.param(10_000, share_of(1500), marks=pytest.mark.campaign)]
)
def test_hostile_calls_give_what_is_right_or_say_what_is_wrong(first, seeds):
    found, counts = run(range(first, first + seeds))
    assert not found, told(found)
    assert counts["result"] > seeds / 5  # not everything was refused
    assert counts["refused"] > seeds / 5


@pytest.mark.parametrize(
    ("fault", "what"), [("stray read", "exit code -11"), ("hang", "hang of 5")]
)
def test_a_planted_fault_has_its_seed_and_its_call(fault, what):
    found, counts = run([7], family=f"planted {fault}", longest=5.0)
    assert [(f.seed, f.call) for f in found] == [(7, f"a planted {fault}")]
    assert what in found[0].fault
    assert counts["result"] == 1  # the call before it


ROWS = Given(np.ones(3), np.ones(3), "three numbers", harmless=True)
BAD = Given("x", None, "no table")


@pytest.mark.parametrize(
    ("given", "do", "fault"),
    [
        (ROWS, lambda a: a + 1, ""),
        (BAD, lambda a: a, "accepted"),
        (ROWS, lambda a: a.fill(2), "changed"),
        (ROWS, lambda a: a["x"], "traceback: IndexError"),
        (ROWS, lambda a: a / 0, "leaks RuntimeWarning"),
    ],
)
def test_the_judge(given, do, fault):
    outcome = judge(Call("a call", do, {"a": given}))
    assert outcome.kind == ("fault" if fault else "result")
    assert fault in outcome.what


def test_the_judge_asks_for_harmless_calls_to_succeed_and_for_refusals_to_change_nothing():
    from backhand import InputError

    state = []

    def refuse(a):
        state.append(1)
        raise InputError("a is wrong: pass another")

    assert "harmless, but refused" in judge(Call("a call", refuse, {"a": ROWS})).what
    assert judge(Call("a call", refuse, {"a": BAD})).kind == "refused"
    assert "but changed" in judge(Call("a call", refuse, {"a": BAD}, kept=lambda: len(state))).what


@pytest.mark.parametrize("at_end", [True, False])
def test_arguments_mean_what_they_say(at_end):
    """Every dtype and layout comes, and the truth of an array is what NumPy reads in it."""
    memory, seen = Guarded(at_end), set()
    for seed in range(400):
        dice = Dice(seed)
        given = dense(dice, memory, plain(dice, (4, 3)))
        seen |= {word for word in (*NUMBERS, *LAYOUTS) if word in given.note}
        if given.harmless:
            assert np.array_equal(np.asarray(given.value, np.float64), given.truth)
        assert fingerprint(given.value) == fingerprint(given.value) or given.value.dtype == object
    assert seen == {*NUMBERS, *LAYOUTS}
    memory.close()


def test_healthy_sparse_tables_are_what_they_say():
    memory, formats = Guarded(True), set()
    for seed in range(200):
        dice = Dice(seed)
        given = sparse(dice, memory, plain(dice, (4, 3)))
        formats.add(given.value.format)
        if given.harmless:
            assert np.array_equal(sp.csr_array(given.value).toarray(), given.truth)
    assert formats == {"csr", "csc", "coo", "bsr", "lil", "dok", "dia"}
