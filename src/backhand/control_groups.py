"""The control groups of Linux, which limit what a process, and so a container, may use."""

from __future__ import annotations

from collections.abc import Iterator

GROUPS = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
MOUNTS = {"cpu": ("/cpu", "/cpu,cpuacct")}  # of version 1, where not by name; version 2: the root


def places(controller: str, groups: str = GROUPS, own: str = OWN) -> Iterator[str]:
    """The folders that may say what is granted, of both versions, up to the root."""
    mounts = MOUNTS.get(controller, (f"/{controller}",))
    inner = dict.fromkeys(("", *mounts), "")  # the group's path in each hierarchy
    for line in lines(own):
        _, _, rest = line.partition(":")  # number:controllers:path
        controllers, _, path = rest.partition(":")
        if not controllers:
            inner[""] = path
        elif controller in controllers.split(","):
            inner |= dict.fromkeys((*mounts, f"/{controllers}"), path)
    for mounted, path in inner.items():
        steps = [step for step in path.split("/") if step not in ("", "..")]
        for count in range(len(steps), -1, -1):
            yield "/".join([groups + mounted, *steps[:count]])


def lines(file: str) -> list[str]:
    """The lines of one of their files; none if it cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read().splitlines()
    except OSError:
        return []
