"""`backhand train --resume`: the same model, whatever ended the run; and what it refuses."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from backhand import Model
from backhand.cli import resume, train_plain
from backhand.train.checkpoint import read_checkpoint, save_checkpoint

QUICK = ["--epochs", "6", "--hidden", "20", "--checkpoint-every", "2"]


@pytest.fixture
def interrupted(backhand, monkeypatch, people):
    """Train on a table and be interrupted in an epoch; gives the arguments and the output."""

    def command(*words, epoch=3):
        def fit(*args, callbacks, **kwargs):
            def interrupt(now):
                if now.epoch == epoch:
                    raise KeyboardInterrupt

            return real(*args, callbacks=[*callbacks, interrupt], **kwargs)

        real = train_plain.fit
        name = [people[1], "--target", "label", *QUICK, *words]
        with monkeypatch.context() as patched:
            patched.setattr(train_plain, "fit", fit)
            code, out, err = backhand("train", *name, "--out", "run")
        assert (code, err.count("unit")) == (130, 1)
        return name, out

    return command


def same_model(one, two):
    return (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--patience", "1", "--epochs", "40", "--learning-rate", "0.1"],
        ["--optimiser", "lbfgs"],
        ["--optimiser", "momentum", "--clip-norm", "0.1", "--engine", "numpy"],
    ],
)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    backhand, interrupted, tmp_path, words
):
    name, out = interrupted(*words)
    assert out.endswith("to go on: backhand train --resume run\n")
    assert Model.load(tmp_path / "run" / "model.safetensors").provenance["stopped"] == "interrupted"
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    code, out, _ = backhand("train", "--resume", "run", "--threads", "2", "--plot", "p.svg")
    assert code == 0
    assert ("resumed after epoch 3 of" in out) == ("lbfgs" not in words)
    assert ("L-BFGS starts again" in out) == ("lbfgs" in words)
    backhand("train", *name, "--out", "whole")
    assert same_model(tmp_path / "run", tmp_path / "whole")
    files = ["history.jsonl", "model.safetensors", "run.json"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == files
    lines = [(tmp_path / n / files[0]).read_text().splitlines() for n in ("run", "whole")]
    drop = {"rows_per_second": 0}
    assert [[json.loads(x) | drop for x in y] for y in lines[:1]] == [
        [json.loads(x) | drop for x in y] for y in lines[1:]
    ]
    assert backhand("train", "--resume", "run")[::2] == (
        2,
        "error: run has ended: there is nothing to resume\n",
    )
    # from elsewhere, and interrupted once more
    (tmp_path / "copy").rename(tmp_path / "elsewhere")
    assert backhand("train", "--resume", "elsewhere", "--checkpoint-every", "never")[0] == 0
    assert same_model(tmp_path / "elsewhere", tmp_path / "whole")


def test_the_table_may_be_named_from_another_folder(backhand, interrupted, tmp_path, monkeypatch):
    name, _ = interrupted()
    backhand("train", *name, "--out", "whole")
    state, about = read_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    about["options"]["name"] = "people.csv"
    save_checkpoint(tmp_path / "run" / "checkpoint.safetensors", state, about)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert backhand("train", "--resume", "../run")[0] == 0
    mine, theirs = (Model.load(tmp_path / n / "model.safetensors") for n in ("run", "whole"))
    assert all((a == theirs.params[name]).all() for name, a in mine.params.items())


def test_a_table_that_has_changed_is_refused(backhand, interrupted, people, tmp_path):
    interrupted()
    text = people[1].read_text()
    people[1].write_text(text.replace("yes", "no", 1))
    code, _, err = backhand("train", "--resume", "run")
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: {people[1]} has changed since the run began")
    people[1].write_text(text)
    assert backhand("train", "--resume", "run")[0] == 0


def test_what_else_is_given_with_it_is_refused(backhand, interrupted, tmp_path):
    interrupted()
    for words in (["--epochs", "60"], ["--seed", "0"], ["digits"], ["--out", "x"], ["--l2", "0"]):
        code, _, err = backhand("train", "--resume", "run", *words)
        what = "NAME" if words[0] == "digits" else words[0]
        assert (code, err) == (
            2,
            f"error: --resume takes the options of its run: leave out {what}\n",
        )
    code, _, err = backhand("train")
    assert (code, err.startswith("error: NAME|FILE is missing")) == (2, True)
    for words, said in (
        (["--resume", "nowhere"], "no such file: nowhere/checkpoint.safetensors"),
        (["--resume", "run", "--checkpoint-every", "1h"], "every so many epochs"),
        (["--resume", "run", "--threads", "0"], "--threads must be 1"),
        (["digits", "--checkpoint-every", "-1"], "every so many epochs"),
    ):
        code, _, err = backhand("train", *words)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1


def test_a_checkpoint_that_is_no_runs_is_refused(backhand, interrupted, tmp_path):
    interrupted()
    path = tmp_path / "run" / "checkpoint.safetensors"
    state, about = read_checkpoint(path)
    for change in ({"options": {"name": "x"}}, {"engine": None}, {}):
        wrong = {key: value for key, value in {**about, **change}.items() if value is not None}
        wrong = wrong if change else {}
        save_checkpoint(path, state, wrong)
        code, _, err = backhand("train", "--resume", "run")
        assert code == 2
        assert "is not the checkpoint of a run" in err
    path.write_bytes(path.read_bytes()[:-9])
    assert "truncated or damaged" in backhand("train", "--resume", "run")[2]


def test_a_training_that_diverges_leaves_no_checkpoint(backhand, people, tmp_path):
    words = ["--target", "income", "--hidden", "", "--checkpoint-every", "1", "--out", "run"]
    words += ["--optimiser", "sgd", "--learning-rate", "1.2", "--schedule", "constant"]
    code, out, err = backhand("train", people[1], *words)
    assert (code, "3/60" in out) == (1, True)  # a checkpoint has been written
    assert re.search(r"training diverged in epoch \d+: .* \(nothing was written\)$", err)
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_the_fingerprint_follows_rows_and_meanings(people):
    load = lambda: resume.datasets.load(people[1], target="label")  # noqa: E731
    with pytest.warns(UserWarning, match="unit"):
        data, again = load(), load()
    assert resume.fingerprint(data) == resume.fingerprint(again)
    again.validation.x[3, 1] += 1
    assert resume.fingerprint(data) != resume.fingerprint(again)
    again.validation.x[3, 1] = data.validation.x[3, 1]
    again.classes[0] = "maybe"
    assert resume.fingerprint(data) != resume.fingerprint(again)
