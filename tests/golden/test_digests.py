"""Trained weights have the bits that they had; digests.py says how to change them on purpose."""

from __future__ import annotations

import pytest

from backhand.engines import default_engine

from . import digests

KEPT = digests.kept()
CASES = digests.cases()


def test_every_case_is_kept():
    assert list(KEPT) == list(CASES)
    assert len(set(KEPT.values())) == len(KEPT)


@pytest.mark.skipif(default_engine() != "llvm", reason="the digests are those of machine code")
@pytest.mark.parametrize("name", CASES)
def test_bits_are_as_before(name):
    assert digests.digest(CASES[name]) == KEPT[name]
