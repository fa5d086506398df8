"""`backhand train --resume` of tables: the same model, whatever ended the run; what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backhand.cli import train_table

FAST = "--target", "label", "--preset", "fast", "--threads", "1"
KILLED = RuntimeError("killed")
"""In the place of a kill: nothing is written after it."""
FILES = ["history.jsonl", "model.safetensors", "run.json"]


def ended_by(monkeypatch, when, error):
    """Have an epoch of an ensemble, the n-th that is told of, end a run."""
    real, seen = train_table.ensemble.Live.__call__, []

    def tell(live, now):
        real(live, now)
        seen.extend([now] * (not live._title))  # not of a cross-validation
        if len(seen) == when:
            raise error

    monkeypatch.setattr(train_table.ensemble.Live, "__call__", tell)


@pytest.fixture
def cut(backhand, people, monkeypatch):
    """Run the command with options, killed or interrupted in the midst; gives its outcome."""

    def command(*words, name=people[1], when=30, error=KILLED):
        with monkeypatch.context() as patched:
            ended_by(patched, when, error)
            words = "train", name, *FAST, "--checkpoint-every", "1", "--out", "run", *words
            if error is KeyboardInterrupt:
                return backhand(*words)
            with pytest.raises(RuntimeError, match="killed"):
                backhand(*words)
        return None

    return command


def model(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("streamed", [False, True], ids=["file", "folder"])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(
    backhand, cut, people, tmp_path, streamed
):
    name = people[1]
    if streamed:
        name = tmp_path / "parts"
        name.mkdir()
        shutil.copy(people[1], name)
    cut("--drop", "smokes", "--test", str(people[1]), name=name)
    assert [path.name for path in Path("run").iterdir()] == ["checkpoint"]
    assert backhand("train", "--resume", "run", "--threads", "2")[0] == 0
    assert sorted(path.name for path in Path("run").iterdir()) == FILES
    given = "--drop", "smokes", "--test", str(people[1]), "--out", "whole"
    assert backhand("train", name, *FAST, *given)[0] == 0
    assert model("run") == model("whole")
    code, _, err = backhand("train", "--resume", "run")
    assert code == 2
    assert err == "error: run has ended: there is nothing to resume\n"


def test_ctrl_c_says_how_to_go_on(backhand, cut, people):
    code, out, _ = cut(error=KeyboardInterrupt)
    assert code == 130
    assert out.endswith("to go on: backhand train --resume run\n")
    assert sorted(path.name for path in Path("run").iterdir()) == ["checkpoint", *FILES]
    assert backhand("train", "--resume", "run")[0] == 0
    backhand("train", people[1], *FAST, "--out", "whole")
    assert model("run") == model("whole")
    assert sorted(path.name for path in Path("run").iterdir()) == FILES


def test_the_table_may_be_named_from_another_folder(backhand, cut, people, tmp_path, monkeypatch):
    cut("--cv", "2", name="people.csv")
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    code, out, _ = backhand("train", "--resume", "../run")
    assert code == 0
    assert out.count("cross-validation") == 1  # of the run that was killed
    assert json.loads(Path("../run/run.json").read_text())["options"]["name"] == "people.csv"


def test_what_does_not_fit_the_run_is_refused(backhand, cut, people, tmp_path):
    cut()
    text = people[1].read_text()
    people[1].write_text(text.replace("yes", "no", 1))
    code, _, err = backhand("train", "--resume", "run")
    assert code == 2
    assert "data: not the same" in err
    people[1].write_text(text)
    for words, said in (
        (["--plot", "p.png"], "--plot is for one plain network"),
        (["--checkpoint-every", "never"], "leave it out"),
        (["--preset", "fast"], "leave out --preset"),
    ):
        code, _, err = backhand("train", "--resume", "run", *words)
        assert (code, said in err) == (2, True), err
    record = tmp_path / "run" / "checkpoint" / "fit.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps(known | {"about": {}}))
    code, _, err = backhand("train", "--resume", "run")
    assert (code, "is not the checkpoint of a run" in err) == (2, True)


def test_a_run_with_a_time_limit_or_never_keeps_none(backhand, people, monkeypatch):
    for words in (["--checkpoint-every", "never"], ["--time-limit", "100"]):
        with monkeypatch.context() as patched:
            ended_by(patched, 30, KILLED)
            with pytest.raises(RuntimeError, match="killed"):
                backhand("train", people[1], *FAST, "--out", "run", *words)
        assert not Path("run").exists()
