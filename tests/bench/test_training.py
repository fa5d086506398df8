"""The benchmark's arithmetic, and a run of it in small."""

from __future__ import annotations

import dataclasses
import json

import pytest

from backhand.bench import training as bench
from backhand.bench.training import Line, Task, operations, run_benchmarks, spread
from backhand.errors import InputError


def test_operations_leave_out_the_gradient_at_the_inputs():
    assert operations((3, 5, 2)) == 4 * 3 * 5 + 6 * 5 * 2


def test_spread_is_the_median_between_the_quartiles():
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)


@pytest.mark.parametrize("given", [{"names": ["Z"]}, {"peers": ["numpi"]}])
def test_unknown_names_are_refused(given):
    with pytest.raises(InputError):
        run_benchmarks(**given)


def test_a_run_in_small(monkeypatch):
    task = Task((4, 8, 2), 16, 64, 0.0, 0.0)
    monkeypatch.setattr(bench, "TASKS", {"S": task})
    monkeypatch.setattr(bench, "SETTLED", 0.0)
    monkeypatch.setattr(bench, "LEAST", 0.001)
    monkeypatch.setattr(bench, "measure_peak", lambda cores: cores * 1e11)
    missing = bench.PEERS["torch"]._replace(module="no_such_one")
    monkeypatch.setitem(bench.PEERS, "torch", missing)
    record = run_benchmarks(["S"], rounds=2, peers=["torch", "scikit-learn"])
    assert record.missing == ("torch",)
    (result,) = record.results
    assert result.met
    assert {line.who for line in result.lines} == {"backhand", "scikit-learn"}
    assert result.times_best == result.times_sklearn > 0
    assert all(0 < line.low <= line.median <= line.high for line in result.lines)
    data = json.loads(json.dumps(record.to_dict()))
    assert data["results"][0]["task"]["widths"] == [4, 8, 2]
    assert data["results"][0]["met"] is True
    assert data["machine"]["cores"] >= 1
    assert "scikit-learn" in data["versions"]


def test_a_result_is_met_only_if_all_of_it_is():
    task = Task((1, 1), 1, 1, 2.0, 3.0, 0.5)
    line = Line("S", "backhand", "", 1.0, 1.0, 1.0, 0.6)
    good = bench.Result("S", task, (line,), 2.0, 3.5, 0.6)
    assert good.met
    assert dataclasses.replace(good, times_best=None, times_sklearn=None).met
    for change in ({"times_best": 1.9}, {"times_sklearn": 2.9}, {"share": 0.4}):
        assert not dataclasses.replace(good, **change).met
