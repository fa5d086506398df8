from __future__ import annotations

import numpy as np
import pyarrow as pa

from backhand.preprocess.missing import MARKS, MISSING, WORDS, known_only, spells


def test_words_in_any_case_and_null():
    cells = pa.array(["NA", "na ", "x", "", None])
    assert spells(cells, *MISSING).tolist() == [True, False, False, True, True]
    assert spells(cells, "x").tolist() == [False, False, True, False, False]


def test_no_word_is_in_two_lists_or_in_upper_case():
    words = (*MISSING, *MARKS, *WORDS)
    assert len(set(words)) == len(words)
    assert all(word == word.lower().strip() for word in words)


def test_the_known_remain():
    cells = pa.array(["a", "b", None])
    assert known_only(np.array([True, False, True]), cells).to_pylist() == ["a", None, None]
