"""Programs for another processor of the same family."""

from __future__ import annotations

from backhand.run.llvm.machine.target import Target


def on_target(monkeypatch, name):
    """Compile for the processors of ``Target.named(name)`` from here on."""
    monkeypatch.setattr(Target, "host", classmethod(lambda cls: Target.named(name)))
