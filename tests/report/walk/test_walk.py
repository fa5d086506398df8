from __future__ import annotations

import json
import re

import numpy as np
import pytest

from backhand.report.walk.walk import MOST_BYTES, SCRIPTS

from .conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_small(walked, tmp_path, kind):
    model, rows, y, _, _ = walked(kind)
    walk = model.explore(tmp_path / "page.html", rows, y)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == walk.html
    assert len(text.encode()) < MOST_BYTES + 100_000
    found = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert found == json.loads(json.dumps(walk.data))
    modules = re.findall(r'<script type="text/plain" data-module="(.*?)"', text)
    assert modules == [*SCRIPTS, *walk.modules]
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert f'srcdoc="{"&lt;!DOCTYPE"}' in walk._repr_html_()
    assert found["title"] in repr(walk)
    network = found["networks"][0]
    assert {plan["module"] for plan in network["plans"].values()} <= set(walk.modules)
    assert set(network["params"]) >= {"learned", "lecun_normal", "lsuv"}
    assert len(network["t"]) == len(found["rows"])


def test_kaiming_is_a_factor(walked):
    *_, walk = walked("digits")
    params = walk.data["networks"][0]["params"]
    assert params["kaiming_normal"]["w1"]["factor"] == pytest.approx(np.sqrt(2), rel=1e-3)


def test_what_does_not_fit_is_left(walked, monkeypatch):
    from backhand.report.walk import walk as module

    *_, subject, whole = walked("several")
    monkeypatch.setattr(module, "MOST_BYTES", int(0.55 * len(whole.html)))
    some = module.walk_of(subject)
    assert len(some.html.encode()) < 0.55 * len(whole.html) + 20_000
    assert some.data["networks"][0]["params"].keys() >= {"learned"}
    assert len(some.modules) < len(whole.modules)
