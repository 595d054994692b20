"""Decompositions by divide and conquer, and by the QR iteration where LAPACK's first algorithm does not converge."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, device_of, namespace, to_numpy
from analytic_dd.errors import DivergenceError, LapackWarning

__all__ = ["by_qr_iteration", "tried"]


def tried(compute: Callable[[], Any]) -> Any:
    """Return what a library computes, or None where it does not converge."""
    try:
        return compute()
    except (np.linalg.LinAlgError, RuntimeError) as error:  # torch's LinAlgError is a RuntimeError
        if "converge" not in str(error):
            raise
        return None


def by_qr_iteration(
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
