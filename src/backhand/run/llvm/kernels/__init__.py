"""The loops that work on arrays; sizes and strides are their arguments.

- `gather`, `transpose`, `column_sum`
- `tile`, `tile_ir`, `gemm_loops`, `gemm`: matrix products, from register tile to function
- `sparse_rows`: the first layer over stored entries
- `row_map`: formulas on whole rows, such as losses and norms
- `tables`: lookups, their scatter-add, sums along tables and over members
- `batch_totals`, `grad_norm`: sums over a batch or over all gradients
- `barrier`, `cancellation`: threads wait for one another, or leave a batch before its end
"""
