"""Random layers, the same on every platform to within rounding."""

from __future__ import annotations

import numpy as np

__all__ = ["draw_layer", "draw_orthonormal", "orthonormalise"]


def draw_layer(
    fan_in: int, fan_out: int, *, bias: bool, weights: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``W`` (fan_out, fan_in) and ``b`` (fan_out,) or None; both have entries of variance 1 / fan_in.

    Raises
    ------
    ValueError
        ``weights`` is neither "gaussian" nor "orthogonal".

    Examples
    --------
    >>> W, b = draw_layer(3, 2, bias=False, weights="gaussian", rng=np.random.default_rng(0))
    >>> W.shape, b
    ((2, 3), None)
    >>> draw_layer(3, 2, bias=False, weights="sparse", rng=np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    ValueError: weights must be gaussian or orthogonal, got 'sparse'
    """
    if weights not in ("gaussian", "orthogonal"):
        raise ValueError(f"weights must be gaussian or orthogonal, got {weights!r}")
    W = (
        rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
        if weights == "gaussian"
        else draw_orthonormal(rng, fan_out, fan_in) * np.sqrt(max(1.0, fan_out / fan_in))
    )
    return W, rng.standard_normal(fan_out) / np.sqrt(fan_in) if bias else None


def orthonormalise(A: np.ndarray) -> np.ndarray:
    """Return the Gram-Schmidt basis (n, k) of the columns of ``A`` (n, k), k <= n, linearly independent.

    Notes
    -----
    *Numerics.* QR with a positive diagonal of R is unique, so LAPACK implementations differ by rounding only; without
    fixing the signs they would differ by whole reflections, and a stored map could not be rebuilt elsewhere.

    Examples
    --------
    >>> orthonormalise(np.array([[-3.0], [4.0]]))
    array([[-0.6],
           [ 0.8]])
    """
    Q, R = np.linalg.qr(A)
    return np.asarray(Q * np.where(np.diagonal(R) < 0.0, -1.0, 1.0))


def draw_orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Draw a (rows, columns) matrix uniformly among those with orthonormal columns (rows, when there are fewer rows).

    Examples
    --------
    >>> Q = draw_orthonormal(np.random.default_rng(0), 2, 5)
    >>> bool(np.allclose(Q @ Q.T, np.eye(2)))
    True
    """
    if rows < columns:
        return np.ascontiguousarray(draw_orthonormal(rng, columns, rows).T)
    return orthonormalise(rng.standard_normal((rows, columns)))
