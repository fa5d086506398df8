from __future__ import annotations

import io

import pytest
from rich.console import Console

from backhand.network import LayerStatistics
from backhand.proof import Comparison
from backhand.report import tables
from backhand.training import Epoch


def console(terminal=False, width=120):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)


def line(kind, error):
    return Comparison(kind, f"{kind} thing", "oracle", error, "rtol 1e-10", "[0]: got 1, want 2")


def test_comparisons_are_a_line_for_each_kind_and_failures_in_full():
    out = console(width=80)
    lines = [line("autodiff", 0.125), line("oracle", 3.0), line("oracle", 0.01), line("kernel", 0)]
    assert tables.comparisons(lines, out) == (4, 1)
    text = out.file.getvalue()
    rows = [" ".join(row.split()) for row in text.splitlines() if row.strip()]
    assert rows[0] == "number worst error"
    assert rows[1] == "formulas against independent mathematics 2 3 times what is allowed"
    assert rows[2].endswith("automatic differentiation 1 12 % of what is allowed")
    assert rows[3] == "machine code against NumPy 1 0 % of what is allowed"
    assert rows[4].startswith("FAIL oracle thing against oracle: worst error 3 times")
    assert "[0]: got 1, want 2" in " ".join(rows[4:])
    assert max(map(len, text.splitlines())) <= 80


def test_full_has_a_line_for_every_comparison():
    out = console(width=80)
    lines = [line("autodiff", 0.1), line("oracle", 3.0), line("kernel", 0)]
    assert tables.comparisons(lines, out, full=True) == (3, 1)
    text = out.file.getvalue()
    assert text.index("oracle thing") < text.index("autodiff thing") < text.index("kernel thing")
    assert text.count("pass") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_live_prints_plain_lines_where_there_is_no_terminal():
    out = console()
    with tables.Live(out, 20, "accuracy") as live:
        for number in range(1, 21):
            live(Epoch(number, 0.5, 0.4, 0.9, 0.01, 1234.0))
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "epoch   1/20  loss 0.5000  validation accuracy 0.9000  1,234 rows/s"


def test_live_keeps_to_one_line_in_a_terminal():
    out = console(terminal=True)
    with tables.Live(out, 3, "R2") as live:
        for number in range(1, 4):
            live(Epoch(number, 0.5, None, None, 0.01, 10.0))
    assert "epoch   3/3" in out.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_live_fits_the_terminal(width):
    out = console(terminal=True, width=width)
    with tables.Live(out, 100_000, "accuracy") as live:
        live(Epoch(12_345, 0.5, 0.4, 0.9, 0.01, 1_234_567.0))
    text = out.file.getvalue()
    want = "epoch 12345/100000  loss 0.5000  validation accuracy 0.9000  1,234,567 rows/s"
    assert want in text
    assert ("0:00:0" in text) == (width == 120)


def test_scores_of_any_size():
    out = console()
    tables.scores({"train": {"R2": 0.98765, "RMSE": 2.5e300}, "test": {"R2": -1, "RMSE": 3}}, out)
    lines = [line.split() for line in out.file.getvalue().splitlines()]
    assert lines == [
        ["R2", "RMSE"],
        ["train", "0.9877", "2.5e+300"],
        ["test", "-1.0000", "3.0000"],
    ]


def layers(count):
    return [
        LayerStatistics(n, buffer, 0.25, 1e-5**0.5, 0.0, 0.0)
        for n in range(1, count + 1)
        for buffer in ("z", "y", "dz")
    ]


def test_propagation_fits_the_terminal_in_blocks():
    out = console(width=60)
    tables.propagation({"a, relu": layers(9)}, out)
    text = out.file.getvalue()
    assert max(map(len, text.splitlines())) <= 60
    blocks = text.split("\n\n")
    assert blocks[0].splitlines()[0] == "Variance of pre-activations z, layer by layer"
    assert blocks[1].splitlines()[0].endswith(", continued")
    assert text.count("1e-05") == 9
    assert text.count("0.250") == 9


def test_the_console_prints_texts_as_they_are(capsys):
    tables.console().print("[red]a[/b] :smile:")
    assert capsys.readouterr().out == "[red]a[/b] :smile:\n"
