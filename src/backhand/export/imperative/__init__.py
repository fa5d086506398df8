"""What languages like C have in common, in the order in which a stage becomes text:

- `dialect`: what a language says for itself: how things are spelt, and a few small functions;
- `memory`: where buffers of one row lie;
- `formulas`: nodes that apply a formula, as that formula over one row;
- `expressions`: graphs of formulas as statements;
- `writer`: nodes of plans as functions, each formula and each array of constants once.
"""

from __future__ import annotations

from .dialect import Dialect, Parameter
from .writer import Routine, Writer

__all__ = ["Dialect", "Parameter", "Routine", "Writer"]
