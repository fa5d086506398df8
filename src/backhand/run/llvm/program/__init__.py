"""From a plan to one emitted function.

- `kernel_plan`: which nodes a kernel fuses, in which order
- `buffers`: where arrays lie, and what the program expects behind each address
- `formula_graphs`, `specialise`, `kernel_set`: the kernels of a program, from its formulas
- `partition`, `split_k`: which rows, columns or inputs each thread owns
- `emit`: the function that runs many batches
- `shuffle`: the order of an epoch's rows
- `compiled`: compiled programs, what identifies them, and how many threads they are worth
"""
