"""The linear layer and its identities. With N rows, D inputs and K outputs:

    x (N, D), w (D, K), b (K,)  ->  z (N, K)

From ``z[n, k] = sum_d x[n, d] w[d, k] + b[k]`` and the chain rule, each derivative sums
``dz = d(loss)/dz`` over the index that its operand lacks:

    dx[n, d] = sum_k dz[n, k] w[d, k]        dw[d, k] = sum_n x[n, d] dz[n, k]
    db[k]    = sum_n dz[n, k]

The plan runs these very lines on symbols and records the products that an executor then performs.
"""

from __future__ import annotations

from .namespace import Array


def linear(x: Array, w: Array, b: Array) -> Array:
    return x @ w + b


def linear_vjp_input(w: Array, dz: Array) -> Array:
    return dz @ w.T


def linear_vjp_weights(x: Array, dz: Array) -> tuple[Array, Array]:
    return x.T @ dz, dz.sum(0)
