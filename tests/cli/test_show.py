from __future__ import annotations

import pytest

from backhand import Model, Network


def test_plan(backhand):
    code, out, _ = backhand("show", "784-50-10", "--loss", "softmax_cross_entropy")
    assert code == 0
    assert "z1 = x @ w1 + b1" in out
    assert "w1, m_w1, v_w1 = adam(w1, dw1, ...)" in out


def test_ir_and_assembly(backhand):
    code, out, _ = backhand("show", "5-4-2", "--ir")
    assert code == 0
    assert 'define void @"run"' in out
    code, out, _ = backhand("show", "5-4-2", "--asm", "--target", "avx2")
    assert "vfmadd" in out
    assert "ymm" in out
    code, out, _ = backhand("show", "5-4-2", "--asm", "--target", "aarch64")
    assert "fmla" in out


def test_a_models_file(backhand):
    backhand("train", "digits", "--epochs", "1", "--hidden", "7", "--out", "run")
    code, out, _ = backhand("show", "run/model.safetensors", "--plan")
    assert code == 0
    assert "h1 = dropout(y1, words1, threshold=threshold1, scale=scale1)" in out
    about = out.splitlines()
    assert about[0] == "classification"
    assert about[1] == "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert about[2] == "inputs: 64 pixels"
    assert about[3] == "network: 64-7-10, relu"
    assert about[4].split() == ["accuracy", "loss"]
    assert [line.split()[0] for line in about[5:8]] == ["train", "validation", "test"]
    assert about[8] == "kept: epoch 1; ended: after all epochs"
    assert about[9].startswith("command: backhand train digits --hidden 7")
    short = backhand("show", "run")[1]
    assert out.startswith(short)
    assert "dropout(" not in short


def test_the_columns_of_a_table(backhand, people):
    backhand("train", people[1], "--target", "label", "--epochs", "1", "--out", "run")
    code, out, _ = backhand("show", "run")
    assert code == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line}
    assert rows["city"].startswith("city text one-hot of 3 values")
    assert {"Oslo", "Paris", "Rome"} <= set(rows["city"].replace(",", "").split())
    assert rows["smokes"].startswith("smokes true/false -1 or 1 ")
    assert rows["age"].startswith("age numbers number, robustly scaled ")
    assert 38 < float(rows["age"].split("median ")[1]) < 42
    assert "label" not in rows
    assert rows["unit"] == "unit text left out constant in the training rows"


@pytest.mark.parametrize("scores", [None, {}, 3, {"test": None}, {"test": {"loss": "\x1b[2J"}}])
def test_scores_that_somebody_edited(backhand, tmp_path, scores):
    network = Network((6, 5, 2), loss="softmax_cross_entropy")
    made = {"scores": scores, "stopped": "\x1b[2J", "best_epoch": []}
    params = network.init("kaiming_normal")
    model = Model(network, params, "classification", classes=[0, 1], provenance=made)
    model.save(tmp_path / "m.safetensors")
    code, out, err = backhand("show", "m.safetensors")
    assert (code, err) == (0, "")
    assert "\x1b" not in out


def test_an_activation_for_each_layer(backhand):
    code, out, _ = backhand("show", "5-4-3-2", "--activation", "elu:alpha=0.5,tanh")
    assert code == 0
    assert "elu" in out
    assert "tanh" in out
