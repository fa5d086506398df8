"""From a plan to one emitted function.

- `kernel_plan`: which nodes a kernel fuses, and in which phase it runs
- `buffers`: where arrays lie, and what the program expects behind each address
- `formula_graphs`, `specialise`, `kernel_set`: the kernels of a program, from its formulas
- `partition`: which rows, columns or inputs each thread owns
- `context`: what all that writes the program's code has in common
- `row_code`, `split_k`, `sum_code`: the calls of kernels over rows, and of sums and updates
- `emit`: the function that runs many batches
- `one_row`, `row_program`: one row through a plan, and through the stages of a trained model
- `shuffle`: the order of an epoch's rows
- `compiled`: compiled programs, what identifies them, and how many threads they are worth
"""
