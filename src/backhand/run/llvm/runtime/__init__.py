"""Compiled programs at work.

- `memory`: arrays that begin on a cache line
- `binding`: the one place that checks arrays and writes their addresses
- `instance`: a program with its buffers
- `single_row`: one row through a network, with as little around it as can be
- `row_program`, `frozen`: all stages of a model for one row; compiled, and loaded without LLVM
- `engine`: training, prediction and single passes, as the rest of backhand sees them
"""
