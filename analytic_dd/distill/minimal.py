"""Learned labels: as few points as the rank of W, and no condition number at all (T4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, namespace, normal_like
from analytic_dd.distill.affine import affine_minimal_features
from analytic_dd.distill.circles import circle_features
from analytic_dd.distill.construction import Sized, option, register
from analytic_dd.distill.construction import ridge as a_ridge
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.learned_labels import with_learned_labels
from analytic_dd.distill.lift import Lifted
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.ranges import Affine, Circles
from analytic_dd.linalg import outside, singular_values, thin_svd
from analytic_dd.losses import LOSSES

__all__ = ["Minimal", "minimal_features"]

_LOGITS = 2.0  # of the points of a loss, at most


def minimal_features(
    W: Array,
    *,
    ridge: float = 0.0,
    points: int | None = None,
    scale: float = 1.0,
    rng: np.random.Generator | None = None,
    rcond: float | None = None,
) -> DistilledFeatures:
    r"""Build an exact set of rank W points with orthonormal features and learned labels.

        Phis = scale * Q V,   Ys = (scale + ridge / scale) Q V W^T

    with V orthonormal rows that span row(W) and Q = I. For more points, random rows orthogonal to row(W) are appended
    to V as long as there are any, and Q is random with orthonormal columns.

    Theorem: T4.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce, not zero.
    ridge : float
        lambda_s >= 0, absolute; no upper limit.
    points : int, optional
        Number of points, at least rank W (the default).
    scale : float
        Norm of the features' singular values, all equal.
    rng : numpy.random.Generator, optional
        Required when ``points`` > rank W.
    rcond : float, optional
        Relative rank cut-off for W.

    Returns
    -------
    DistilledFeatures
        ``amplification`` is about 1 whatever the condition of W.

    Raises
    ------
    InfeasibleError
        T1: ``points`` < rank W.

    Notes
    -----
    *Cost.* One SVD of W, O(k^2 p); a QR for more points, O(m^2 p). *Numerics.* |W_s - W| / |W| is a few eps: nothing is
    inverted. More points than directions of row(W) would have singular values of 0, which the rounding of a pre-image
    turns into small ones near any rank cut-off: hence the appended rows.

    Examples
    --------
    >>> from analytic_dd.ridge import ridge_weights
    >>> W = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]])  # rank 1: one point for two classes
    >>> distilled = minimal_features(W, ridge=3.0)
    >>> len(distilled), bool(np.allclose(ridge_weights(distilled.features, distilled.labels, ridge=3.0), W, rtol=1e-14))
    (1, True)
    >>> minimal_features(np.eye(3), points=2)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T1: 2 points are fewer than rank W = 3; take
    3 points or more, or few_features (T7)
    """
    as_matrix(W, "W")
    ridge = as_ridge(ridge)
    spectrum = thin_svd(W, rcond=rcond)
    rank = spectrum.rank
    if not 0.0 < scale < math.inf:
        raise ValueError(f"scale must be finite and > 0, got {scale}; it is the size of a feature vector")
    if rank == 0:
        raise ValueError("W is zero: every set with zero labels is exact, and no direction is distinguished")
    m = rank if points is None else int(points)
    if m < rank:
        raise InfeasibleError(
            f"T1: {m} points are fewer than rank W = {rank}; take {rank} points or more, or few_features (T7)",
            theorem="T1",
            value=m,
            limit=rank,
        )
    V = spectrum.Vt
    if m > rank:
        if rng is None:
            raise ValueError(
                f"{m} points for rank {rank}: the extra ones are random; pass rng=numpy.random.default_rng(0)"
            )
        V = _mixed(V, m, rng)
    Phis = scale * V
    Ys = (scale + ridge / scale) * (V @ W.T)
    return DistilledFeatures(Phis, Ys, ridge, theorem="T4", amplification=1.0, condition=1.0)


def _mixed(V: Array, m: int, rng: np.random.Generator) -> Array:
    """Return Q [V; R] with m rows: R random and orthogonal to V, Q random with orthonormal columns."""
    xp = namespace(V)
    rank, p = V.shape
    extra = min(m, p) - rank
    if extra:
        R = outside(V.T, normal_like(V, p, extra, rng))
        V = xp.concat([V, xp.linalg.qr(R, mode="reduced")[0].T], axis=0)
    return xp.linalg.qr(normal_like(V, m, rank + extra, rng), mode="reduced")[0] @ V


@register
@dataclass(frozen=True)
class Minimal(Sized, Lifted):
    """Points with learned labels, which follow from the features: no condition, any distilled ridge.

    Theorem: T4; T8e and T8a where all features lie on a plane or on circles; T18a for softmax, logistic and Poisson
    models, whose points are no longer than 2 / |W|_2: logits beyond 2 would only round the labels to 0 and 1.

    Attributes
    ----------
    points_per_class, points : int
        At least rank W in all.
    distilled_ridge : float
        lambda_s, absolute; no upper limit.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> W = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]])  # rank 1
    >>> Minimal(points=1).build(Problem(W, Identity(3), np.random.default_rng(0))).inputs.shape
    (1, 3)
    """

    mode = "exact"
    summary = "learned labels"
    losses = tuple(LOSSES)

    distilled_ridge: float = option(0.0, "of the distilled set, absolute (default 0)", check=a_ridge, metavar="FLOAT")

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T4, of the typical size of a feature vector."""
        return minimal_features(
            problem.W,
            ridge=self.distilled_ridge,
            points=self.size(problem.k),
            scale=self._size_of_a_point(problem),
            rng=problem.rng,
        )

    def on_plane(self, problem: Problem, plane: Affine) -> DistilledFeatures:
        """Return the set of T8e."""
        return affine_minimal_features(problem.W, plane.B, plane.c, ridge=self.distilled_ridge)

    def on_circles(self, problem: Problem, circles: Circles) -> DistilledFeatures:
        """Return the set of T8a."""
        return circle_features(problem.W, circles.radius, ridge=self.distilled_ridge)

    def polishes(self, problem: Problem) -> bool:
        """Whether labels are computed again; those of ridge regression with an intercept are not."""
        return problem.intercept is None or problem.loss != "squared"

    def polished(self, problem: Problem, built: DistilledFeatures) -> DistilledFeatures:
        """Return the set with the labels of T4 or T18a for the features as they are."""
        if not self.polishes(problem):
            return built
        return with_learned_labels(built, built.features, problem.W, problem.intercept, loss=problem.loss)

    def _size_of_a_point(self, problem: Problem) -> float:
        """Return the typical size of a feature vector; for other losses no more than gives logits of 2."""
        size = problem.typical_size
        return size if problem.loss == "squared" else min(size, _LOGITS / float(singular_values(problem.W)[0]))

    @classmethod
    def meant_by(cls, words: Any) -> bool:
        """Whether mode exact is wanted with learned labels."""
        return bool(words["mode"] == cls.mode and words.get("labels") == "learned" and not words.get("ridges"))
