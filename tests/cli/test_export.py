from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest

from backhand import Model, Network, load


def test_a_table_as_onnx(backhand, people, tmp_path):
    onnx = pytest.importorskip("onnx")
    backhand("train", people[1], "--target", "label", "--epochs", "1", "--out", "run")
    code, out, err = backhand("export", "run", "--onnx", "people.onnx", "--rows", people[1])
    assert (code, err) == (0, "")
    assert out == f"people.onnx: {(tmp_path / 'people.onnx').stat().st_size:,} bytes\n"
    model = onnx.load(tmp_path / "people.onnx")
    names = {one.name for one in model.graph.input}
    assert {"age", "city"} <= names
    assert [one.name for one in model.graph.output] == ["label", "probabilities"]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(tmp_path / "people.onnx")
    row = {
        one.name: np.array(
            [["" if "string" in one.type else np.nan]], object if "string" in one.type else float
        )
        for one in session.get_inputs()
    }
    p = session.run(["probabilities"], row)[0]
    missing = dict.fromkeys(load("run/model.safetensors").preparation.columns)
    want = load("run/model.safetensors").predict_proba(missing)
    np.testing.assert_allclose(p, want, rtol=1e-5)


def test_pixels_as_onnx(backhand, tmp_path):
    onnx = pytest.importorskip("onnx")
    backhand("train", "digits", "--epochs", "1", "--hidden", "7", "--out", "run")
    assert backhand("export", "run/model.safetensors", "--onnx", "digits.onnx")[0] == 0
    (x,) = onnx.load(tmp_path / "digits.onnx").graph.input
    assert x.name == "X"


def test_a_table_as_c(backhand, people, tmp_path):
    backhand("train", people[1], "--target", "label", "--epochs", "1", "--out", "run")
    code, out, err = backhand("export", "run", "--c", "net")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"net\.h: [\d,]+ bytes\nnet\.c: [\d,]+ bytes\n", out)
    header = (tmp_path / "net.h").read_text()
    assert "net_city_Oslo = " in header
    assert "/* 1: yes */" in header
    whole = backhand("export", "run", "--c", "net", "--int8", "--rows", people[1])
    assert whole[0] == 0
    told = whole[1].splitlines()[-1]
    found = r"int8: of 300 rows \d+ are given another class; accuracy [\d.]+ % and not [\d.]+ %"
    assert re.fullmatch(found, told)
    assert len((tmp_path / "net.c").read_text()) > 0


def test_a_table_as_javascript(backhand, people, tmp_path):
    backhand("train", people[1], "--target", "label", "--epochs", "1", "--out", "run")
    code, out, err = backhand("export", "run", "--js", "people.mjs")
    assert (code, err) == (0, "")
    text = (tmp_path / "people.mjs").read_text()
    assert out == f"people.mjs: {len(text):,} bytes\n"
    assert "export function predict(row)" in text
    assert '"Oslo"' in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "say what to write: --c NAME, --js FILE or --onnx FILE"),
        (("--c", "2nd"), "'2nd' cannot begin the names in a C file"),
        (("--c", "none/net"), "cannot write none/net.h: make the folder none first"),
        (("--int8", "--onnx", "m.onnx"), "--int8 is for C: give --c NAME, too"),
        (("--onnx", "m.safetensors"), "--onnx m.safetensors: its name must end in .onnx"),
        (
            ("--js", "m.js", "--rows", "rows.csv"),
            "--rows is for C and ONNX: give --c NAME or --onnx FILE, too",
        ),
        (("--js", "m.ts"), "--js m.ts: its name must end in .js or .mjs"),
        (("--js", "none/m.js"), "cannot write none/m.js: make the folder none first"),
        (("--onnx", "none/m.onnx"), "cannot write none/m.onnx: make the folder none first"),
    ],
)
def test_what_was_given_wrong(backhand, tmp_path, more, message):
    network = Network((3, 1), loss="mean_squared_error")
    Model(network, network.init("kaiming_normal"), "regression").save(tmp_path / "m.safetensors")
    code, _, err = backhand("export", "m.safetensors", *more)
    assert code == 2
    assert message in err


def test_ctrl_c_says_what_was_written(backhand, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    network = Network((2, 1))
    Model(network, network.init("kaiming_normal"), "regression").save("model.safetensors")
    monkeypatch.setattr(Model, "to_c", interrupt)
    given = ("export", "model.safetensors", "--c", "net", "--js", "net.js")
    assert backhand(*given)[::2] == (130, "interrupted: written: net.js\n")
    assert backhand(*given[:4])[::2] == (130, "interrupted: nothing was written\n")


def test_without_onnx_it_says_what_to_install(backhand, tmp_path, monkeypatch):
    network = Network((3, 1), loss="mean_squared_error")
    Model(network, network.init("kaiming_normal"), "regression").save(tmp_path / "m.safetensors")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "onnx" else find(n))
    code, _, err = backhand("export", "m.safetensors", "--onnx", "m.onnx")
    assert code == 2
    assert err.strip().endswith("ONNX files need onnx: run pip install 'backhand[onnx]'")
