from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import r2_score

from backhand import Rows, datasets
from backhand.cli import train_plain
from backhand.errors import InputError
from backhand.export import Model
from backhand.network import Network
from backhand.train.evaluate import evaluate
from backhand.train.rows import EVALUATED_AT_ONCE

QUICK = ["--epochs", "3", "--hidden", "20"]


def run_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_digits_by_default_reach_97_percent(backhand, tmp_path):
    code, out, _ = backhand("train", "digits")
    assert code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == [
        "history.jsonl",
        "model.safetensors",
        "run.json",
    ]
    assert run_of(folder)["scores"]["test"]["accuracy"] >= 0.97
    assert re.search("^ 1/60 .*\\n 3/60 ", out, re.M)  # rows stay
    assert re.search("^60/60 ", out, re.M)
    assert "inputs: 64 pixels; network 64-256-10" in out
    best = run_of(folder)["best_epoch"]
    assert f"kept: epoch {best} of 60, with the lowest validation loss (*), " in out
    assert re.search(r"^ended: after all 60 epochs; \d+\.\d s$", out, re.M)
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in history]
    assert losses.index(min(losses)) == best - 1
    assert f"{min(losses):.4f}" in out
    assert [line["epoch"] for line in history] == list(range(1, 61))


def test_the_recorded_command_gives_the_same_model_again(backhand, tmp_path):
    backhand("train", "digits", *QUICK, "--activation", "silu", "--seed", "3", "--out", "one")
    command = shlex.split(run_of(tmp_path / "one")["command"])
    assert command[:3] == ["backhand", "train", "digits"]
    backhand(*command[1:], "--out", "two")
    backhand(*command[1:], "--threads", "2", "--out", "three")
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    mine, theirs = (Model.load(tmp_path / n / "model.safetensors").params for n in ("one", "three"))
    assert all((a == theirs[name]).all() for name, a in mine.items())


def test_gradients_are_clipped(backhand, tmp_path):
    for number, limit in enumerate(("1e-9", "1e9")):
        words = "--optimiser", "momentum", "--clip-norm", limit, "--out", f"run{number}"
        backhand("train", "digits", *QUICK, *words)
    still, moved = (run_of(tmp_path / f"run{n}")["scores"]["test"]["accuracy"] for n in (0, 1))
    assert still < moved  # steps of length 1e-9 lead nowhere
    assert run_of(tmp_path / "run0")["options"]["clip_norm"] == 1e-9


def test_the_engine_that_is_named_does_everything(backhand, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "backhand.run.llvm.runtime.engine", None)  # importing it fails
    code, _, err = backhand("train", "digits", *QUICK, "--engine", "numpy", "--out", "run")
    assert (code, err) == (0, "")
    assert run_of(tmp_path / "run")["options"]["engine"] == "numpy"


def test_scores_look_at_a_bounded_number_of_rows_at_once(monkeypatch):
    rows, seen = EVALUATED_AT_ONCE + 5, []
    x = np.random.default_rng(0).random((rows, 3), np.float32)
    split = Rows(x, x[:, :1] + 1)
    data = dataclasses.make_dataclass("D", ["task", "target_std"])("regression", 2.0)
    network = Network((3, 1))
    params = network.init("lecun_normal", 0)
    z = network.forward(params, x, "numpy").astype(np.float64)
    real = Network.forward

    def forward(self, params, x, engine=None):
        seen.append((len(x), engine))
        return real(self, params, x, engine)

    monkeypatch.setattr(Network, "forward", forward)
    got = train_plain.scores(network, params, data, split, "numpy")
    assert seen == [(EVALUATED_AT_ONCE, "numpy"), (5, "numpy")]
    error = np.mean((z - split.t) ** 2)
    assert got["loss"] == pytest.approx(error, rel=1e-5)
    assert got["RMSE"] == pytest.approx(2 * error**0.5, rel=1e-5)
    assert got["R2"] == pytest.approx(1 - error / np.var(split.t), rel=1e-4)


