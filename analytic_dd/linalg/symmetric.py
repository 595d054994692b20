"""Eigenvalues of symmetric matrices, with a second algorithm where LAPACK's first does not converge."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from analytic_dd.arrays import Array, namespace, to_numpy
from analytic_dd.errors import DivergenceError, LapackWarning
from analytic_dd.linalg.thresholds import LIMITS

__all__ = ["eigenvalues", "eigh"]


def eigh(A: Array) -> tuple[Array, Array]:
    """Return the eigenvalues (p,), ascending, and the eigenvectors (p, p) of a symmetric matrix that is finite.

    Warns
    -----
    LapackWarning
        Divide and conquer (syevd) did not converge; the QR iteration (syev) took its place, on the host.

    Raises
    ------
    DivergenceError
        Neither of the two converges.

    Notes
    -----
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
    """What a library finds, or None where it does not converge; of what is no number it is no number."""
    xp = namespace(A)
    try:
        found = compute()
    except (np.linalg.LinAlgError, RuntimeError) as error:  # torch's LinAlgError is a RuntimeError
        if "converge" not in str(error):
            raise
        return None
    found_all = bool(xp.all(xp.isfinite(found[0])))  # jax returns NaN where others raise
    return found if found_all or not bool(xp.all(xp.isfinite(A))) else None


def _by_qr_iteration(A: Array) -> tuple[Array, Array]:
    shape = tuple(A.shape)
    warnings.warn(
        f"the eigenvalues of a matrix {shape} did not converge by divide and conquer (syevd); they were computed by "
        "the QR iteration (syev), which is slower",
        LapackWarning,
        stacklevel=4,
    )
    try:
        found = scipy.linalg.eigh(to_numpy(A), driver="ev")
    except np.linalg.LinAlgError as error:
        raise DivergenceError(
            f"the eigenvalues of a matrix {shape} converge neither by syevd nor by syev ({error}); scale its rows and "
            "columns to one size"
        ) from error
    xp, device = namespace(A), getattr(A, "device", None)
    values, vectors = (xp.asarray(part, dtype=A.dtype, device=device) for part in found)
    return values, vectors
