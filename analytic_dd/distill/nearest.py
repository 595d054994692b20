r"""Realistic sets: of all exact sets, the one nearest to given references (T6 learned labels, T6b fixed labels, Box).

An exact set needs row(W) in its row space: some q combinations of its points, V^T Phis, must span row(W). Of a
reference set the part outside row(W) is  N = Phi_ref (I - W^+ W),  so V^T N has to go; Eckart-Young says which V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from analytic_dd.arrays import Array, as_matrices, as_matrix, as_ridge, eps_of, namespace, norm
from analytic_dd.distill.box import move_into_box
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.exact import target
from analytic_dd.distill.spanning import describe, spanning_features
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import thin_svd

__all__ = ["NearestFeatures", "nearest_features"]


@dataclass(frozen=True)
class NearestFeatures(DistilledFeatures):
    """An exact set near references, and how near.

    Attributes
    ----------
    distance : float
        |Phis - Phi_ref|, with the weights where such were given; without the point that a box appends.
    reference_norm : float
        |Phi_ref|, with the same weights.
    predicted_distance : float
        The optimum by the theorem; ``distance`` is this with tau = 0 and no box.
    largest_change : float
        Largest absolute entry of Phis - Phi_ref, without weights.
    """

    distance: float = 0.0
    reference_norm: float = 0.0
    predicted_distance: float = 0.0
    largest_change: float = 0.0

    @property
    def relative_distance(self) -> float:
        """distance / |Phi_ref|."""
        return self.distance / self.reference_norm if self.reference_norm > 0.0 else math.inf

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("distance", "reference_norm", "predicted_distance", "largest_change", "relative_distance")
        return super().diagnostics() | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class _Problem:
    """The references in the coordinates of the weights, split along an orthonormal basis of row(W)."""

    scale: Array  # sqrt of the weights, (m, 1) times (1, p), or 1
    rows: Array  # (q, p), basis of row(W) there
    B: Array  # (m, q): Phi_ref there = B rows + N
    N: Array  # (m, p)
    size: float  # |Phi_ref| there
    cutoff: float  # what counts as 0 beside it


def nearest_features(
    W: Array,
    Phi_ref: Array,
    *,
    ridge: float = 0.0,
    labels: Array | None = None,
    tau: float = 0.0,
    point_weights: Array | None = None,
    feature_weights: Array | None = None,
    box: tuple[float | Array, float | Array] | None = None,
    interior: Array | None = None,
    rcond: float | None = None,
) -> NearestFeatures:
    r"""Build the exact set nearest to the references ``Phi_ref``.

    With N = Phi_ref (I - W^+ W) and q = rank W, for learned labels

        Phis = Phi_ref - V V^T N,   V (m, q) the left singular vectors of N with the q smallest singular values,
        |Phis - Phi_ref|^2 = sum of the q smallest sigma_i(N)^2       (0 for m >= p),   Ys from T4;

    for fixed ``labels`` of rank q (one-hot for a W of full rank, soft, centred for a centred W)

        Phis = Ys (W^+)^T + [N]_(m-q)   (truncated SVD),
        |Phis - Phi_ref|^2 = |(Ys - Phi_ref W^T) (W^+)^T|^2 + sum over i > m - q of sigma_i(N)^2.

    Theorem: T6, T6b, Box. T6 is the optimum over all exact sets with any labels, T6b over those of full row rank.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, not zero.
    Phi_ref : (m, p) array
        Features of the references, m >= q.
    ridge : float
        lambda_s >= 0, absolute; no upper limit, and the features do not depend on it. 0 with fixed labels.
    labels : (m, k) array, optional
        Fixed labels Ys. Learned by default.
    tau : float
        V from  Phi_ref (I - W^+ W - tau W^+ W) Phi_ref^T  instead: 0.1 to 1 gives a better conditioned, farther set.
    point_weights, feature_weights : (m,), (p,) arrays, optional
        Positive weights of images and of pixels in the squared distance.
    box : (lower, upper), optional
        Numbers or (p,) arrays: move the points into this box and append one more, see :func:`move_into_box`.
    interior : (p,) array, optional
        The point to append; the centre of the box by default.
    rcond : float, optional
        Relative rank cut-off for W.

    Returns
    -------
    NearestFeatures
        ``distance``, ``predicted_distance``, ``relative_distance``, ``largest_change`` beside the usual fields.

    Raises
    ------
    InfeasibleError
        T1: m < q, or labels that W is not in the row space of. T6: V^T Phi_ref W^T has rank < q (references that are
        linearly dependent, or orthogonal to W): the infimum is not attained. T6b: ridge > 0, m > p, rank Ys > q, or
        labels for which no set of full row rank is nearest. Box: the appended point is not interior.
    ShapeError, TypeError, ValueError
        Sizes that do not fit; integers; NaN, weights <= 0, tau < 0, W = 0, options that exclude each other.

    Notes
    -----
    *Cost.* One SVD of an (m, p) matrix and one for the diagnostics, O(m p min(m, p)); nothing (p, p) is formed.
    *Numerics.* tau = 0 does not square N, so small distances have all their digits. The condition grows as the
    distance shrinks: what makes the set exact sits in its smallest singular values, below 8 bits a pixel.

    Examples
    --------
    >>> import numpy as np
    >>> W, references = np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 3.0, 0.0], [1.0, 0.0, 0.5]])
    >>> built = nearest_features(W, references)  # 0.5 is the smaller singular value of the part beside row(W)
    >>> built.features.round(12), round(built.distance, 12)
    (array([[1., 3., 0.],
           [1., 0., 0.]]), 0.5)
    >>> nearest_features(W, np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 0.5]]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T6: the combinations of references that come nearest to row(W) must span it,
    got a smallest singular value 0 of V^T Phi_ref on row(W) relative to |Phi_ref| (limit 6.7e-16); drop dependent
    references, take others, or raise tau from 0
    """
    W, Phi_ref = as_matrices(W=W, Phi_ref=Phi_ref)
    ridge, tau = as_ridge(ridge), as_ridge(tau, "tau")
    problem = _split(W, Phi_ref, point_weights, feature_weights, rcond)
    if labels is not None:
        _refuse_with_labels(ridge, tau, feature_weights, box)
        Phis, Ys, optimum = _with_fixed_labels(W, Phi_ref, as_matrix(labels, "labels"), problem)
        return _measured(describe(Phis, Ys, 0.0, theorem="T6b"), Phi_ref, problem, optimum)
    V, optimum = _cheapest(problem, tau)
    _require_span(V.T @ problem.B, problem, tau)
    Phis = Phi_ref - (V @ (V.T @ problem.N)) / problem.scale
    if box is not None:
        Phis = move_into_box(Phis, *box, interior=interior)
    return _measured(spanning_features(W, Phis, ridge=ridge), Phi_ref, problem, optimum)


def _split(W: Array, Phi_ref: Array, points: Array | None, pixels: Array | None, rcond: float | None) -> _Problem:
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
        reason = f"{m} references are fewer than rank W = {q}; use at least {q}, or few_features (T7)"
        raise InfeasibleError(f"T1: {reason}", theorem="T1", value=m, limit=q)
    reference = scale * Phi_ref
    B = reference @ rows.T
    N = reference - B @ rows
    N = N - (N @ rows.T) @ rows  # what rounding left in row(W): for references near it, N is small
    size = norm(reference)
    return _Problem(scale, rows, B, N, size, max(m, p) * eps_of(W) * size)


def _root_weights(weights: Array | None, name: str, size: int, like: Array) -> Array:
    xp = namespace(like)
    if weights is None:
        return xp.ones((size,), dtype=like.dtype, device=getattr(like, "device", None))
    if tuple(weights.shape) != (size,):
        raise ShapeError(f"{name} must have shape {(size,)}, got {tuple(weights.shape)}")
    least = float(xp.min(weights))
    if not (least > 0.0 and math.isfinite(float(xp.max(weights)))):
        raise ValueError(f"{name} must be finite and > 0, got {least:.3g}; drop what should not count")
    return xp.sqrt(xp.astype(weights, like.dtype, copy=False))


def _cheapest(problem: _Problem, tau: float) -> tuple[Array, float]:
    """V (m, q), the combinations of references to move into row(W), and the smallest distance of all."""
    N, B, xp = problem.N, problem.B, namespace(problem.N)
    (m, p), q = N.shape, B.shape[1]
    if tau > 0.0:
        s = xp.linalg.svdvals(N)
        V = xp.linalg.eigh(N @ N.T - tau * (B @ B.T))[1][:, :q]
        return V, norm(s[m - q :]) if m - q < s.shape[0] else 0.0
    U, s, _ = xp.linalg.svd(N, full_matrices=m > p)
    kept = int(xp.sum(xp.astype(s > problem.cutoff, xp.int32)))
    optimum = norm(s[m - q :]) if m - q < s.shape[0] else 0.0
    if m - kept <= q:
        return U[:, m - q :], optimum
    # More than q combinations are in row(W) already: take those that carry most of it (the limit of tau to 0).
    free = U[:, kept:]
    return free @ xp.linalg.svd(free.T @ B, full_matrices=False)[0][:, :q], optimum


def _require_span(spanned: Array, problem: _Problem, tau: float) -> None:
    xp = namespace(spanned)
    least = float(xp.min(xp.linalg.svdvals(spanned)))
    if least > problem.cutoff:
        return
    value, limit = (least / problem.size, problem.cutoff / problem.size) if problem.size > 0.0 else (0.0, 0.0)
    raise InfeasibleError(
        "T6: the combinations of references that come nearest to row(W) must span it, got a smallest singular value "
        f"{value:.2g} of V^T Phi_ref on row(W) relative to |Phi_ref| (limit {limit:.2g}); drop dependent references, "
        f"take others, or raise tau from {tau:.3g}",
        theorem="T6",
        value=value,
        limit=limit,
    )


def _measured(built: DistilledFeatures, Phi_ref: Array, problem: _Problem, optimum: float) -> NearestFeatures:
    xp = namespace(Phi_ref)
    change = built.features[: Phi_ref.shape[0], :] - Phi_ref
    values = {field.name: getattr(built, field.name) for field in fields(built)}
    values["theorem"] = "T6b" if built.theorem == "T6b" else "T6" if len(built) == Phi_ref.shape[0] else "T6, Box"
    return NearestFeatures(
        **values,
        distance=norm(problem.scale * change),
        reference_norm=problem.size,
        predicted_distance=optimum,
        largest_change=float(xp.max(xp.abs(change))),
    )
