"""Least squares of least norm, with a rank that does not depend on the units of columns; units as powers of two.

Beside it what lies outside of a span.
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, device_of, eps_of, namespace, to_numpy
from analytic_dd.linalg.spectrum import thin_svd

__all__ = ["column_units", "least_squares", "outside"]

_CLEAR = 10.0  # times the cut-off: nearer to it the rank is a matter of rounding


def column_units(A: Array) -> Array:
    """Return a power of two (p,) for each column of A (m, p): above its largest entry, at most twice; 1 for zeros.

    Examples
    --------
    >>> column_units(np.array([[3.0, 0.0, 1e-3], [-5.0, 0.0, 0.0]])).tolist()
    [8.0, 1.0, 0.001953125]
    """
    xp = namespace(A)
    exponents = np.frexp(to_numpy(xp.max(xp.abs(A), axis=0)))[1]
    smallest = np.finfo(str(A.dtype).rsplit(".", maxsplit=1)[-1])
    exponents = np.clip(exponents, smallest.minexp, smallest.maxexp - 1)
    units = np.ldexp(1.0, exponents)
    return xp.asarray(units, dtype=A.dtype, device=device_of(A))


def least_squares(A: Array, T: Array, *, rcond: float | None = None) -> Array:
    r"""Return the W (k, p) of least norm among those that minimise ``|A W^T - T|``.

    A column is judged in its own unit: where all columns that are not zero are independent in units of their size, the
    minimiser is unique and their units do not matter. Else the least norm decides, and with it the units.

    Theorem: T13.

    Parameters
    ----------
    A, T : (m, p), (m, k) arrays
    rcond : float, optional
        Relative rank cut-off of A as it is; by default max(m, p) eps.

    Warns
    -----
    RankWarning
        See :func:`thin_svd`.

    Notes
    -----
    *Cost.* One SVD; two where columns depend on each other.

    Examples
    --------
    >>> A = np.array([[1e10, 0.0], [1e10, 1e-10], [0.0, 1e-10]])
    >>> np.round(least_squares(A, A @ np.array([[2e-10], [3e10]])) * [1e10, 1e-10], 12)
    array([[2., 3.]])
    """
    xp = namespace(A)
    if rcond is None and A.shape[0] >= A.shape[1]:
        units = column_units(A)
        cutoff = max(A.shape) * eps_of(A)
        found = thin_svd(A / units, rcond=cutoff)
        there = int(xp.sum(xp.astype(xp.any(A != 0.0, axis=0), xp.int32)))
        if found.rank == there and found.smallest > _CLEAR * cutoff * found.largest:
            return (((T.T @ found.U) / found.s) @ found.Vt) / units
    found = thin_svd(A, rcond=rcond)
    return ((T.T @ found.U) / found.s) @ found.Vt


def outside(U: Array, x: Array) -> Array:
    """Return ``x`` (p,) or (p, q) less its part in the span of the orthonormal columns of ``U`` (p, r).

    Twice is enough: the second pass removes what rounding left of that part, however little of x is outside.
    """
    for _ in range(2):
        x = x - U @ (U.T @ x)
    return x
