from __future__ import annotations

import dataclasses
import itertools
import os

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.network import Network
from backhand.report import pictures
from backhand.train.state import Epoch

HISTORY = [Epoch(n, 1 / n, 1.2 / n, 0.5 + 0.04 * n, 0.01, 10.0) for n in range(1, 9)]


def drawn(monkeypatch, *args, **kwargs):
    """The axes of a history."""
    figures = []
    monkeypatch.setattr(pictures, "_save", lambda figure, _: figures.append(figure))
    pictures.plot_history(*args, **kwargs)
    return figures[0].axes


@pytest.mark.parametrize(("kept", "epoch"), [(0, 5), (3, 3)])
def test_the_marked_points_lie_on_the_curves_where_the_legend_says(monkeypatch, kept, epoch):
    history = [
        dataclasses.replace(line, validation_loss=1.0 + (line.epoch - 5) ** 2) for line in HISTORY
    ]
    axes = drawn(monkeypatch, history, "h.svg", "accuracy", kept=kept)
    for axis, value in zip(axes, ("validation_loss", "validation_score"), strict=True):
        curves = {line.get_label(): line for line in axis.get_lines()}
        (label,) = [label for label in curves if label.startswith("kept")]
        ((x, y),) = curves[label].get_xydata()
        assert label == f"kept: epoch {epoch}, {y:.4f}"
        assert (x, y) == (epoch, getattr(history[epoch - 1], value))
        assert [x, y] in curves["validation"].get_xydata().tolist()


def test_history(tmp_path):
    pictures.plot_history(HISTORY, tmp_path / "h.svg", "accuracy")
    text = (tmp_path / "h.svg").read_text()
    assert "validation accuracy" in text
    assert "kept: epoch 8, 0.8200" in text
    bare = [
        dataclasses.replace(line, validation_loss=None, validation_score=None) for line in HISTORY
    ]
    pictures.plot_history(bare, tmp_path / "b.png", "accuracy")
    with pytest.raises(InputError, match="no epoch"):
        pictures.plot_history([], tmp_path / "n.png", "accuracy")


def test_statistics(tmp_path):
    network = Network((3, 4, 4, 2))
    x = np.random.default_rng(0).standard_normal((9, 3))
    rows = network.statistics(network.init("lecun_normal", 0), x, engine="numpy")
    pictures.plot_statistics({"lecun_normal, relu": rows}, tmp_path / "s.png", "title")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    pictures.plot_statistics({"lecun_normal, relu": rows}, tmp_path / "s.svg", "title")
    text = (tmp_path / "s.svg").read_text()
    assert "<!-- activation -->" not in text
    assert "<!-- title, relu -->" in text


def test_initialisers_and_activations_have_a_key_each(tmp_path):
    network = Network((3, 4, 4, 2))
    x = np.random.default_rng(0).standard_normal((9, 3))
    rows = network.statistics(network.init("lecun_normal", 0), x, engine="numpy")
    pairs = itertools.product(("lecun_normal", "lsuv"), ("relu", "own:a=1, b=2", "tanh"))
    cases = {f"{scheme}, {activation}": rows for scheme, activation in pairs}
    pictures.plot_statistics(cases, tmp_path / "s.svg", "title")
    text = (tmp_path / "s.svg").read_text()
    assert "<!-- activation -->" in text
    for label in ("lecun_normal", "lsuv", "relu", "own:a=1, b=2", "tanh", "half at each layer"):
        assert text.count(f"<!-- {label} -->") == 1


def test_powers_of_two_are_written_as_fractions():
    values = (4, 1, 0.5, 1 / 32, 1 / 4096, 2.0**-20)
    written = [pictures._fraction(value, 0) for value in values]
    assert written == ["4", "1", "1/2", "1/32", "1/4096", "9.54e-07"]


def test_what_a_picture_may_be_called(tmp_path, monkeypatch):
    pictures.check_picture("a.PNG")
    for name in ("a", "a.txt", "png"):
        with pytest.raises(InputError, match=r"\.png"):
            pictures.check_picture(name)
    with pytest.raises(InputError, match="make the folder"):
        pictures.check_picture("none/a.png")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        pictures.check_picture(tmp_path / "b.png")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written to"):
        pictures.check_picture("a.png")
