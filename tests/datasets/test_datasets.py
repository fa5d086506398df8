"""The package's own front door, `backhand.datasets.load`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backhand import datasets
from backhand.datasets import is_table
from backhand.errors import InputError


def test_digits():
    assert datasets.load("digits", seed=1).name == "digits"


def test_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "\n".join(f"{i * i},{i % 2}" for i in range(40)) + "\n")
    data = datasets.load(path, target="y")
    assert data.target == "y"
    assert data.classes == [0, 1]
    assert datasets.load(str(path), target="y", task="regression").classes is None


def test_how_a_table_is_written(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{i * i / 4:.2f} {'né'[i % 2]}\n".replace(".", ",") for i in range(40))
    path.write_bytes(f"a y\n{rows}".encode("latin-1"))
    data = datasets.load(path, target="y", separator=" ", decimal=",", encoding="latin-1")
    assert data.classes == ["n", "é"]
    assert data.preparation.columns == ["a"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "unknown file, folder or data set 'digit': did you mean 'digits'"),
        ("nmist", "did you mean 'mnist'"),
        ("zzz", "unknown file, folder or data set 'zzz': valid: digits, mnist"),
        ("iris.csv", "no such file: iris.csv"),
        ("some/where", "no such file: some/where"),
        ("mnist.pkl.gz", "no such file: mnist.pkl.gz"),
    ],
)
def test_names_that_are_nothing(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        datasets.load(name, target="y")


def test_a_folder_and_a_file_of_another_kind(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        datasets.load(tmp_path, target="y")
    path = tmp_path / "notes.docx"
    path.write_text("hello")
    with pytest.raises(InputError, match=r"tables can be read from \.csv"):
        datasets.load(path, target="y")


def test_options_that_do_not_fit():
    with pytest.raises(InputError, match="only tables need one"):
        datasets.load("digits", target="y")
    with pytest.raises(InputError, match="is for classification"):
        datasets.load("digits", task="regression")
    with pytest.raises(InputError, match="separator ';': digits is no table of text"):
        datasets.load("digits", separator=";")
    with pytest.raises(InputError, match="did you mean 'regression'"):
        datasets.load("digits", task="regresion")


def test_a_pickle_is_known_by_its_suffix(tmp_path):
    path = tmp_path / "MNIST.PKL"
    path.write_bytes(b"cos\nsystem\n)R.")
    with pytest.raises(InputError, match=r"global os\.system"):
        datasets.load(path)


def test_importing_it_is_light():
    heavy = "{'sklearn', 'pyarrow', 'pooch', 'requests', 'scipy'}"
    code = f"import sys, backhand.datasets; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [3, None, ["digits"], "a\0b", "~nobody-of-this-name/x.csv"])
def test_what_is_no_path_is_refused(name):
    with pytest.raises(InputError):
        datasets.load(name)


@pytest.mark.parametrize("target", [3, b"y", ["y"]])
def test_a_target_is_named_by_a_text(tmp_path, target):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n3,4\n")
    with pytest.raises(InputError, match="target must be the name of a column"):
        datasets.load(tmp_path / "t.csv", target=target)


def test_what_is_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "t.csv", "mnist.pkl.gz"):
        (tmp_path / name).write_text("a\n1\n")
    assert [is_table(n) for n in ("digits", "mnist", "./digits", "t.csv", "mnist.pkl.gz")] == [
        *(False, False, True, True, False)
    ]
    with pytest.raises(InputError, match=r"no such file: none\.csv"):
        is_table("none.csv")
    with pytest.raises(InputError, match="did you mean 'digits'"):
        is_table("digit")
