"""The page in a browser: no error, no request, the numbers of Python, and ticks."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas.activations import Activation, relu
from backhand.plan.step import gradient_plan

from .conftest import digits
from .test_rows import wrong_vjp

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, walked, tmp_path):
    def open_(kind, **more):
        walked(kind)[-1].save(tmp_path / "walk.html")
        size = {"width": 1200, "height": 900, **more}
        return browser.open(tmp_path / "walk.html", **size)

    return open_


def settled(page, script=""):
    """Do something, and wait until the page shows it."""
    wait = "new Promise((done) => setTimeout(done, 400))"
    page.call("Runtime.evaluate", expression=f"{script}; {wait}", awaitPromise=True)


def set_to(page, name, value, event="change"):
    settled(
        page,
        f"(() => {{ const one = document.getElementById('{name}'); one.value = {value!r};"
        f"one.dispatchEvent(new Event('{event}')); }})()",
    )


def checks(page):
    return page.value(
        "[...document.querySelectorAll('#checks tbody tr')].map((r) => ({...r.dataset}))"
    )


def whole(page, width):
    assert page.errors == []
    assert page.requests == []
    assert page.value("document.documentElement.scrollWidth") == width
    text = "document.querySelector('main').innerText"
    assert page.value(f"/NaN|undefined|Infinity/.test({text})") is False
    unnamed = "[...document.querySelectorAll('input, select, button, [role=button]')].filter((one)"
    unnamed += " => !one.labels?.length && !one.textContent && !one.ariaLabel).length"
    assert page.value(unnamed) == 0


@pytest.mark.parametrize("kind", ["digits", "several", "regression", "estimator"])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_pages_are_whole(opened, kind, width, dark):
    page = opened(kind, width=width, phone=width < 500, dark=dark)
    whole(page, width)
    layers = page.value("[...document.getElementById('choose-layer').options].map((o) => o.value)")
    for layer in layers:
        set_to(page, "choose-layer", layer)
        marks = {one["agrees"] for one in checks(page)}
        assert marks <= {"true", "null"}
    whole(page, width)


def test_a_prediction_stands_beside_what_the_table_has(opened, walked):
    page = opened("regression")
    _, _, y, subject, _ = walked("regression")
    set_to(page, "choose-row", "5")
    wanted = float(np.asarray(y)[subject.numbers[5]])
    told = page.value("document.getElementById('actual').textContent")
    assert float(told.replace("\N{MINUS SIGN}", "-")) == pytest.approx(wanted, rel=1e-5)


def test_numbers_are_those_of_python(opened, walked):
    page = opened("several")
    *_, subject, _ = walked("several")
    set_to(page, "choose-row", "5")
    set_to(page, "choose-layer", "2")
    part = subject.parts[0]
    program = part.program(part.network, part.params)
    x, t = subject.prepared(program)[5:6], part.t[5:6].reshape(-1)
    loss, grads, _ = part.network.loss_and_grads(part.params, x, t, wrt_input=True, engine="numpy")
    assert float(page.value("document.getElementById('loss').dataset.value")) == pytest.approx(loss)
    y = page.value(
        "[...document.querySelectorAll('[data-probability]')].map((s) => +s.dataset.probability)"
    )
    np.testing.assert_allclose(y, program.answers(x)[0], rtol=1e-9)
    plan = gradient_plan(part.network, wrt_input=True)
    found = {one["name"]: float(one["derivative"]) for one in checks(page)}
    of_weights = {name: value for name, value in found.items() if "," in name}
    assert len(of_weights) >= 6
    for name, value in of_weights.items():
        array, _, place = name.removesuffix("]").partition("[")
        wanted = grads[array][tuple(map(int, place.split(",")))]
        assert value == pytest.approx(wanted, rel=1e-6, abs=1e-15)
    assert plan.dx is not None


def test_every_derivative_of_a_unit(opened):
    page = opened("digits")
    settled(page, "document.getElementById('check-all').click()")
    assert page.value("document.getElementById('checked-all').textContent") == "✓ 67 of 67 agree"


def test_a_broken_derivative_has_a_cross(browser, tmp_path):
    model, rows, y = digits(Activation("wrong", relu, wrong_vjp, ("y",), kinks=(0.0,)))
    model.explore(tmp_path / "walk.html", rows, y)
    page = browser.open(tmp_path / "walk.html", width=1200, height=900)
    units = page.value("JSON.parse(document.getElementById('data').textContent)")["networks"][0]
    shown = units["plans"]["wrong"]["layers"][1]["shown"]
    seen = set()
    for unit in shown[:4]:
        set_to(page, "choose-unit", str(unit))
        marks = page.value("document.getElementById('checks').textContent")
        seen.add("✗" in marks)
        assert "✓" in marks  # dy comes before the fault
    assert True in seen
    set_to(page, "choose-activation", "relu")
    assert "✗" not in page.value("document.getElementById('checks').textContent")
    assert page.errors == []


def test_training_makes_the_loss_smaller(opened):
    page = opened("digits")
    set_to(page, "training-scheme", "kaiming_normal")
    before = float(page.value("document.getElementById('trained').dataset.loss"))
    settled(page, "document.getElementById('many-steps').click()")
    page.call(
        "Runtime.evaluate",
        expression="new Promise((done) => { const one = document.getElementById('many-steps'); "
        "const wait = () => one.disabled ? setTimeout(wait, 50) : done(); wait(); })",
        awaitPromise=True,
    )
    assert float(page.value("document.getElementById('trained').dataset.loss")) < 0.5 * before
    assert page.value("document.getElementById('choose-scheme').value") == "trained here"
    assert page.value("document.querySelectorAll('#curve polyline').length") == 1
    assert page.errors == []


def test_cells_move_the_answer(opened):
    page = opened("several")
    loss = "document.getElementById('loss').dataset.value"
    for name, value, event in (
        ("cell-0", "-2.5", "input"),
        ("cell-2", "1", "change"),
        ("cell-4", "2021-03-04", "change"),
        ("cell-1", "", "input"),
    ):
        before = page.value(loss)
        set_to(page, name, value, event)
        assert page.value(loss) != before
    assert page.errors == []


@pytest.mark.parametrize("kind", ["digits", "regression"])
def test_the_tour(opened, kind):
    page = opened(kind, width=390, phone=True)
    settled(page, "document.getElementById('start-tour').click()")
    steps = int(page.value("document.getElementById('tour-place').textContent").split()[-1])
    assert steps >= 12
    for step in range(steps):
        assert page.value("document.getElementById('tour-place').textContent") == (
            f"Step {step + 1} of {steps}"
        )
        assert page.value("document.activeElement.id") == "tour-title"
        before = page.value("document.getElementById('tour-title').textContent")
        page.call(
            "Runtime.evaluate",
            expression="new Promise((done) => { const was = document.getElementById('tour-place')"
            ".textContent; document.getElementById('tour-next').click(); const wait = () => "
            "document.getElementById('tour').hidden || document.getElementById('tour-place')"
            ".textContent !== was ? setTimeout(done, 50) : setTimeout(wait, 20); wait(); })",
            awaitPromise=True,
        )
        assert before
    assert page.value("document.getElementById('tour').hidden") is True
    whole(page, 390)
