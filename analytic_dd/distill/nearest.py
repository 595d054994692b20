r"""Realistic sets: of all exact sets, the one nearest to given references (T6 learned labels, T6b fixed labels, Box).

An exact set needs row(W) in its row space: some q combinations of its points, V^T Phis, must span row(W). Of a
reference set the part outside row(W) is  N = Phi_ref (I - W^+ W),  so V^T N has to go; Eckart-Young says which V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from analytic_dd.arrays import Array, as_matrices, as_ridge, namespace, norm
from analytic_dd.distill.box import move_into_box
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.nearest_for_labels import ReferenceSplit, nearest_for_labels, split_references
from analytic_dd.distill.spanning import describe, spanning_features
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import eigh, singular_values, svd

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

    def moved_to(self, Phis: Array, Phi_ref: Array, **facts: Any) -> NearestFeatures:
        """Return the set with features ``Phis``, the first of them near ``Phi_ref``, and with other facts of it."""
        change, xp = Phis[: Phi_ref.shape[0], :] - Phi_ref, namespace(Phis)
        facts |= {"distance": norm(change), "reference_norm": norm(Phi_ref)}
        return replace(self, features=Phis, largest_change=float(xp.max(xp.abs(change))), **facts)

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("distance", "reference_norm", "predicted_distance", "largest_change", "relative_distance")
        return super().diagnostics() | {name: getattr(self, name) for name in names}


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
    got a smallest singular value 0 of their part in row(W) relative to the references (limit 6.7e-16); drop dependent
    references, take others, or raise tau from 0
    """
    W, Phi_ref = as_matrices(W=W, Phi_ref=Phi_ref)
    ridge = as_ridge(ridge)
    if not 0.0 <= tau < math.inf:
        raise ValueError(f"tau must be finite and >= 0, got {tau}; 0 is the nearest set, 1 a well-conditioned one")
    split = split_references(W, Phi_ref, point_weights, feature_weights, rcond)
    if labels is not None:
        _refuse_with_labels(ridge, tau, feature_weights, box)
        W, Ys = as_matrices(W=W, labels=labels)
        Phis, spectrum, optimum = nearest_for_labels(W, Ys, split, rcond=rcond)
        error = norm((Ys.T @ spectrum.U / spectrum.s) @ spectrum.Vt - W) / norm(W)
        built = describe(Phis, Ys, 0.0, theorem="T6b", relative_error=error, spectrum=spectrum)
        return _measured(built, Phi_ref, split, optimum)
    V, optimum = _cheapest(split, tau)
    _require_span(V.T @ split.B, split, tau)
    Phis = Phi_ref - (V @ (V.T @ split.N)) / split.scale
    if box is not None:
        Phis = move_into_box(Phis, *box, interior=interior)
    return _measured(spanning_features(W, Phis, ridge=ridge), Phi_ref, split, optimum)


def _cheapest(split: ReferenceSplit, tau: float) -> tuple[Array, float]:
    """V (m, q), the combinations of references to move into row(W), and the smallest distance of all."""
    N, B, xp = split.N, split.B, namespace(split.N)
    (m, p), q = N.shape, B.shape[1]
    if tau > 0.0:
        s = singular_values(N)
        V = eigh(N @ N.T - tau * (B @ B.T))[1][:, :q]
        return V, norm(s[m - q :]) if m - q < s.shape[0] else 0.0
    U, s, _ = svd(N, full=m > p)
    kept = int(xp.sum(xp.astype(s > split.cutoff, xp.int32)))
    optimum = norm(s[m - q :]) if m - q < s.shape[0] else 0.0
    if m - kept <= q:
        return U[:, m - q :], optimum
    # More than q combinations are in row(W) already: take those that carry most of it (the limit of tau to 0).
    free = U[:, kept:]
    return free @ svd(free.T @ B)[0][:, :q], optimum


def _require_span(spanned: Array, split: ReferenceSplit, tau: float) -> None:
    xp = namespace(spanned)
    least = float(xp.min(singular_values(spanned)))
    if least > split.cutoff:
        return
    value, limit = (least / split.size, split.cutoff / split.size) if split.size > 0.0 else (0.0, 0.0)
    raise InfeasibleError(
        "T6: the combinations of references that come nearest to row(W) must span it, got a smallest singular value "
        f"{value:.2g} of their part in row(W) relative to the references (limit {limit:.2g}); drop dependent "
        f"references, take others, or raise tau from {tau:.3g}",
        theorem="T6",
        value=value,
        limit=limit,
    )


def _refuse_with_labels(ridge: float, tau: float, pixels: Array | None, box: object) -> None:
    """Refuse what T6b does not cover."""
    if ridge > 0.0:
        raise InfeasibleError(
            f"T6b: fixed labels are for ridge 0, got {ridge:.3g}; use learned labels (labels=None) or distill_features",
            theorem="T6b",
            value=ridge,
            limit=0.0,
        )
    for name, given in (("tau", tau > 0.0), ("feature_weights", pixels is not None), ("box", box is not None)):
        if given:
            raise ValueError(f"{name} is for learned labels (T6), got fixed labels too; leave out one of them")


def _measured(built: DistilledFeatures, Phi_ref: Array, split: ReferenceSplit, optimum: float) -> NearestFeatures:
    xp = namespace(Phi_ref)
    change = built.features[: Phi_ref.shape[0], :] - Phi_ref
    values = {field.name: getattr(built, field.name) for field in fields(built)}
    values["theorem"] = "T6b" if built.theorem == "T6b" else "T6" if len(built) == Phi_ref.shape[0] else "T6, Box"
    return NearestFeatures(
        **values,
        distance=norm(split.scale * change),
        reference_norm=split.size,
        predicted_distance=optimum,
        largest_change=float(xp.max(xp.abs(change))),
    )
