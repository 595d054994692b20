"""One table of the sizes and errors at which one method gives way to another, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Thresholds"]


@dataclass(frozen=True)
class Thresholds:
    """The numbers that decide between two ways to the same weights; all doors read this table."""

    # Predicted relative error of W at which sums over a stream are accurate enough. A second pass would map every
    # sample again; 1e-6 is far below what one step on the grid of ridges changes.
    accept: float = 1e-6
    # The same for features in memory, near the error of an SVD, since a step of refinement costs two products there
    accept_in_memory: float = 1e-13
    # Factor of the predicted error that a second pass must promise. It gains up to 30 times what it promises where
    # noise dominates, since K^2 r is a worst case (benchmarks/conditioning.py).
    gain: float = 2.0
    # Factor of a step of refinement above which it is not tried, because two steps gain less than three digits
    contraction: float = 0.03
    # Ridge over trace(G) from which G + ridge I has a Cholesky factor; below it the rank is decided on the spectrum
    definite: float = 1e-10
    tiny: float = 1e5  # n p min(n, p) below which nothing takes time, and a thin SVD is the simplest
    svd: float = 2e9  # n p min(n, p) below which a thin SVD takes about a second, and is taken rather than TSQR
    # n / p up to which two products with the features take less time than the 24 with a factor that estimate the
    # condition
    wide: int = 16
    # p from which the eigendecomposition overwrites its copy (scipy), because memory counts. Below, numpy does not wait
    # for the threads of another BLAS library.
    eigh_overwrites: int = 2048
    # The same for the Cholesky factor, which is faster, so that the wait counts up to a larger p
    cholesky_overwrites: int = 3072
    cholesky_small: int = 64  # p up to which one thread does the work, so that scipy's solution costs no wait
    # Size of a factorisation up to which one BLAS thread does it. Two save little there, and where other programs keep
    # the cores busy they wait for each other at each of its many small steps: an eigendecomposition of 784 columns took
    # 2 to 11 s in place of 0.5 s (load 10 on two cores), of 256 columns 1.6 to 4.9 s in place of 0.05 s.
    one_thread: int = 1024
    # Multiplications of one product up to which one thread does it in less than a tenth of a second
    one_thread_flops: float = 4e9
    eigenvalues: int = 256  # p up to which all eigenvalues take less time than the ends by iteration
    largest_ridge: float = 1e100  # ridge over trace(G) above which the squares of the weights underflow
    # Sums of squares outside are rounded to multiples of the least float, or their products overflow
    least_trace: float = 1e-250
    largest_trace: float = 1e250


LIMITS = Thresholds()
