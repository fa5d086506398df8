"""Compiled programs at work.

- `binding`: the one place that checks arrays and writes their addresses
- `instance`: a program with its buffers
- `single_row`: one row through a network, with as little around it as can be
- `engine`: training, prediction and single passes, as the rest of backhand sees them
"""
