"""Ridge regression for p beyond a (p, p) matrix: preconditioned block conjugate gradients over the stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_ridge, namespace, norm
from analytic_dd.errors import DivergenceError
from analytic_dd.ridge.nystrom import Diagonal, FirstPass, Nystrom, Preconditioner, first_pass
from analytic_dd.ridge.stream import Blocks, SampleStream

__all__ = ["IteratedWeights", "iterate_weights"]


@dataclass(frozen=True)
class IteratedWeights:
    """Weights with a certificate of their error.

    Attributes
    ----------
    weights : (k, p) array
    error_bound : float
        Upper bound on |W - exact W| / |W| (Frobenius): residual / (ridge |W|), since s_p^2 + ridge >= ridge.
    residual : float
        |C - W (G + ridge I)|, computed from the data for this W, not by the recursion.
    iterations, passes : int
        Steps, and passes over the data with the first and those that verified.
    """

    weights: Array
    error_bound: float
    residual: float
    iterations: int
    passes: int


def iterate_weights(
    blocks: Callable[[], Blocks] | Blocks,
    *,
    ridge: float,
    tolerance: float = 1e-8,
    preconditioner: str = "diagonal",
    rank: int = 0,
    rng: np.random.Generator | None = None,
    start: Array | None = None,
    mean: Array | None = None,
    mean_y: Array | None = None,
    max_iterations: int = 1000,
    callback: Callable[[int, float, Array], None] | None = None,
) -> IteratedWeights:
    r"""Solve ``W (G + ridge I) = C`` without forming G: each step is one pass over the data.

    All k rows of W share one Krylov space; its directions are orthonormalised, and one that has become dependent is
    dropped (breakdown-free block conjugate gradients; Ji and Li 2017). The answer is certified:

        |W - W*| <= |C - W (G + ridge I)| / (s_p^2 + ridge) <= |C - W (G + ridge I)| / ridge.

    Theorem: T13.

    Parameters
    ----------
    blocks : callable or re-iterable of (Phi, Y) or (Phi, Y, sample_weight)
        The samples, the same at every pass.
    ridge : float
        > 0: the certificate divides by it.
    tolerance : float
        Largest certified relative error of W.
    preconditioner : {"diagonal", "nystrom", "none"}
    rank : int
        Of the Nystrom sketch, O(rank p) memory; twice the effective dimension of the problem is enough.
    rng : numpy.random.Generator, optional
        Draws the sketch; required for it.
    start : (k, p) array, optional
        Where to begin: the last ``W`` of a ``callback``, to go on after an interrupt.
    mean, mean_y : (p,), (k,) arrays, optional
        Of a model with an intercept, see :class:`SampleStream`.
    max_iterations : int
    callback : callable, optional
        Called with the iteration, the residual by recursion over ridge |W|, and W.

    Raises
    ------
    ValueError
        ridge = 0, an unknown preconditioner, a sketch without rank or rng.
    DivergenceError
        The tolerance is not reached: after ``max_iterations``, or because the residual is down to rounding. The
        message has the certified error that was reached.

    Notes
    -----
    *Cost.* 4 n p k flops a pass; memory 6 k p, 2 rank p and one block. *Numerics.* The certified error does not fall
    below about eps cond_eff^2: residuals are rounded to eps |Phi| |Y - Phi W^T|.

    Examples
    --------
    >>> Phi = np.array([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]])
    >>> found = iterate_weights([(Phi, Phi @ np.array([[1.0], [1.0]]))], ridge=1.0)
    >>> found.weights.round(6), found.error_bound < 1e-8, found.iterations
    (array([[0.714286, 0.928571]]), True, 2)
    >>> iterate_weights([(Phi, Phi[:, :1])], ridge=0.0)
    Traceback (most recent call last):
        ...
    ValueError: conjugate gradients need ridge > 0, got 0.0: the error is certified as residual / ridge; take tsqr
    """
    ridge = as_ridge(ridge)
    if ridge == 0.0:
        raise ValueError(
            f"conjugate gradients need ridge > 0, got {ridge}: the error is certified as residual / ridge; take tsqr"
        )
    stream = SampleStream(blocks, mean=mean, mean_y=mean_y)
    omega = _omega(stream, rank, rng) if preconditioner == "nystrom" else None
    sums, placed = first_pass(stream, omega)
    M = _preconditioner(preconditioner, sums, placed, ridge)
    xp = namespace(sums.C)
    if not bool(xp.any(sums.C != 0.0)):
        return IteratedWeights(0.0 * sums.C, 0.0, 0.0, 0, stream.passes)
    X = 0.0 * sums.C.T if start is None else 1.0 * start.T
    R = sums.C.T if start is None else stream.residual(start, ridge).T
    search = _Search(stream, M, ridge, X, R)
    best = math.inf
    while True:
        while search.error > tolerance and search.iterations < max_iterations and search.step():
            if callback is not None:
                callback(search.iterations, search.error, search.X.T)
        error = search.verify()
        if error <= tolerance:
            return IteratedWeights(search.X.T, error, norm(search.R), search.iterations, stream.passes)
        if search.iterations >= max_iterations or error > 0.5 * best:
            raise DivergenceError(_failure(error, tolerance, search.iterations, max_iterations))
        best = error


def _failure(error: float, tolerance: float, iterations: int, limit: int) -> str:
    cause = f"stopped at max_iterations = {limit}" if iterations >= limit else "the residual is down to rounding"
    remedy = "allow more or take a better preconditioner" if iterations >= limit else "take a larger ridge or tolerance"
    return (
        f"conjugate gradients did not reach the tolerance {tolerance:.2g}: the certified relative error of W is "
        f"{error:.2g} after {iterations} iterations ({cause}); {remedy}"
    )


def _omega(stream: SampleStream, rank: int, rng: np.random.Generator | None) -> np.ndarray:
    """Orthonormal random columns (p, rank)."""
    if rank < 1 or rng is None:
        raise ValueError(f"preconditioner='nystrom' needs rank >= 1 and rng, got rank {rank} and rng {rng}")
    p = next(iter(stream))[0].shape[1]
    return np.asarray(np.linalg.qr(rng.standard_normal((p, min(rank, p))))[0])


def _preconditioner(kind: str, sums: FirstPass, omega: Array | None, ridge: float) -> Preconditioner:
    xp = namespace(sums.C)
    if kind == "diagonal":
        return Diagonal(1.0 / (sums.diagonal + ridge))
    if kind == "none":
        return Diagonal(xp.ones_like(sums.diagonal))
    if kind == "nystrom" and sums.sketch is not None:
        return Nystrom.of(omega, sums.sketch, ridge)
    raise ValueError(f"unknown preconditioner {kind!r}; choose from diagonal, nystrom, none")


class _Search:
    """The state of the iteration: X = W^T, R = C^T - (G + ridge I) X, P the orthonormal directions."""

    def __init__(self, stream: SampleStream, M: Preconditioner, ridge: float, X: Array, R: Array) -> None:
        self.stream, self.M, self.ridge, self.X, self.R = stream, M, ridge, X, R
        self.iterations = 0
        self.P = _orthonormal(M.solve(R))

    @property
    def error(self) -> float:
        """Residual over ridge |W|."""
        size = norm(self.X)
        return norm(self.R) / (self.ridge * size) if size > 0.0 else math.inf

    def step(self) -> bool:
        """Minimise along P and renew it; False where no direction is left."""
        if self.P.shape[1] == 0:
            return False
        xp = namespace(self.P)
        Q = self.ridge * self.P
        for F, _ in self.stream:
            Q = Q + F.T @ (F @ self.P)
        energy = self.P.T @ Q
        energy = 0.5 * (energy + energy.T)
        alpha = xp.linalg.solve(energy, self.P.T @ self.R)
        self.X, self.R = self.X + self.P @ alpha, self.R - Q @ alpha
        Z = self.M.solve(self.R)
        self.P = _orthonormal(Z - self.P @ xp.linalg.solve(energy, Q.T @ Z))
        self.iterations += 1
        return True

    def verify(self) -> float:
        """Compute the residual from the data and start anew from it."""
        self.R = self.stream.residual(self.X.T, self.ridge).T
        self.P = _orthonormal(self.M.solve(self.R))
        return self.error


def _orthonormal(Z: Array) -> Array:
    """An orthonormal basis of the columns of Z, each brought to length 1 first; dependent ones are dropped."""
    xp = namespace(Z)
    lengths = xp.sqrt(xp.sum(Z * Z, axis=0))
    U, s, _ = xp.linalg.svd(Z / xp.where(lengths > 0.0, lengths, 1.0), full_matrices=False)
    eps = float(xp.finfo(Z.dtype).eps)
    return U[:, : int(xp.sum(xp.astype(s > 1e2 * eps * Z.shape[0] ** 0.5 * float(s[0]), xp.int32)))]
