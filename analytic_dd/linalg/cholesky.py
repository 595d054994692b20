"""The Cholesky factor of a positive definite matrix, and solutions with it: p^3 / 3 flops where LU takes 2 p^3 / 3."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array, namespace
from analytic_dd.errors import ShapeError

__all__ = ["CholeskyFactor"]

_LARGE = 1024  # from here on the copies of numpy.linalg take as long as the factor
_BLOCK = 128  # rows solved at a time: the array API has no triangular solve, so a small general one takes its place


class CholeskyFactor:
    r"""Factor ``A = L L^T`` of a symmetric positive definite matrix.

    Theorem: T13 (a ridge at a time).

    Parameters
    ----------
    A : (p, p) array
        Symmetric; its lower triangle is read.

    Attributes
    ----------
    L : (p, p) array
        Lower triangular.

    Raises
    ------
    ValueError
        ``A`` is not positive definite to working precision.

    Notes
    -----
    *Cost.* p^3 / 3 flops; a solution with q right-hand sides 2 p^2 q. *Numerics.* Backward stable: the error of a
    solution is eps * cond(A).

    Examples
    --------
    >>> CholeskyFactor(np.array([[4.0, 2.0], [2.0, 5.0]])).solve(np.array([[8.0], [9.0]]))
    array([[1.375],
           [1.25 ]])
    >>> CholeskyFactor(np.array([[1.0, 2.0], [2.0, 1.0]]))
    Traceback (most recent call last):
        ...
    ValueError: the matrix (2, 2) is not positive definite to working precision; take a larger ridge
    """

    def __init__(self, A: Array) -> None:
        if A.ndim != 2 or A.shape[0] != A.shape[1]:
            raise ShapeError(f"a Cholesky factor needs a square matrix, got shape {tuple(A.shape)}")
        xp = namespace(A)
        try:
            if isinstance(A, np.ndarray) and A.shape[0] >= _LARGE:
                # the transpose is in the order that LAPACK has: nothing is copied but A, once
                self.L: Array = scipy.linalg.cholesky(A.T, lower=False, check_finite=False).T
            else:
                self.L = xp.linalg.cholesky(A)
            finite = bool(xp.all(xp.isfinite(xp.linalg.diagonal(self.L))))  # jax returns NaN where others raise
        except (np.linalg.LinAlgError, RuntimeError):  # torch's LinAlgError is a RuntimeError
            finite = False
        if not finite:
            raise ValueError(
                f"the matrix {tuple(A.shape)} is not positive definite to working precision; take a larger ridge"
            )

    def solve(self, B: Array) -> Array:
        """Return ``A^-1 B`` for ``B`` (p, q)."""
        if B.ndim != 2 or B.shape[0] != self.L.shape[0]:
            raise ShapeError(f"B must have {self.L.shape[0]} rows, got shape {tuple(B.shape)}")
        return self._substitute(self._substitute(B, transposed=False), transposed=True)

    def _substitute(self, B: Array, *, transposed: bool) -> Array:
        """Solve L X = B, or L^T X = B from the last rows to the first."""
        xp, L, p = namespace(B), self.L, B.shape[0]
        starts = list(range(0, p, _BLOCK))
        solved: list[Array] = []
        for start in reversed(starts) if transposed else starts:
            stop = min(start + _BLOCK, p)
            rest = B[start:stop, :]
            if solved:
                known = xp.concat(solved, axis=0)
                rest = rest - (L[stop:, start:stop].T if transposed else L[start:stop, :start]) @ known
            corner = L[start:stop, start:stop]
            x = xp.linalg.solve(corner.T if transposed else corner, rest)
            solved = [x, *solved] if transposed else [*solved, x]
        return xp.concat(solved, axis=0)

    def extremes(self, *, steps: int = 30) -> tuple[float, float]:
        """Return estimates of the largest and the smallest eigenvalue of A, from inside: 4 p^2 flops a step.

        Power and inverse iteration from a fixed start; short of the ends by a few per cent where they are not isolated.
        """
        xp, p = namespace(self.L), self.L.shape[0]
        start = xp.asarray(
            np.random.default_rng(0).standard_normal((p, 1)),
            dtype=self.L.dtype,
            device=getattr(self.L, "device", None),
        )
        up, down, largest, inverse = start, start, 0.0, 0.0
        for _ in range(steps):
            up, down = up / _length(up), down / _length(down)
            up, down = self.L @ (self.L.T @ up), self.solve(down)
            largest, inverse = _length(up), _length(down)
        return largest, 1.0 / inverse


def _length(v: Array) -> float:
    return float(namespace(v).linalg.vector_norm(v))
