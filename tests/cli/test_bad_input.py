"""Bad input: one clear line, exit code 2, and nothing that was not there before."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import write_csv

pytest.importorskip("pyarrow", reason="the extra `table` is not installed")


def refused(outcome, *words):
    code, out, err = outcome
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert code == 2, (code, out, err)
    assert len(lines) == 1, err
    assert lines[0].startswith("error: "), err
    for word in words:
        assert word in lines[0], err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hidden", "0"], ["--hidden", "'0'"]),
        (["--hidden", "12,-3"], ["--hidden", "'-3'"]),
        (["--hidden", "many"], ["--hidden", "'many'"]),
        (["--hidden", "1000000000"], ["1000000000"]),
        (["--hidden", "900000,900000"], ["parameters"]),
        (["--activation", "rellu"], ["'rellu'", "did you mean 'relu'"]),
        (["--activation", "elu:alpha=x"], ["alpha=x"]),
        (["--activation", "relu,tanh"], ["hidden layers"]),
        (["--loss", "softmax"], ["did you mean 'softmax_cross_entropy'"]),
        (["--loss", "huber"], ["regression", "classification"]),
        (["--init", "kaiming"], ["did you mean 'kaiming_"]),
        (["--optimiser", "adm"], ["did you mean 'adam'"]),
        (["--schedule", "cosin"], ["did you mean 'cosine'"]),
        (["--engine", "lvm"], ["did you mean 'llvm'"]),
        (["--dtype", "float16"], ["'float16'"]),
        (["--epochs", "-1"], ["epochs", "-1"]),
        (["--epochs", "ten"], ["--epochs"]),
        (["--batch", "0"], ["batch", "0"]),
        (["--rate", "nan"], ["rate", "nan"]),
        (["--rate", "-1"], ["rate", "-1"]),
        (["--dropout", "1"], ["dropout", "1"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--threads", "0"], ["threads", "0"]),
        (["--patience", "0"], ["patience", "0"]),
        (["--plot", "picture.txt"], ["picture.txt", ".png"]),
        (["--hiden", "3"], ["--hiden"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_options(backhand, tmp_path, options, words):
    refused(backhand("train", "digits", *options), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "digts"], "did you mean 'digits'"),
        (["train", "nothing.csv", "--target", "a"], "no such file: nothing.csv"),
        (["predict", "m.safetensors", "x.csv"], "no such file: m.safetensors"),
        (["inspect", "digits", "--init", "lsvu"], "did you mean 'lsuv'"),
        (["inspect", "digits", "--activation", "rellu"], "did you mean 'relu'"),
        (["check", "--networks", "0"], "--networks"),
        (["show", "3-x-2"], "3-x-2"),
        (["show", "3-4-2", "--asm", "--target", "avx3"], "avx3"),
        (["trian"], "trian"),
    ],
)
def test_names(backhand, tmp_path, words, said):
    refused(backhand(*words), said)
    assert list(tmp_path.iterdir()) == []


def rows(**changes):
    columns = {"a": list(range(40)), "b": ["x", "y"] * 20, "t": ["u", "v"] * 20}
    return {**columns, **changes}


def with_bad(values, bad, at=7):
    values = list(values)
    values[at] = bad
    return values


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (rows(), ["--target", "tt"], ["no column 'tt'", "did you mean 't'"]),
        (rows(), [], ["column to predict"]),
        (rows(t=["u"] * 40), ["--target", "t"], ["'t'", "every row"]),
        (rows(), ["--target", "t", "--task", "regression"], ["'t'", "regression"]),
        (rows(), ["--target", "t", "--task", "clasification"], ["classification"]),
        (rows(t=with_bad(np.linspace(0, 1, 40), "nan")), ["--target", "t"], ["'t'", "missing"]),
        (rows(t=with_bad(np.linspace(0, 1, 40), "inf")), ["--target", "t"], ["'t'", "inf"]),
        (rows(a=with_bad(range(40), "inf")), ["--target", "t"], ["'a'", "inf", "9"]),
    ],
)
def test_tables(backhand, tmp_path, columns, options, words):
    file = write_csv(tmp_path / "t.csv", columns)
    refused(backhand("train", file, *options), *words)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", ["", "a,b,t\n", "\n\n"])
def test_empty_tables(backhand, tmp_path, content):
    file = tmp_path / "t.csv"
    file.write_text(content)
    refused(backhand("train", file, "--target", "t"), "t.csv")
    assert list(tmp_path.iterdir()) == [file]


def test_folder_that_cannot_be_written(backhand, tmp_path):
    (tmp_path / "file").write_text("")
    refused(backhand("train", "digits", "--out", tmp_path / "file" / "run"), "file/run")
    refused(backhand("train", "digits", "--out", tmp_path / "file"), "already there")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_read_only_folder(backhand, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    refused(backhand("train", "digits", "--out", tmp_path / "run"), "Permission denied")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(backhand, tmp_path, monkeypatch):
    file = write_csv(tmp_path / "t.csv", rows())
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    refused(backhand("train", file, "--target", "t"), "backhand[table]")


def test_a_diverging_training_writes_nothing(backhand, tmp_path):
    words = ["--optimiser", "sgd", "--rate", "1e30", "--schedule", "constant", "--epochs", "3"]
    code, _, err = backhand("train", "digits", *words)
    assert code == 1
    assert err.startswith("error: training diverged in epoch 1")
    assert "layer" in err
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]
