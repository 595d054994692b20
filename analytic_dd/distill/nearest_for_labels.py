"""References split along row(W), and the set of full row rank nearest to them for fixed labels and ridge 0 (T6b)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytic_dd.arrays import Array, device_of, eps_of, namespace, norm
from analytic_dd.distill.exact import target
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import Spectrum, pseudo_inverse, singular_values, svd, thin_svd

__all__ = ["ReferenceSplit", "nearest_for_labels", "split_references"]


def nearest_for_labels(
    W: Array, Ys: Array, split: ReferenceSplit, *, rcond: float | None = None
) -> tuple[Array, Spectrum, float]:
    r"""Return  Phis = Ys (W^+)^T + [N]_(m-q),  its decomposition and its distance to the references.

    Theorem: T6b. A set of full row rank is exact at ridge 0 iff  Phis W^T = Ys  and row(W) is in its row space. The
    first fixes the part within row(W); the second leaves rank m - q for the rest: Eckart-Young. Proved for
    rank Ys = rank W = q <= m <= p; a set of lower rank may be nearer.

    Parameters
    ----------
    W : (k, p) array
    Ys : (m, k) array
    split : ReferenceSplit
        Without weights of features: the two conditions do not scale alike.
    rcond : float, optional
        Relative rank cut-off for W.

    Raises
    ------
    InfeasibleError, ShapeError
        See :func:`nearest_features`.
    """
    _require_sizes(W, Ys, split)
    m, q = split.N.shape[0], split.rows.shape[0]
    U, s, Vt = svd(split.N)
    kept = m - q
    scaled = split.scale[:, :1] * Ys
    _require_labels(U[:, kept:].T @ scaled, norm(scaled))
    _require_references(s[:kept], split)
    within = Ys @ pseudo_inverse(W, rcond=rcond).T
    beside = ((U[:, :kept] * s[:kept]) @ Vt[:kept, :]) / split.scale
    Phis = within + beside
    found = thin_svd(Phis)
    _require_both_parts(found, norm(within), norm(beside))
    moved = norm(split.scale * within - split.B @ split.rows)
    return Phis, found, math.hypot(moved, norm(s[kept:]))


def _require_sizes(W: Array, Ys: Array, split: ReferenceSplit) -> None:
    (m, p), (k, q) = split.N.shape, (W.shape[0], split.rows.shape[0])
    if tuple(Ys.shape) != (m, k):
        raise ShapeError(f"labels must have shape {(m, k)}, one row for each reference, got {tuple(Ys.shape)}")
    if m > p:
        raise InfeasibleError(
            f"T6b: fixed labels need sets of full row rank, got m = {m} points of p = {p} features; use at most {p} "
            "points, or learned labels (labels=None)",
            theorem="T6b",
            value=m,
            limit=p,
        )
    target(W, Ys)  # T1
    rank = thin_svd(Ys).rank
    if rank > q:
        raise InfeasibleError(
            f"T6b: fixed labels must have the rank of W, got rank Ys = {rank} and rank W = {q}; centre both (T5), or "
            "use learned labels (labels=None)",
            theorem="T6b",
            value=rank,
            limit=q,
        )


def _require_labels(mixed: Array, size: float) -> None:
    """The nearest set has full row rank iff the labels tell apart the q directions that are given up ..."""
    xp = namespace(mixed)
    least, limit = float(xp.min(singular_values(mixed))), max(mixed.shape) * eps_of(mixed) * size
    if not least > limit:
        raise InfeasibleError(
            "T6b: the labels must tell apart the directions in which the references vary least, got a smallest "
            f"singular value {least:.2g} (limit {limit:.2g}); take other references or learned labels (labels=None)",
            theorem="T6b",
            value=least,
            limit=limit,
        )


def _require_references(s: Array, split: ReferenceSplit) -> None:
    """... and the m - q that are kept exist."""
    if s.shape[0] and not float(s[-1]) > split.cutoff:
        raise InfeasibleError(
            f"T6b: the references must vary in m - rank W = {s.shape[0]} directions beside row(W), got a smallest "
            f"singular value {float(s[-1]):.2g} (limit {split.cutoff:.2g}); drop references that depend on others",
            theorem="T6b",
            value=float(s[-1]),
            limit=split.cutoff,
        )


def _require_both_parts(found: Spectrum, within: float, beside: float) -> None:
    """In the sum of the two parts neither may vanish by rounding: the set has full row rank in floating point too."""
    m = found.U.shape[0]
    if found.rank < m:
        raise InfeasibleError(
            f"T6b: the set must have full row rank, got rank {found.rank} of {m} points in floating point: what the "
            f"labels fix has norm {within:.2g}, what the references add {beside:.2g}; multiply the labels by about "
            f"{beside / within:.0e}, or use learned labels (labels=None)",
            theorem="T6b",
            value=found.rank,
            limit=m,
        )


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
