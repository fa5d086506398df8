"""One order of the BLAS's sums."""

from __future__ import annotations

from threadpoolctl import threadpool_info, threadpool_limits

from backhand.run.blas import one_blas_thread


def test_one_thread_within_and_as_many_as_before_after():
    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread():
            within = {
                pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
            }
        after = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert within == {1}
    assert after == {2}
