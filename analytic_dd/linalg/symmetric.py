"""Eigenvalues of symmetric matrices, with a second algorithm where LAPACK's first does not converge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array, namespace
from analytic_dd.linalg.convergence import by_qr_iteration, tried
from analytic_dd.linalg.thresholds import LIMITS

__all__ = ["eigenvalues", "eigh"]


def eigh(A: Array) -> tuple[Array, Array]:
    """Return the eigenvalues (p,), ascending, and the eigenvectors (p, p) of a symmetric matrix that is finite.

    Notes
    -----
    *Numerics.* It warns and raises as :func:`svd` does, with syevd and syev in the place of gesdd and gesvd.
    *Cost.* O(p^3); some three times as much by syev. With numpy and a large p the vectors overwrite a copy.
    """
    if isinstance(A, np.ndarray) and A.shape[0] >= LIMITS.eigh_overwrites:
        found = _tried(lambda: scipy.linalg.eigh(A, driver="evd", check_finite=False), A)
    else:
        found = _tried(lambda: tuple(namespace(A).linalg.eigh(A)), A)
    return found or _by_qr_iteration(A)


def eigenvalues(A: Array) -> Array:
    """Return the eigenvalues (p,), ascending, of a symmetric matrix that is finite; as :func:`eigh`."""
    found = _tried(lambda: (namespace(A).linalg.eigvalsh(A),), A)
    return found[0] if found else _by_qr_iteration(A)[0]


def _tried(compute: Callable[[], tuple[Any, ...]], A: Array) -> Any:
    """Return what a library finds, or None where it does not converge: jax returns NaN then, and NaN for NaN."""
    xp, found = namespace(A), tried(compute)
    if found is None or bool(xp.all(xp.isfinite(found[0]))):  # jax returns NaN where others raise
        return found
    return None if bool(xp.all(xp.isfinite(A))) else found


def _by_qr_iteration(A: Array) -> tuple[Array, Array]:
    values, vectors = by_qr_iteration(
        "the eigendecomposition",
        ("syevd", "syev"),
        lambda A: tuple(scipy.linalg.eigh(A, driver="ev")),
        A,
        "scale its rows and columns to one size",
    )
    return values, vectors
