from __future__ import annotations

import numpy as np

from backhand import TabularRegressor, load


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
    code, out, _ = backhand("show", "run/model.safetensors")
    assert code == 0
    assert "h1 = dropout(y1, words1, threshold=threshold1, scale=scale1)" in out
    assert backhand("show", "run", "--plan")[1] == out


def test_an_ensemble_shows_each_kind_of_network_once(backhand, tmp_path):
    x = np.linspace(0.1, 3, 60)
    TabularRegressor("fast", n_members=4, random_state=0).fit({"a": x, "b": x**2}, np.exp(x)).save(
        tmp_path / "m.safetensors"
    )
    code, out, _ = backhand("show", "m.safetensors")
    assert code == 0
    kinds = {m.network for m in load(tmp_path / "m.safetensors").members_}
    assert [line.startswith("# ") for line in out.splitlines()].count(True) == (
        len(kinds) if len(kinds) > 1 else 0
    )
    assert "x = all_x[order]" in out


def test_an_activation_for_each_layer(backhand):
    code, out, _ = backhand("show", "5-4-3-2", "--activation", "elu:alpha=0.5,tanh")
    assert code == 0
    assert "elu" in out
    assert "tanh" in out
