"""The linear layer and its identities. With N rows, D inputs and K outputs:

    x (N, D), w (D, K), b (K,)  ->  z (N, K)

From ``z[n, k] = sum_d x[n, d] w[d, k] + b[k]`` and the chain rule, each derivative sums
``dz = d(loss)/dz`` over the index that its operand lacks:

    dx[n, d] = sum_k dz[n, k] w[d, k]        dw[d, k] = sum_n x[n, d] dz[n, k]
    db[k]    = sum_n dz[n, k]

A ``scale`` of the product, such as 1/sqrt(D), is one of dx and dw too. Without b there is no db.

The plan runs these very lines on symbols and records the products that an executor then performs.
"""

from __future__ import annotations

from .namespace import Array


def linear(x: Array, w: Array, b: Array | None, scale: float = 1.0) -> Array:
    z = x @ w * scale
    return z if b is None else z + b


def linear_vjp_input(w: Array, dz: Array, scale: float = 1.0) -> Array:
    return dz @ w.T * scale


def linear_vjp_weights(x: Array, dz: Array, scale: float = 1.0) -> tuple[Array, Array]:
    return x.T @ dz * scale, dz.sum(0)
