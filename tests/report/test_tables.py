from __future__ import annotations

import io

from rich.console import Console

from backhand.proof import Comparison
from backhand.report import tables
from backhand.training import Epoch


def console(terminal=False):
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, highlight=False)


def line(kind, error):
    return Comparison(kind, f"{kind} thing", "oracle", error, "rtol 1e-10", "[0]: got 1, want 2")


def test_comparisons_are_counted_and_failures_shown():
    out = console()
    got = tables.comparisons([line("autodiff", 0.1), line("oracle", 3.0), line("kernel", 0)], out)
    assert got == (3, 1)
    text = out.file.getvalue()
    assert text.index("oracle thing") < text.index("autodiff thing")
    assert "FAIL" in text
    assert "[0]: got 1, want 2" in text


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
