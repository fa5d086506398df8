from __future__ import annotations

import shlex

import pytest
import typer

from backhand.bench.peers import PEERS
from backhand.cli import options
from backhand.cli.app import run
from backhand.errors import InputError
from backhand.network import Network


def test_names_are_parted_by_commas_that_do_not_belong_to_a_parameter():
    assert options.names("relu") == ["relu"]
    assert options.names("relu, tanh,silu") == ["relu", "tanh", "silu"]
    assert options.names("elu:alpha=0.5,relu,x:a=1,b=2,y") == [
        "elu:alpha=0.5",
        "relu",
        "x:a=1,b=2",
        "y",
    ]
    assert options.names("relu,,tanh") == ["relu", "", "tanh"]


def test_hidden_widths():
    assert options.hidden_widths("256, 128") == (256, 128)
    assert options.hidden_widths("") == ()
    for wrong in ("0", "-1", "3.5", "1e9", "5 5", "5,,5", ",", "²", "٣", "12x", "9" * 5000):
        with pytest.raises(InputError, match="--hidden"):
            options.hidden_widths(wrong)


def test_numbers():
    assert options.whole("12") == 12
    assert options.number("1e-3") == 1e-3
    with pytest.raises(typer.BadParameter, match=r"whole number is needed, got '1\.5'"):
        options.whole("1.5")
    with pytest.raises(typer.BadParameter, match="number is needed, got 'x'"):
        options.number("x")


@pytest.mark.parametrize("name", options.LIMITS)
def test_limits(name):
    least, largest = options.LIMITS[name]
    options.check_limits(**{name: least})
    options.check_limits(**{name: largest})
    options.check_limits(**{name: None})
    for wrong in (least - 1, largest + 1, -(10**30), 10**30):
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be .* got {wrong}"):
            options.check_limits(**{name: wrong})


def test_size():
    options.check_size(Network((10, 10)), "")
    with pytest.raises(InputError, match="900000,900000 makes 810,00"):
        options.check_size(Network((1, 900_000, 900_000, 1)), "900000,900000")


def test_the_help_of_bench_names_the_peers_that_it_takes(capsys):
    assert run(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in PEERS if name not in said] == []
    assert " sklearn" not in said


def test_the_command_of_a_table_repeats_its_run():
    given = options.TableOptions(
        name="a b.csv",
        target="t",
        task=None,
        separator=None,
        decimal=None,
        encoding=None,
        preset="best",
        members=None,
        time_limit=2.5,
        metric=None,
        class_weight='{"yes": 2}',
        test=None,
        cv=None,
        drop=("a, b", "c"),
        keep=(),
        threads=None,
        seed=0,
    )
    assert shlex.split(given.command) == [
        *("backhand", "train", "a b.csv", "--target", "t", "--preset", "best"),
        *("--time-limit", "2.5", "--class-weight", '{"yes": 2}', "--drop", '"a, b",c'),
        *("--seed", "0"),
    ]


def test_weights_of_classes():
    assert options.checked_weights(None) is None
    assert options.checked_weights("balanced") == "balanced"
    assert options.checked_weights('{"yes": 5, "no": 0.5}') == {"yes": 5.0, "no": 0.5}
    for wrong in (
        "",
        "{}",
        "[1]",
        "balance",
        '{"a": -1}',
        '{"a": "1"}',
        '{"a": 1e999}',
        '{"a": true}',
    ):
        with pytest.raises(InputError, match="--class-weight takes balanced, or classes"):
            options.checked_weights(wrong)
