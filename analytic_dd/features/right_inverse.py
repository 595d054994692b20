"""The pseudo-inverse of a layer of full row rank, applied to rounding level; sizes of chains of layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array, namespace
from analytic_dd.errors import InfeasibleError

__all__ = ["SquareInverse", "nearest_solution", "right_inverse", "spectral_norm"]

_LARGE = 1024  # below, a wait for the threads of numpy's BLAS, another library than scipy's, costs more than is saved
_POWER_STEPS = 60  # they find the norm to a few per cent


class SquareInverse:
    """``W^-1`` as triangular factors. A product with it is a solve, which is as fast as with the inverse.

    Notes
    -----
    *Cost.* The factors take 2 p^3 / 3 flops, a fifth of an explicit inverse by QR, and a column of a product 2 p^2.
    """

    __array_ufunc__ = None  # numpy leaves its products with this to the methods here
    ndim, dtype = 2, np.dtype(np.float64)

    def __init__(self, factors: tuple[np.ndarray, np.ndarray], *, transposed: bool = False) -> None:
        self._factors, self._transposed = factors, transposed

    @property
    def shape(self) -> tuple[int, int]:
        """(p, p)."""
        p = len(self._factors[0])
        return p, p

    @property
    def T(self) -> SquareInverse:  # as for arrays
        """The transpose."""
        return SquareInverse(self._factors, transposed=not self._transposed)

    def __matmul__(self, B: np.ndarray) -> np.ndarray:
        found: np.ndarray = scipy.linalg.lu_solve(self._factors, B, trans=int(self._transposed), check_finite=False)
        return found

    def __rmatmul__(self, B: np.ndarray) -> np.ndarray:
        return (self.T @ B.T).T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self @ np.eye(self.shape[0]), dtype=dtype)


def right_inverse(W: np.ndarray, *, theorem: str = "T8b") -> np.ndarray | SquareInverse:
    """Return ``W^+`` (d, p) of a (p, d) matrix of full row rank, p <= d: ``Q R^-T`` for ``W^T = Q R``, by LU for p = d.

    Theorem: T8a, T8b.

    Parameters
    ----------
    W : (p, d) numpy.ndarray
        float64.
    theorem : str
        What the error cites.

    Raises
    ------
    InfeasibleError
        The rows of ``W`` are linearly dependent in float64: |W| |W^+| exceeds 1 / eps.

    Notes
    -----
    *Cost.* One QR and one triangular solve take O(d p^2); for p = d it is 2 p^3 flops, and a third of that where p is
    large.
    *Numerics.* Relative error eps * cond(W); :func:`nearest_solution` removes it by refinement.

    Examples
    --------
    >>> right_inverse(np.array([[2.0, 0.0, 0.0]]))
    array([[ 0.5],
           [-0. ],
           [-0. ]])
    >>> right_inverse(np.array([[1.0, 1.0], [1.0, 1.0]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: a layer must have full row rank (condition <= 4.5e+15), got condition inf; \
use another seed, narrower widths or fewer layers
    """
    limit = 1.0 / np.finfo(np.float64).eps
    square = W.shape[0] == W.shape[1]
    P, condition = _wide(W, limit) if not square else _small_square(W) if len(W) < _LARGE else _square(W)
    if not condition <= limit:
        raise InfeasibleError(
            f"a layer must have full row rank (condition <= {limit:.2g}), got condition {condition:.2g}; "
            "use another seed, narrower widths or fewer layers",
            theorem=theorem,
            value=condition,
            limit=limit,
        )
    assert P is not None
    return P


def _square(W: np.ndarray) -> tuple[SquareInverse, float]:
    """Return the factors of a square matrix and LAPACK's estimate of its condition in the norm of row sums."""
    lapack = scipy.linalg.lapack
    lu, pivots, zero_pivot = lapack.dgetrf(W.T)  # in the order that LAPACK has
    reciprocal = 0.0 if zero_pivot else float(lapack.dgecon(lu, float(lapack.dlange("1", W.T)))[0])
    return SquareInverse((lu, pivots), transposed=True), 1.0 / reciprocal if reciprocal > 0.0 else math.inf


def _small_square(W: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Return the inverse and |W| |W^-1| / p."""
    try:
        P = np.linalg.inv(W)
    except np.linalg.LinAlgError:
        return None, math.inf
    return P, float(scipy.linalg.norm(W.ravel()) * scipy.linalg.norm(P.ravel())) / len(
        W
    )  # of vectors: no square overflows


def _wide(W: np.ndarray, limit: float) -> tuple[np.ndarray | None, float]:
    """Return ``Q R^-T`` and |W| |W^+| / p, with None where R is singular to rounding."""
    Q, R = np.linalg.qr(W.T)
    size = np.abs(np.diagonal(R))
    if not size.min() > size.max() / limit:
        return None, math.inf
    P: np.ndarray = np.ascontiguousarray(scipy.linalg.solve_triangular(R, Q.T).T)
    return P, float(scipy.linalg.norm(W.ravel()) * scipy.linalg.norm(P.ravel())) / W.shape[0]


def nearest_solution(W: Array, P: Array, S: Array, near: Array | None = None) -> Array:
    r"""Return the rows ``h`` nearest to ``near`` (to 0 by default) with  W h = s :  h = h_ref + W^+ (s - W h_ref).

    Theorem: T8b.

    Parameters
    ----------
    W, P : (p, d), (d, p) arrays
        The layer and its pseudo-inverse (or the factors of a square one), in the library, dtype and device of ``S``.
    S : (m, p) array
        Right-hand sides, one a row.
    near : (m, d) array, optional
        References.

    Notes
    -----
    *Cost.* Three products with ``P`` and three with ``W``, O(m d p).
    *Numerics.* Two steps of iterative refinement leave a residual of eps |W| |h| when eps * cond(W) < 1. A row keeps a
    step only if its residual falls, so that refinement makes no ill-conditioned layer in float32 worse.
    """
    xp = namespace(S)
    H = S @ P.T if near is None else near + (S - near @ W.T) @ P.T
    residual = S - H @ W.T
    for _ in range(2):
        trial = H + residual @ P.T
        trial_residual = S - trial @ W.T
        better = xp.sum(trial_residual**2, axis=1, keepdims=True) < xp.sum(residual**2, axis=1, keepdims=True)
        H = xp.where(better, trial, H)
        residual = xp.where(better, trial_residual, residual)
    return H


def spectral_norm(factors: Sequence[np.ndarray | SquareInverse]) -> float:
    """Return the largest singular value of the product ``factors[0] @ factors[1] @ ...`` by power iteration.

    Examples
    --------
    >>> round(spectral_norm([np.diag([3.0, 1.0]), np.diag([2.0, 5.0])]), 6)
    6.0
    """
    v: np.ndarray = np.random.Generator(np.random.PCG64(0)).standard_normal(int(factors[-1].shape[1]))
    largest = 0.0
    for _ in range(_POWER_STEPS):
        v = v / float(scipy.linalg.norm(v))
        for A in reversed(factors):
            v = A @ v
        largest = float(scipy.linalg.norm(v))
        v = v / largest  # tiny layers must not underflow
        for A in factors:
            v = A.T @ v
    return largest
