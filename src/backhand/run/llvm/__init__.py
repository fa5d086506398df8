"""The executor in machine code: a plan becomes one native function for a whole epoch.

The packages, in the order of their imports; each may use those above it, and none below:

- `tuning`: the numbers that tune, each with its unit
- `host`: signals, worker threads, how many threads to use. Knows nothing of LLVM
- `ir`: builder of LLVM's ir.Value with its loops, SIMD vectors, padding of rows
- `machine`: the processor, code generation, linking, compiled code on disk and whose may run
- `lowering`: formula graphs (`backhand.expr`) to vector code, vector functions, row reductions
- `kernels`: matrix products (gemm), column sums, transposes, gathering of rows, sparse rows, row
  formulas such as losses and norms, lookups, the norm of gradients, barriers
- `program`: from a plan to kernels, buffers, the partition among threads and the emitted step
- `runtime`: load a program, bind arrays to it, run it
- `executor`: what `backhand.engines` finds here

Where things happen:

- A weight is updated in the epilogue of the product that sums its gradient, a bias in that of the
  column sum (`kernels.column_sum`): `program.formula_graphs` makes a graph of the plan's update,
  `program.kernel_set` its kernel, and `program.sum_code` calls that. Gradients that are clipped,
  and those of tables and of sparse rows, are stored first; the update then reads them.
- The number of threads is first chosen by the cost model in `program.compiled`, within what
  `host.team` finds available, and then measured and corrected while training by
  `host.thread_tuner`.
- An array reaches native code through `runtime.binding`, which checks it. There are two
  exceptions: `runtime.single_row` reads one row of inputs where it is, after the checks of
  `runtime.engine.Forward.__call__`, and `runtime.frozen` puts arrays that were checked when a model
  was compiled where another process wants them.
- An activation, a loss or an optimiser is added in `backhand.formulas`, and nothing here changes;
  a layer is wired in `backhand.plan`.
"""
