from __future__ import annotations

import inspect

import pytest

from backhand.cli import train_command

from .test_app import refused


def test_every_option_belongs_to_one_way_or_to_both():
    every = set(inspect.signature(train_command.train).parameters)
    assert (
        set(train_command.ENSEMBLE) | set(train_command.PLAIN) | set(train_command.TEXT_FILE)
        < every
    )
    both = {"name", "target", "task", "threads", "seed", *train_command.TEXT_FILE}
    taken = (
        *train_command.ENSEMBLE,
        *train_command.PLAIN,
        *train_command.OF_PLAIN,
        *train_command.RESUMED,
        *both,
    )
    assert every - set(taken) == {"context", "out", "data_dir"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits", "--preset", "fast"], ["--preset is for tables", "digits"]),
        (["digits", "--separator", ";"], ["--separator is for tables"]),
        (["TABLE", "--metric", "f1", "--hidden", "8"], ["--hidden", "--metric", "leave one"]),
        (["TABLE", "--epochs", "3", "--cv", "5"], ["--epochs", "--cv", "leave one"]),
        (["TABLE", "--plot", "p.png"], ["--plot", "--hidden 256"]),
        (["TABLE", "--checkpoint-every", "9", "--time-limit", "5"], ["--time-limit", "leave one"]),
        (
            ["TABLE", "--checkpoint-every", "1h"],
            ["--checkpoint-every", "every so many epochs", "'1h'", "or 'never'"],
        ),
        (["TABLE", "--data-dir", "x"], ["--data-dir is for mnist"]),
        (["--resume", "run", "--preset", "fast"], ["leave out --preset"]),
        (["TABLE", "--preset", "fats"], ["'fats'", "did you mean 'fast'"]),
        (["TABLE", "--members", "0"], ["--members", "0"]),
        (["TABLE", "--time-limit", "0"], ["--time-limit", "0"]),
        (["TABLE", "--time-limit", "nan"], ["--time-limit", "nan"]),
        (["TABLE", "--cv", "1"], ["--cv", "1"]),
        (["TABLE", "--seed", "-1"], ["--seed", "-1"]),
        (["TABLE", "--metric", "f2"], ["unknown metric 'f2'"]),
        (["TABLE", "--metric", "rmse"], ["'rmse'", "not for classification"]),
        (["TABLE", "--class-weight", "balnced"], ["--class-weight", "balanced", "'balnced'"]),
        (["TABLE", "--class-weight", '{"yse": 2}'], ["'yse'", "did you mean 'yes'"]),
        (["TABLE", "--drop", "agee"], ["'agee'", "did you mean 'age'"]),
        (["TABLE", "--test", "none.csv"], ["no such file: none.csv"]),
        (["TABLE", "--out", "taken"], ["taken"]),
        (["none.csv"], ["no such file: none.csv"]),
        (["tabel"], ["unknown file, folder or data set 'tabel'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_one_line(backhand, people, tmp_path, words, said):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    words = [str(people[1]) if word == "TABLE" else word for word in words]
    target = [] if words[0] in ("digits", "--resume") else ["--target", "label"]
    refused(backhand("train", *words, *target), *said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "taken"]


def test_a_table_gets_an_ensemble_unless_an_option_is_of_a_plain_network(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    assert train_command.is_ensemble(str(table), ["name", "target", "seed", "separator"])
    for option in train_command.PLAIN:
        assert not train_command.is_ensemble(str(table), ["name", option])
    assert not train_command.is_ensemble("digits", ["name", "seed"])
