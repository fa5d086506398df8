"""From the graphs of formulas to instructions.

- `lower`: what each operation becomes on a vector
- `mathfuncs`, `minimax`: vector functions such as exp, and the polynomials that they use
- `rows`: formulas that reduce over a row
- `rows_in_lanes`: the same for narrow rows, several at once
"""
