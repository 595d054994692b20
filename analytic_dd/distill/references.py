"""References in the coordinates of a weighted distance, split along row(W): what T6 and T6b start from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytic_dd.arrays import Array, device_of, eps_of, namespace, norm
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import thin_svd

__all__ = ["ReferenceSplit", "split_references"]


@dataclass(frozen=True)
class ReferenceSplit:
    """``scale * Phi_ref = B rows + N``."""

    scale: Array  # (m, p): square roots of the weights
    rows: Array  # (q, p): orthonormal basis of row(W) in the scaled coordinates
    B: Array  # (m, q)
    N: Array  # (m, p): the part orthogonal to ``rows``
    size: float  # |scale * Phi_ref|
    cutoff: float  # what counts as 0 beside it: max(m, p) eps size


def split_references(
    W: Array, Phi_ref: Array, points: Array | None, pixels: Array | None, rcond: float | None
) -> ReferenceSplit:
    """Split the references; ``points`` (m,) and ``pixels`` (p,) are positive weights or None."""
    m, p = Phi_ref.shape
    if W.shape[1] != p:
        raise ShapeError(f"Phi_ref and W must have the same number of columns, got {p} and {W.shape[1]}")
    columns = _root_weights(pixels, "feature_weights", p, Phi_ref)[None, :]
    scale = _root_weights(points, "point_weights", m, Phi_ref)[:, None] * columns
    rows = thin_svd(W * columns, rcond=rcond).Vt
    q = rows.shape[0]
    if not 1 <= q <= m:
        if q == 0:
            raise ValueError("W is zero: the references with zero labels are exact; there is nothing to move")
        reason = f"{m} references are fewer than rank W = {q}; take {q} references or more, or few_features (T7)"
        raise InfeasibleError(f"T1: {reason}", theorem="T1", value=m, limit=q)
    reference = scale * Phi_ref
    B = reference @ rows.T
    N = reference - B @ rows
    N = N - (N @ rows.T) @ rows  # what rounding left in row(W): for references near it, N is small
    size = norm(reference)
    return ReferenceSplit(scale, rows, B, N, size, max(m, p) * eps_of(W) * size)


def _root_weights(weights: Array | None, name: str, size: int, like: Array) -> Array:
    xp = namespace(like)
    if weights is None:
        return xp.ones((size,), dtype=like.dtype, device=device_of(like))
    if tuple(weights.shape) != (size,):
        raise ShapeError(f"{name} must have shape {(size,)}, got {tuple(weights.shape)}")
    least = float(xp.min(weights))
    if not (least > 0.0 and math.isfinite(float(xp.max(weights)))):
        raise ValueError(f"{name} must be finite and > 0, got {least:.3g}; drop what should not count")
    return xp.sqrt(xp.astype(weights, like.dtype, copy=False))
