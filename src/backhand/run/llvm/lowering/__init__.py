"""From the graphs of formulas to instructions.

- `lower`: what each operation becomes on a vector
- `rows`: formulas that reduce over a row
- `rows_in_lanes`: the same for narrow rows, several at once
"""
