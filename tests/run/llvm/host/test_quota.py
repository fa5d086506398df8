"""The quota of a control group, in trees of files as Linux, Docker and Kubernetes have them."""

from __future__ import annotations

import math
import os

import pytest

from backhand.run.llvm import tuning
from backhand.run.llvm.host import quota, team


@pytest.fixture
def asked(tmp_path):
    """What `quota` says of files under /sys/fs/cgroup and of a text of /proc/self/cgroup."""

    def ask(files, own="0::/\n"):
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if own is not None:
            (tmp_path / "own").write_text(own)
        return quota.quota(str(tmp_path / "groups"), str(tmp_path / "own"))

    return ask


V1 = "12:pids:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/system\n"


@pytest.mark.parametrize(
    ("files", "own", "limit"),
    [
        ({}, None, None),
        ({}, "", None),
        ({}, "0::/\n", None),
        # version 2: a container with a name space of its own, and a unit of systemd
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"cpu.max": "50000 100000\n"}, "0::/\n", 0.5),
        ({"cpu.max": "100000 100000\n"}, None, 1),
        ({"a/cpu.max": "max 100000\n", "a/b/c/cpu.max": "200000 100000\n"}, "0::/a/b/c\n", 2),
        # the smallest counts, of the own one and those above, and no other
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "80000 20000"}, "0::/a/b\n", 3),
        ({"a/cpu.max": "600000 100000", "a/b/cpu.max": "80000 20000"}, "0::/a/b\n", 4),
        ({"a/cpu.max": "max 100000", "other/cpu.max": "100000 100000"}, "0::/a\n", None),
        # the path is the host's, and what is mounted is the container's
        ({"cpu.max": "400000 100000"}, "0::/kubepods/pod1/abc\n", 4),
        ({"cpu.max": "400000 100000"}, "0::/../../abc\n", 4),
        # version 1, mounted as the host's or as the container's own
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, V1, 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, V1, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "cpu/docker/abc/cpu.cfs_quota_us": "300000\n",
                "cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            V1,
            3,
        ),
        (
            {
                "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            V1,
            3,
        ),
        ({"cpu/cpu.cfs_quota_us": "250000\n"}, V1, None),  # without its period
        # whatever else is there
        ({"cpu.max": ""}, "0::/\n", None),
        ({"cpu.max": "a lot"}, "0::/\n", None),
        ({"cpu.max": "100000"}, "0::/\n", None),
        ({"cpu.max": "100000 0"}, "0::/\n", None),
        ({"cpu.max": "-5 100000"}, "0::/\n", None),
        ({"cpu.max": "100000 100000 3"}, "0::/\n", None),
        ({"cpu.max": "200000 100000"}, "\nnonsense\n::\n0\n", 2),
        ({"cpu.max/folder": "", "a/cpu.max": "200000 100000"}, "0::/a\n", 2),
    ],
)
def test_the_smallest_limit_of_a_group_and_those_above_counts(asked, files, own, limit):
    assert asked(files, own) == limit


def test_files_that_are_no_text_are_no_limit(asked, tmp_path):
    asked({"cpu.max": ""})
    (tmp_path / "groups" / "cpu.max").write_bytes(bytes(range(128, 256)))
    assert asked({}) is None


@pytest.mark.parametrize(
    ("limit", "threads"), [(None, 8), (0.1, 1), (1, 1), (1.5, 2), (7.9, 8), (64, 8)]
)
def test_a_fit_has_as_many_threads_as_the_quota_rounded_up(monkeypatch, limit, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in team.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(quota, "quota", lambda: limit)
    monkeypatch.setattr(team._Busy, "until", {})
    quota._at.cache_clear()
    assert team.available_threads() == threads
    quota._at.cache_clear()


def test_a_quota_that_changes_is_seen_a_second_later(monkeypatch):
    now, limits = [0.0], [4.0]
    monkeypatch.setattr(quota.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(quota, "quota", lambda: limits[0])
    quota._at.cache_clear()
    assert quota.granted() == 4
    limits[0] = 2.0
    assert quota.granted() == 4
    now[0] += 1.1 * tuning.QUOTA_SECONDS
    assert quota.granted() == 2
    quota._at.cache_clear()


def test_this_machine_has_an_answer():
    limit = quota.quota()
    assert limit is None or (limit > 0 and math.isfinite(limit))
