"""Singular values and eigenvalues: a relative, stated decision on the rank, and LAPACK's second algorithm in need."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array, as_matrix, device_of, eps_of, namespace, to_numpy
from analytic_dd.errors import DivergenceError, LapackWarning, RankWarning
from analytic_dd.linalg.threads import one_thread
from analytic_dd.linalg.thresholds import LIMITS

__all__ = [
    "Spectrum",
    "eigenvalues",
    "eigh",
    "full_rank_inverse",
    "pseudo_inverse",
    "row_basis",
    "singular_values",
    "svd",
    "thin_svd",
]

_REMEDY = "scale its columns to one size, or drop those that are rounding"


@dataclass(frozen=True)
class Spectrum:
    """``A = U diag(s) Vt`` restricted to the numerical rank of ``A``.

    Attributes
    ----------
    U : (m, r) array
        Orthonormal columns, a basis of range(A).
    s : (r,) array
        Singular values above the cut-off, descending.
    Vt : (r, p) array
        Orthonormal rows, a basis of the row space of A.
    cutoff : float
        ``rcond * s_max``; singular values at or below it were dropped.
    dropped : float
        The largest singular value that was dropped (0 if none).
    """

    U: Array
    s: Array
    Vt: Array
    cutoff: float
    dropped: float

    @property
    def rank(self) -> int:
        """Number of singular values above the cut-off."""
        return int(self.s.shape[0])

    @property
    def largest(self) -> float:
        """The spectral norm (0 for the zero matrix)."""
        return float(self.s[0]) if self.rank else 0.0

    @property
    def smallest(self) -> float:
        """The smallest singular value that was kept (0 for the zero matrix)."""
        return float(self.s[-1]) if self.rank else 0.0

    @property
    def condition(self) -> float:
        """Ratio of the largest to the smallest singular value kept (1 for the zero matrix)."""
        return self.largest / self.smallest if self.rank else 1.0


def thin_svd(A: Array, *, rcond: float | None = None) -> Spectrum:
    r"""Decompose ``A = U diag(s) Vt`` and keep the singular values above ``rcond * s_max``.

    Parameters
    ----------
    A : (m, p) array
        float32 or float64.
    rcond : float, optional
        Relative rank cut-off; default ``max(m, p) * eps`` of the dtype. Relative, so ``c A`` has the rank of ``A``.

    Returns
    -------
    Spectrum

    Warns
    -----
    RankWarning
        A singular value lies within a factor of 10 above or 2 below the default cut-off: the rank is then a matter of
        rounding. An ``rcond`` that is given decides in silence.
    LapackWarning
        See :func:`svd`.

    Notes
    -----
    *Cost.* O(m p min(m, p)) time, O(m p) memory. *Numerics.* Each singular value is accurate to eps * s_max.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.outer([3.0, 4.0], [1.0, 0.0, 0.0])
    >>> spectrum = thin_svd(A)
    >>> spectrum.rank, round(spectrum.largest, 12)
    (1, 5.0)
    """
    as_matrix(A, "A")
    xp = namespace(A)
    U, s, Vt = svd(A)
    relative = max(A.shape) * eps_of(A) if rcond is None else float(rcond)
    if not 0.0 <= relative < 1.0:
        raise ValueError(f"rcond must be in [0, 1), got {relative}; it is relative to the largest singular value")
    cutoff = relative * float(s[0])
    rank = int(xp.sum(xp.astype(s > cutoff, xp.int32)))
    dropped = float(s[rank]) if rank < s.shape[0] else 0.0
    for value in ([float(s[rank - 1])] if rank else []) + ([dropped] if dropped else []):
        if rcond is None and 0.5 * cutoff < value < 10.0 * cutoff:
            warnings.warn(
                f"singular value {value:.2e} is near the rank cut-off {cutoff:.2e} (rank {rank} of {s.shape[0]}); "
                "pass rcond to say which side it is on",
                RankWarning,
                stacklevel=3,
            )
    return Spectrum(U[:, :rank], s[:rank], Vt[:rank, :], cutoff, dropped)


def svd(A: Array, *, full: bool = False) -> tuple[Array, Array, Array]:
    r"""Return U (m, r), s (r,), Vt (r, p) with ``A = U diag(s) Vt`` and r = min(m, p), whatever the rank.

    Parameters
    ----------
    A : (m, p) array
        Finite.
    full : bool
        U (m, m) and Vt (p, p) instead: orthonormal bases of all vectors.

    Warns
    -----
    LapackWarning
        Divide and conquer (gesdd) did not converge; the QR iteration (gesvd) took its place, on the host.

    Raises
    ------
    DivergenceError
        Neither of the two converges.

    Notes
    -----
    *Cost.* O(m p min(m, p)); some five times as much by gesvd.
    """
    with one_thread(max(A.shape) * min(A.shape) ** 2 <= LIMITS.one_thread**3):
        found = _tried(lambda: namespace(A).linalg.svd(A, full_matrices=full))
    if found is not None and _finite(found[1]):
        U, s, Vt = found
        return U, s, Vt
    gesvd = functools.partial(scipy.linalg.svd, full_matrices=full, lapack_driver="gesvd")
    U, s, Vt = _by_qr_iteration("the SVD", ("gesdd", "gesvd"), gesvd, A, _REMEDY)
    return U, s, Vt


def _finite(s: Array) -> bool:
    return bool(namespace(s).all(namespace(s).isfinite(s)))  # jax returns NaN where others raise


def singular_values(A: Array) -> Array:
    """Return the min(m, p) singular values of ``A``, descending; as :func:`svd`, which it falls back to.

    Of a stack of matrices (..., m, p) those of each, and of a numpy array only.
    """
    s = _tried(lambda: namespace(A).linalg.svdvals(A))
    if s is not None and _finite(s):
        return s
    return svd(A)[1] if A.ndim == 2 else _of_each(A, lambda one: svd(one)[1])


def full_rank_inverse(A: np.ndarray) -> np.ndarray:
    """Return the pseudo-inverse (..., p, m) of matrices (..., m, p) that have full rank: nothing is cut off."""
    found: np.ndarray | None = _tried(lambda: np.linalg.pinv(A, rcond=0.0))
    return _of_each(A, _inverse_of_one) if found is None else found


def _inverse_of_one(A: np.ndarray) -> np.ndarray:
    U, s, Vt = svd(A)
    inverse: np.ndarray = (Vt.conj().T / s) @ U.conj().T
    return inverse


def _of_each(A: np.ndarray, result: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the results of all matrices of a stack."""
    every = [result(one) for one in A.reshape(-1, *A.shape[-2:])]
    return np.stack(every).reshape(*A.shape[:-2], *every[0].shape)


