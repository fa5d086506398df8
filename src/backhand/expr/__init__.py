"""Formulas as graphs, free of LLVM: what turns formulas into another language reads these.

- `graph`: the nodes of a formula, and what must be computed in which order
- `trace`: a formula is run once on symbols, and what it does is recorded as a graph
"""
