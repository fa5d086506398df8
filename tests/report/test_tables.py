from __future__ import annotations

import io

from rich.console import Console

from backhand.check import Comparison
from backhand.network import LayerStatistics
from backhand.report import tables


def console(width=120):
    return Console(file=io.StringIO(), width=width, highlight=False)


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


def test_scores_of_any_size():
    out = console()
    tables.scores({"train": {"R2": 0.98765, "RMSE": 2.5e300}, "test": {"R2": -1, "RMSE": 3}}, out)
    lines = [line.split() for line in out.file.getvalue().splitlines()]
    assert lines == [
        ["R2", "RMSE"],
        ["train", "0.9877", "2.5e+300"],
        ["test", "-1.0000", "3.0000"],
    ]


def test_a_score_that_a_row_does_not_have_is_left_empty():
    out = console()
    tables.scores({"test": {"R2": 0.5, "loss": 2.0, "RMSE": 3.0}, "mean": {"RMSE": 4.0}}, out)
    lines = out.file.getvalue().splitlines()
    assert lines[2].split() == ["mean", "4.0000"]
    assert lines[2].index("4.0000") == lines[1].index("3.0000")


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