def pseudo_inverse(A: Array, *, rcond: float | None = None) -> Array:
    """Return the pseudo-inverse of ``A`` (p, m) at the rank decided by :func:`thin_svd`."""
    spectrum = thin_svd(A, rcond=rcond)
    return (spectrum.Vt.T / spectrum.s) @ spectrum.U.T


def row_basis(A: Array, *, rcond: float | None = None) -> Array:
    """Return orthonormal rows (rank, p) that span the row space of ``A``."""
    return thin_svd(A, rcond=rcond).Vt


def _tried(compute: Callable[[], Any]) -> Any:
    """Return what a library computes, or None where it does not converge."""
    try:
        return compute()
    except (np.linalg.LinAlgError, RuntimeError) as error:  # torch's LinAlgError is a RuntimeError
        if "converge" not in str(error):
            raise
        return None


def _by_qr_iteration(
    what: str, names: tuple[str, str], compute: Callable[[np.ndarray], tuple[np.ndarray, ...]], A: Array, remedy: str
) -> tuple[Any, ...]:
    """Compute a decomposition of ``A`` on the host by the slower of two algorithms of LAPACK, with a warning.

    ``what`` names it, ``names`` are the two algorithms, and ``remedy`` is what to do where the second fails too.
    """
    shape, (fast, slow), host = tuple(A.shape), names, to_numpy(A)
    if not np.all(np.isfinite(host)):
        raise ValueError(f"{what} needs finite numbers, got NaN or infinity in a matrix {shape}")
    warnings.warn(
        f"{what} of a matrix {shape} did not converge by divide and conquer ({fast}); it was computed by the QR "
        f"iteration ({slow}), which is slower",
        LapackWarning,
        stacklevel=4,
    )
    try:
        found = compute(host)
    except np.linalg.LinAlgError as error:
        raise DivergenceError(
            f"{what} of a matrix {shape} converges neither by {fast} nor by {slow} ({error}); {remedy}"
        ) from error
    return tuple(namespace(A).asarray(part, device=device_of(A)) for part in found)  # as precise as A


def eigh(A: Array) -> tuple[Array, Array]:
    """Return the eigenvalues (p,), ascending, and the eigenvectors (p, p) of a symmetric matrix that is finite.

    Notes
    -----
    *Numerics.* It warns and raises as :func:`svd` does, with syevd and syev in the place of gesdd and gesvd.
    *Cost.* O(p^3); some three times as much by syev. With numpy and a large p the vectors overwrite a copy.
    """
    if isinstance(A, np.ndarray) and A.shape[0] >= LIMITS.eigh_overwrites:
        found = _tried_eigh(lambda: scipy.linalg.eigh(A, driver="evd", check_finite=False), A)
    else:
        found = _tried_eigh(lambda: tuple(namespace(A).linalg.eigh(A)), A)
    return found or _eigh_on_host(A)


def eigenvalues(A: Array) -> Array:
    """Return the eigenvalues (p,), ascending, of a symmetric matrix that is finite; as :func:`eigh`."""
    found = _tried_eigh(lambda: (namespace(A).linalg.eigvalsh(A),), A)
    return found[0] if found else _eigh_on_host(A)[0]


def _tried_eigh(compute: Callable[[], tuple[Any, ...]], A: Array) -> Any:
    """Return what a library finds, or None where it does not converge: jax returns NaN then, and NaN for NaN."""
    xp, found = namespace(A), _tried(compute)
    if found is None or bool(xp.all(xp.isfinite(found[0]))):  # jax returns NaN where others raise
        return found
    return None if bool(xp.all(xp.isfinite(A))) else found


def _eigh_on_host(A: Array) -> tuple[Array, Array]:
    values, vectors = _by_qr_iteration(
        "the eigendecomposition",
        ("syevd", "syev"),
        lambda A: tuple(scipy.linalg.eigh(A, driver="ev")),
        A,
        "scale its rows and columns to one size",
    )
    return values, vectors
