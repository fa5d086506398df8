from __future__ import annotations


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
    assert "dropout(y1, words1, rate=0.3)" in out
    about = out.splitlines()
    assert about[0] == "classification"
    assert about[1] == "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert about[2] == "inputs: 64 pixels"
    assert about[3].startswith("command: backhand train digits --hidden 7")
    assert any(line.startswith("scores: {'test': {'accuracy': 0.") for line in about)


def test_an_activation_for_each_layer(backhand):
    code, out, _ = backhand("show", "5-4-3-2", "--activation", "elu:alpha=0.5,tanh")
    assert code == 0
    assert "elu" in out
    assert "tanh" in out
