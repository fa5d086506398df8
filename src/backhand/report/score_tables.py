"""Scores in a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from ..errors import amount, printable
from .scores import Scores

MOST_CLASSES = 20
"""Classes that have a row each; of more, those with the lowest recall."""


def show(found: Scores, title: str, out: Console) -> None:
    """Print scores beside the baseline's, and of classes the recall and the confusion matrix."""
    table = Table(box=None, pad_edge=False)
    table.add_column(printable(title), no_wrap=True)
    for name in ("score", "95 % interval", "baseline"):
        table.add_column(name, justify="right", no_wrap=True)
    for score in found.scores:
        value, baseline = number(score.value), number(score.baseline)
        table.add_row(printable(score.name), value, between(score.low, score.high), baseline)
    out.print(table)
    out.print(f"baseline: {printable(found.baseline)}", soft_wrap=True)
    if found.classes:
        out.print()
        _classes(found, out)


def _classes(found: Scores, out: Console) -> None:
    """A row for each class, with its row of the confusion matrix where that fits."""
    order = list(range(len(found.classes)))
    if len(order) > MOST_CLASSES:
        by_recall = sorted(
            order, key=lambda k: (np.nan_to_num(found.classes[k].recall, nan=2.0), k)
        )
        order = by_recall[:MOST_CLASSES]
        out.print(f"{MOST_CLASSES} of {len(found.classes)} classes, those with the lowest recall:")
    labels = [printable(one.label)[:24] for one in found.classes]
    assert found.confusion is not None
    widths = [
        max(len(label), len(f"{found.confusion[:, k].max():,}")) + 2
        for k, label in enumerate(labels)
    ]
    beside = max(len("class"), *map(len, labels)) + len("  rows  recall  95 % interval  precision ")
    fits = beside + len("taken for: ") + sum(widths) <= out.width and len(order) == len(labels)
    table = Table(box=None, pad_edge=False)
    table.add_column("class", no_wrap=True)
    for name in ("rows", "recall", "95 % interval", "precision"):
        table.add_column(name, justify="right", no_wrap=True)
    if fits:
        table.add_column("taken for:", no_wrap=True)
        for label in labels:
            table.add_column(label, justify="right", no_wrap=True)
    for k in order:
        one = found.classes[k]
        cells = [f"{one.rows:,}", share(one.recall), between(one.low, one.high, share)]
        cells.append(share(one.precision))
        if fits:
            cells += ["", *(f"{n:,}" for n in found.confusion[k])]
        table.add_row(labels[k], *cells)
    out.print(table)
    if not fits:
        _confusions(found, labels, out)


def _confusions(found: Scores, labels: Sequence[str], out: Console) -> None:
    """The most frequent mistakes, where the whole confusion matrix is too wide."""
    assert found.confusion is not None
    wrong = found.confusion - np.diag(np.diag(found.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:5]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    said = [f"{labels[a]} for {labels[b]} ({wrong[a, b]:,} ×)" for a, b in pairs if wrong[a, b] > 0]
    if said:
        out.print(f"most often mistaken: {', '.join(said)}", soft_wrap=True)


def number(value: float) -> str:
    """A score for people: four digits after the point, or five in all."""
    if not math.isfinite(value):
        return ""
    if abs(value) < 10:
        return f"{value:.4f}"
    return amount(value, 5)


def share(value: float) -> str:
    """A share for people; empty for NaN."""
    return f"{value:.3f}" if math.isfinite(value) else ""


def between(low: float, high: float, shown: Callable[[float], str] = number) -> str:
    """An interval for people; empty for NaN."""
    return f"{shown(low)} to {shown(high)}" if math.isfinite(low + high) else ""
