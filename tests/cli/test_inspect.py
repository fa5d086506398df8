from __future__ import annotations

import itertools
import re

import pytest


def table_of(out, title):
    """A printed table as {name: [numbers]}."""
    lines = out[out.index(title) :].split("\n\n")[0].splitlines()[2:]
    rows = [re.split(r"\s\s+", line.strip()) for line in lines]
    return {name: [float(cell) for cell in cells] for name, *cells in rows}


def test_what_each_scheme_makes_of_the_data(backhand):
    words = ["--init", "lecun_normal,kaiming_normal,lsuv", "--activation", "relu,shifted_relu"]
    code, out, _ = backhand("inspect", "digits", "--hidden", "200,200,200,200,200", *words)
    assert code == 0
    variance = table_of(out, "Variance of pre-activations")
    halved = variance["lecun_normal, relu"]
    ratios = [b / a for a, b in itertools.pairwise(halved[:5])]
    assert all(0.3 < ratio < 0.75 for ratio in ratios)  # half at each relu
    kept = variance["kaiming_normal, relu"]
    assert 0.5 < kept[4] / kept[0] < 2
    assert variance["lsuv, relu"] == pytest.approx([1] * 6, rel=0.01)
    mean = table_of(out, "Mean of outputs")
    for layer in range(5):
        relu, shifted = (mean[f"kaiming_normal, {a}"][layer] for a in ("relu", "shifted_relu"))
        assert abs(shifted) < abs(relu) / 2


def test_every_statistic_and_a_picture(backhand, tmp_path):
    words = ["--hidden", "9", "--init", "orthogonal", "--activation", "elu:alpha=0.5"]
    code, out, _ = backhand("inspect", "digits", *words, "--full", "--plot", "p.svg")
    assert code == 0
    assert "dead units" in out
    assert len(re.findall(r"│ +d[xyz] +│", out)) == 4
    text = (tmp_path / "p.svg").read_text()
    assert "orthogonal" in text
    assert "elu:alpha=0.5" in text


def test_verdicts_on_initialisers(backhand):
    words = ["--hidden", "50,50,50,50,50,50", "--init", "lecun_normal,kaiming_normal"]
    code, out, _ = backhand("inspect", "digits", *words, "--activation", "relu,tanh")
    assert code == 0
    verdicts = out.partition("Verdicts\n")[2]
    relu = verdicts.partition("lecun_normal, relu")[2].partition("kaiming_normal, relu")[0]
    assert "signals fade" in relu
    assert "try the initialiser kaiming_normal" in relu
    kaiming = verdicts.partition("kaiming_normal, relu")[2].partition("tanh")[0]
    assert "signals fade" not in kaiming


@pytest.mark.parametrize("way", [("digits",), ("people.csv", "--target", "label")])
def test_a_run(backhand, people, tmp_path, way):
    few = ["--epochs", "4"] if way == ("digits",) else ["--preset", "fast", "--members", "1"]
    backhand("train", *way, *few, "--report", "--out", "run")
    code, out, err = backhand("inspect", "run")
    assert (code, err) == (0, "")
    assert out.startswith("run/model.safetensors: <")
    looked = (tmp_path / "run" / "layers.json").read_text() != '{"1": []}'
    assert ("Verdicts" in out) == looked or "nothing was seen" in out
    (tmp_path / "run" / "layers.json").unlink()
    code, out, _ = backhand("inspect", "run/model.safetensors")
    assert code == 0
    assert "nothing was seen of its layers" in out
    code, _, err = backhand("inspect", "run", "--target", "label")
    assert code == 2
    assert "leave out --target" in err
