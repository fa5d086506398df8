from __future__ import annotations

import json
import re

import pytest

from backhand.report.page.html import embedded, number, share, signed


def test_no_text_can_end_the_script():
    nasty = "</script><script>alert(1)</script>&<!--\u2028"
    text = embedded({"a": [nasty]})
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"a": [nasty]}


def test_what_is_no_number_in_json_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        embedded(float("nan"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (0, "0"),
        (0.123456, "0.1235"),
        (1234.5, "1,234"),
        (1e-7, "1.000e-07"),
        (5.0, "5"),
    ],
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_shares_and_signs():
    assert share(0.1234) == "12.3 %"
    assert (signed(0.5), signed(-0.5)) == ("+0.5", "\u22120.5")
