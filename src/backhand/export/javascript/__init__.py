"""ES modules of trained models, which also compute gradients and take training steps:

- `dialect`: JavaScript as a dialect of `export.imperative`, with its small functions;
- `runtime`: what every module has: cells of tables as numbers, and checks of what it is given;
- `nodes`: a function for each node of a network's plan;
- `networks`: the functions of one network, and what describes it;
- `files`: `write_js`, which writes the module.
"""

from __future__ import annotations

from .files import write_js

__all__ = ["write_js"]
