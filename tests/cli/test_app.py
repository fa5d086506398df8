"""Help and bad input: one clear line, exit code 2, and nothing that was not there before."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.initialisers import INITIALISERS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS
from backhand.formulas.schedules import SCHEDULES

from .conftest import write_csv


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
        (["--hidden", "5 5"], ["--hidden", "'5 5'"]),
        (["--hidden", "²"], ["--hidden", "'²'"]),
        (["--hidden", "1000000000"], ["1000000000"]),
        (["--hidden", "900000,900000"], ["parameters"]),
        (["--activation", "rellu"], ["'rellu'", "did you mean 'relu'"]),
        (["--activation", "elu:alpha=x"], ["alpha=x"]),
        (["--activation", "rellu", "--hidden", ""], ["did you mean 'relu'"]),
        (["--activation", "relu,tanh"], ["hidden layers"]),
        (["--loss", "softmax"], ["did you mean 'softmax_cross_entropy'"]),
        (["--loss", "huber"], ["'huber'", "regression", "classification"]),
        (["--loss", "poisson"], ["'poisson'", "regression", "classification"]),
        (["--loss", "binary_cross_entropy"], ["from 0 to 1", "classification"]),
        (["--init", "kaiming"], ["did you mean 'kaiming_"]),
        (["--optimiser", "adm"], ["did you mean 'adam'"]),
        (["--schedule", "cosin"], ["did you mean 'cosine'"]),
        (["--engine", "lvm"], ["did you mean 'llvm'"]),
        (["--dtype", "float16"], ["'float16'"]),
        (["--task", "clasification"], ["did you mean 'classification'"]),
        (["--task", "regression"], ["digits", "classification"]),
        (["--target", "label"], ["'label'", "digits"]),
        (["--epochs", "-1"], ["--epochs", "-1"]),
        (["--epochs", "0"], ["--epochs", "0"]),
        (["--epochs", "99999999999999999999"], ["--epochs", "9999"]),
        (["--epochs", "ten"], ["--epochs", "'ten'", "backhand train --help"]),
        (["--batch-size", "0"], ["batch-size", "0"]),
        (["--learning-rate", "fast"], ["--learning-rate", "'fast'"]),
        (["--learning-rate", "nan"], ["learning_rate", "nan"]),
        (["--learning-rate", "inf"], ["learning_rate", "inf"]),
        (["--l2", "-1"], ["l2", "-1"]),
        (["--clip-norm", "0"], ["clip_norm", "0"]),
        (["--learning-rate", "-1"], ["learning_rate", "-1"]),
        (["--dropout", "1"], ["dropout", "1"]),
        (["--dropout", "2", "--hidden", ""], ["dropout", "2"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--threads", "0"], ["threads", "0"]),
        (["--threads", "100000"], ["threads", "100000"]),
        (["--patience", "0"], ["patience", "0"]),
        (["--plot", "picture.txt"], ["picture.txt", ".png"]),
        (["--plot", "none/picture.png"], ["none/picture.png", "make the folder"]),
        (["--out", "/proc/none/run"], ["/proc/none/run"]),
        (["--hiden", "3"], ["--hiden"]),
        (["more"], ["more"]),
    ],
    ids=lambda value: ascii(" ".join(value)) if value[0].startswith("--") else "",
)
def test_options(backhand, tmp_path, options, words):
    refused(backhand("train", "digits", *options), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "digts"], "did you mean 'digits'"),
        (["train", "nothing.csv", "--target", "a"], "no such file: nothing.csv"),
        (["train", "n" * 300 + ".csv"], "too long"),
        (["train"], "NAME|FILE"),
        (["predict", "m.safetensors", "x.csv"], "no such file: m.safetensors"),
        (["predict", "m.safetensors", "x.csv", "-o", "y.xls"], ".parquet"),
        (["predict", "/dev/zero", "x.csv"], "regular file"),
        (["inspect", "digits", "--hidden", "900000,900000"], "parameters"),
        (["inspect", "digits", "--seed", "-1"], "--seed"),
        (["inspect", "digits", "--plot", "none/p.png"], "make the folder"),
        (["inspect", "digits", "--init", "lsvu"], "did you mean 'lsuv'"),
        (["inspect", "digits", "--activation", "rellu"], "did you mean 'relu'"),
        (["check", "--networks", "0"], "--networks"),
        (["show", "3-x-2"], "3-x-2"),
        (["show", "²-2"], "²-2"),
        (["show", "3"], "widths"),
        (["show", "none.safetensors"], "no such file"),
        (["show", "3-2", "--activation", "rellu"], "did you mean 'relu'"),
        (["show", "3-2", "--dropout", "1"], "dropout"),
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

    monkeypatch.setattr("os.mkdir", refuse)
    refused(backhand("train", "digits", "--out", tmp_path / "run"), "Permission denied")
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_training_writes_nothing(backhand, tmp_path):
    words = [
        "--optimiser",
        "sgd",
        "--learning-rate",
        "1e30",
        "--schedule",
        "constant",
        "--epochs",
        "3",
    ]
    code, _, err = backhand("train", "digits", *words)
    assert code == 1
    assert err.startswith("error: training diverged in epoch 1")
    assert "layer" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", ["1e6", "1e10", "1e30"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_diverging_regression_does_too(backhand, tmp_path, optimiser, rate):
    file = write_csv(tmp_path / "t.csv", rows(t=np.linspace(0, 9, 40)))
    words = ["--target", "t", "--optimiser", optimiser, "--learning-rate", rate, "--epochs", "3"]
    code, _, err = backhand("train", file, *words, "--schedule", "constant", "--out", "new/run")
    if code == 0:  # adam bounds its steps, whatever the rate
        assert optimiser == "adam"
        return
    assert code == 1
    assert err.startswith("error: training diverged")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [file]


def test_ctrl_c_before_the_training_writes_nothing(backhand, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("backhand.datasets.load", interrupt)
    for command in ("train", "inspect"):
        code, out, err = backhand(command, "digits")
        assert (code, out, err) == (130, "", "interrupted: nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_command_line_is_parsed_is_one_line(backhand, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.core.TyperGroup.parse_args", interrupt)
    assert backhand("train", "digits") == (130, "", "interrupted: nothing was written\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "x.csv"), 2, "x.csv: Permission denied"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (MemoryError("Unable to allocate 3 TiB"), 1, "not enough memory: Unable to allocate 3 TiB"),
        (MemoryError(), 1, "--batch-size"),
    ],
)
def test_what_the_system_refuses_is_one_line_too(backhand, monkeypatch, error, code, said):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("backhand.datasets.load", refuse)
    got, _, err = backhand("train", "digits")
    assert got == code
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert said in err


def test_warnings_are_one_line(backhand, tmp_path):
    file = write_csv(tmp_path / "t.csv", rows(c=["same"] * 40))
    code, _, err = backhand("train", file, "--target", "t", "--epochs", "1", "--out", "run")
    assert code == 0
    assert err.splitlines() == [
        "warning: 1 column is left out (constant in the training rows): 'c'"
    ]


def process(*words, **more):
    return subprocess.run(
        [sys.executable, "-m", "backhand", *words],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=60,
        **more,
    )


@pytest.mark.parametrize("command", ["", "train", "predict", "inspect", "check", "show"])
def test_help_reads_well_at_80_columns(command):
    done = process(*filter(None, [command]), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: backhand {command}".rstrip())
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "..." not in done.stdout.replace("ARGS]...", "").replace(",...", "")


def test_without_a_command_it_is_the_help():
    alone = process()
    assert alone.returncode == 0
    assert alone.stdout == process("--help").stdout


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys\nfrom backhand.cli.app import run\n"
        "for word in ('--version', '--help'):\n    assert run([word]) == 0\n"
        "heavy = {'numpy', 'sklearn', 'llvmlite', 'scipy', 'pyarrow', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_reading_is_no_error(people, tmp_path):
    command = f"'{sys.executable}' -m backhand show 784-50-10 --ir | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_every_command_shows_what_an_encoding_lacks_as_escapes(tmp_path):
    write_csv(tmp_path / "茶.csv", rows())
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for words in (
        ["train", "茶.csv", "--target", "t", "--epochs", "1", "--out", "茶"],
        ["inspect", "茶.csv", "--target", "t", "--hidden", "4"],
        ["show", "3-4-2"],
        ["show", "茶/model.safetensors", "--ir"],
        ["predict", "茶/model.safetensors", "茶.csv", "-o", "茶2.csv"],
        ["predict", "茶/none.safetensors", "茶.csv"],
        ["--help"],
        ["train", "--help"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "backhand", *words], cwd=tmp_path, capture_output=True, env=env
        )
        assert done.returncode in (0, 2), words
        assert (done.stdout + done.stderr).isascii()
        assert b"Traceback" not in done.stderr


def test_the_help_of_train_lists_what_may_be_named(backhand):
    code, out, _ = backhand("train", "--help")
    assert code == 0
    words = set(re.findall(r"\w+", out))
    assert words >= {*ACTIVATIONS, *INITIALISERS, *OPTIMISERS, *SCHEDULES}
    losses = {name for name, loss in LOSSES.items() if loss.target in ("class", "real")}
    assert words >= losses
    assert not words & (LOSSES.keys() - losses)  # what train refuses