def test_a_folder_with_something_in_it_is_not_touched(backhand, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("")
    assert backhand("train", "digits", *QUICK, "--out", "run")[0] == 2
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["mine"]


def test_runs_of_one_second_get_folders_of_their_own(backhand, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-000000")
    for _ in range(3):
        assert backhand("train", "digits", "--epochs", "1", "--hidden", "4")[0] == 0
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_regression_is_scored_in_the_targets_unit(backhand, tmp_path, people):
    words = "--target", "income", "--hidden", "256", "--out", "run"
    code, out, err = backhand("train", people[1], *words)
    assert code == 0
    assert "unit" in err  # the constant column is said to be left out
    scores = run_of(tmp_path / "run")["scores"]
    assert scores["test"]["R2"] > 0.8
    assert scores["test"]["RMSE"] < 250
    assert "RMSE" in out
    assert re.search("^baseline: always [0-9.]+, the mean of the training rows; on", out, re.M)
    columns = "columns: 1 of numbers, 3 of categories, as 8 inputs (2 columns with missing values)"
    assert f"{columns}; network" in out


def test_names_that_look_like_markup_are_printed_as_they_are(backhand, people, tmp_path):
    file = people[1].rename(tmp_path / "[red]a[:smile:].csv")
    code, out, _ = backhand("train", file, "--target", "label", "--epochs", "1", "--out", "[b]")
    assert code == 0
    assert "[red]a[:smile:].csv" in out
    assert "model: [b]/model.safetensors" in out


def test_patience_is_given_as_the_reason(backhand):
    words = [
        "--hidden",
        "20",
        "--patience",
        "1",
        "--learning-rate",
        "0.1",
        "--schedule",
        "constant",
    ]
    code, out, _ = backhand("train", "digits", *words)
    assert code == 0
    (reason,) = [line for line in out.splitlines() if line.startswith("ended: ")]
    assert reason.startswith("ended: no lower validation loss in 1 epochs (--patience); 60 epochs")
    kept = re.search("kept: epoch ([0-9]+) of ([0-9]+)", out)
    assert int(kept[1]) + 1 == int(kept[2]) < 60


def test_the_baseline_is_what_scikit_learns_dummies_score():
    digits = datasets.load("digits")
    dummy = DummyClassifier().fit(digits.train.x, digits.train.t)
    baseline = train_plain.baseline_of(digits)
    assert baseline.scores == {"accuracy": dummy.score(digits.test.x, digits.test.t)}
    assert f"always {dummy.predict(digits.test.x)[0]}, " in baseline.text
    rng = np.random.default_rng(0)
    raw = rng.normal(50, 7, 90)
    mean, std = raw[:60].mean(), raw[:60].std()
    t = (((raw - mean) / std)[:, None]).astype(np.float32)
    numbers = dataclasses.replace(
        digits,
        task="regression",
        classes=None,
        target_mean=mean,
        target_std=std,
        train=Rows(t[:60], t[:60]),
        test=Rows(t[60:], t[60:]),
    )
    guess = np.full(30, raw[:60].mean())
    scores = train_plain.baseline_of(numbers).scores
    assert scores["R2"] == pytest.approx(r2_score(raw[60:], guess), rel=1e-5)
    assert scores["RMSE"] == pytest.approx(np.sqrt(np.mean((raw[60:] - guess) ** 2)), rel=1e-5)


def test_a_full_disk_does_not_lose_the_training(backhand, tmp_path, monkeypatch):
    real = Model.save
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()

    def full(model, path):
        if path.parent.parent == tmp_path / "runs":
            raise InputError(f"cannot write {path}: No space left on device")
        real(model, path)

    monkeypatch.setattr(Model, "save", full)
    code, out, err = backhand("train", "digits", *QUICK, "--out", tmp_path / "runs" / "one")
    kept = tmp_path / "tmp" / "one"
    assert code == 1
    place = tmp_path / "runs" / "one" / "model.safetensors"
    assert f"cannot write {place}: No space left on device; the run is kept in {kept}" in err
    assert f"model: {kept / 'model.safetensors'}" in out
    assert Model.load(kept / "model.safetensors").task == "classification"
    assert [p.name for p in tmp_path.iterdir()] == ["tmp"]


def test_an_interrupted_training_is_kept_and_a_second_ctrl_c_does_not_lose_it(
    backhand, tmp_path, monkeypatch
):
    real = {"fit": train_plain.fit, "scores": train_plain.scores}

    def fit(*args, callbacks, **kwargs):
        def interrupt(now):
            if now.epoch == 4:
                raise KeyboardInterrupt

        return real["fit"](*args, callbacks=[*callbacks, interrupt], **kwargs)

    def scores(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return real["scores"](*args)

    monkeypatch.setattr(train_plain, "fit", fit)
    monkeypatch.setattr(train_plain, "scores", scores)
    words = ["--epochs", "9", "--hidden", "20", "--out", "run", "--plot", "p.svg"]
    code, out, err = backhand("train", "digits", *words)
    assert code == 130
    assert err == ""
    assert re.search(
        "^interrupted: kept the best model so far, of epoch [1-4] of 4; 9 epochs", out, re.M
    )
    assert Model.load(tmp_path / "run" / "model.safetensors").provenance["stopped"] == "interrupted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.svg", "run"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_a_library_lost_still_counts(backhand, tmp_path, monkeypatch):
    def lose(*args, **kwargs):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    real = {"load": datasets.load, "evaluate": evaluate}
    with monkeypatch.context() as loading:
        loading.setattr(datasets, "load", lambda *a, **k: (lose(), real["load"](*a, **k))[1])
        assert backhand("train", "digits")[::2] == (130, "interrupted: nothing was written\n")
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as running:
        running.setattr("backhand.train.fit.evaluate", lambda *a: (lose(), real["evaluate"](*a))[1])
        code, out, _ = backhand("train", "digits", "--epochs", "9", "--out", "run")
    assert code == 130
    assert "of epoch 1 of 1" in out
    assert Model.load(tmp_path / "run" / "model.safetensors").provenance["stopped"] == "interrupted"


def test_an_interrupted_first_epoch_is_kept_too(backhand, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("backhand.train.loop.TrainLoop.epoch", interrupt)
    code, out, _ = backhand("train", "digits", *QUICK, "--out", "run", "--plot", "p.svg")
    assert code == 130
    assert "interrupted: kept the model, of an unfinished first epoch" in out
    assert Model.load(tmp_path / "run" / "model.safetensors").task == "classification"


def test_history_is_drawn(backhand, tmp_path):
    backhand("train", "digits", *QUICK, "--plot", "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("seconds", [0.3, 1.6])
def test_ctrl_c_keeps_the_best_model_so_far(tmp_path, seconds):
    words = ["train", "digits", "--epochs", "100000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "backhand", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (130, -signal.SIGINT), err  # before Python is up, the signal's own
    if "model:" in out:
        assert Model.load(tmp_path / "run" / "model.safetensors").task == "classification"
        assert re.search("interrupted: kept the (best model so far|model, of an unfinished)", out)
    else:  # it came before the training
        assert list(tmp_path.iterdir()) == []
        assert "Traceback" not in err or process.returncode == -signal.SIGINT
