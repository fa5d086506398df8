"""Formulas as graphs, free of LLVM: what turns formulas into another language reads these.

- `graph`: the nodes of a formula, and what must be computed in which order
- `trace`: a formula is run once on symbols, and what it does is recorded as a graph
- `functions`, `minimax`: exp, tanh and their kin as formulas over simpler operations, and the
  polynomials that they use
"""
