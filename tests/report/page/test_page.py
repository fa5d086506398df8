"""The page in a browser: no error, no request, and the numbers of Python."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from backhand.report.page.classes import class_page
from backhand.report.page.report import plain
from backhand.train.monitor import EDGES

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, fitted, tmp_path):
    def open_(kind, **more):
        model, frame, y = fitted(kind)
        model.report(tmp_path / "r.html", frame, y, held_out=True)
        return browser.open(tmp_path / "r.html", **{"width": 1200, "height": 900, **more})

    return open_


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_are_whole(opened, kind, width, dark):
    page = opened(kind, width=width, phone=width < 500, dark=dark)
    page.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    charts = page.value("document.querySelectorAll('[data-chart]').length")
    assert charts > 10
    assert page.value("document.querySelectorAll('[data-chart]:has(svg)').length") == charts
    assert page.value("document.documentElement.scrollWidth") == width
    assert (
        page.value("/NaN|undefined|Infinity/.test(document.querySelector('main').innerText)")
        is False
    )
    unnamed = "[...document.querySelectorAll('input, select, button')].filter((one) => "
    unnamed += "!one.labels?.length && !one.textContent).length"
    assert page.value(unnamed) == 0
    assert page.errors == []
    assert page.requests == []


def test_long_names_fit_on_a_phone(opened):
    page = opened("binary", width=390, phone=True)
    page.value(
        "document.querySelectorAll('.drivers .name').forEach("
        "(one) => { one.textContent = 'flipper_length_in_millimetres'; })"
    )
    assert page.value("document.documentElement.scrollWidth") == 390


def cells(page):
    found = page.value(
        "Object.fromEntries([...document.querySelectorAll('[data-cell], [data-rate]')].map("
        "(one) => [one.dataset.cell ?? one.dataset.rate, one.textContent]))"
    )
    return {name: text.replace(",", "").removesuffix(" %") for name, text in found.items()}


def test_the_threshold_moves_all_numbers(opened, subject):
    page, of = opened("binary"), subject("binary")
    p = of.predictions[:, 1]
    for threshold in (None, 0.0, 0.2, 0.605, 0.9, 1.0):
        if threshold is not None:
            page.value(
                "(() => { const one = document.getElementById('threshold');"
                f"one.value = {threshold}; one.dispatchEvent(new Event('input')); }})()"
            )
        chosen = p >= (of.threshold if threshold is None else threshold)
        found = cells(page)
        (tn, fp), (fn, tp) = confusion_matrix(of.y, chosen, labels=[0, 1])
        assert [int(found[name]) for name in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
        assert float(found["accuracy"]) == pytest.approx(
            100 * accuracy_score(of.y, chosen), abs=0.051
        )
        assert float(found["recall"]) == pytest.approx(100 * recall_score(of.y, chosen), abs=0.051)
        assert float(found["cost"]) == pytest.approx((fp + fn) / len(p), rel=1e-3)
    page.value(
        "(() => { document.getElementById('cost-miss').value = 9;"
        "document.getElementById('cheapest').click(); })()"
    )
    curve = class_page(of).curves[0]
    costs = (curve.alarms + 9 * (curve.positives - curve.hits)) / len(p)
    assert float(cells(page)["cost"]) == pytest.approx(costs.min(), rel=1e-3)


def test_the_keyboard_moves_the_threshold(opened):
    page = opened("binary")
    page.value("document.getElementById('threshold').focus()")
    text = "document.getElementById('threshold-value').textContent"
    before = page.value(text)
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="PageUp", windowsVirtualKeyCode=33)
    assert page.value(text) != before
    assert page.value("document.activeElement.getAttribute('aria-valuetext')") == page.value(text)


def test_numbers_in_the_page_are_those_of_python(opened, subject):
    page, of = opened("several"), subject("several")
    data = page.value("JSON.parse(document.getElementById('data').textContent)")
    wanted = class_page(of)
    for found, curve in zip(data["classes"]["curves"], wanted.curves, strict=True):
        np.testing.assert_allclose(found["thresholds"], curve.thresholds, rtol=1e-8)
        assert found["hits"] == curve.hits.tolist()
        assert found["auc"] == pytest.approx(curve.auc, rel=1e-8)
    np.testing.assert_allclose(data["edges"], EDGES, rtol=1e-8)
    assert data["classes"]["calibration"] == plain(wanted.calibration)
    matrix = page.value(
        "[...document.querySelectorAll('.matrix tbody tr')].map((line) => "
        "[...line.querySelectorAll('td')].map((cell) => Number(cell.textContent)))"
    )
    assert matrix == confusion_matrix(of.y, of.chosen).tolist()


def test_charts_have_their_numbers_as_tables(opened, subject):
    page = opened("regression")
    page.value("document.querySelector('[data-table=actual]').open = true")
    page.value("new Promise((done) => setTimeout(done, 50))")
    rows = page.value("document.querySelectorAll('[data-table=actual] tbody tr').length")
    assert rows == len(subject("regression"))


def test_paper_is_white(opened):
    page = opened("regression", dark=True)
    colour = "getComputedStyle(document.body).backgroundColor"
    page.value("document.getElementById('theme').click(); document.getElementById('theme').click()")
    assert page.value("document.documentElement.dataset.theme") == "dark"
    assert page.value(colour) == "rgb(18, 22, 28)"
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.value(colour) == "rgb(255, 255, 255)"
    assert page.value("getComputedStyle(document.querySelector('nav')).display") == "none"
