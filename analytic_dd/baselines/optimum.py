r"""The optimum of what iterative methods minimise, in closed form (T20b, T20c, T20d): a gap in place of a rank.

DC, DM, MTT and KIP descend on an objective of m points. With squared loss and linear or finitely many features the
least value is known, whatever the points:

    DC    gradients over random W of variance s^2:  k s^2 |G_s - G|^2 + |C_s - C|^2,  G_s and C_s of rank m
    DM    the mean of each class, one point; mean and covariance, rank + 1 points
    MTT   displacements of experts, each relative to its length: those of a student have m common directions
    KIP   |Phi W_s^T - Y|^2: learned labels leave W_s any rank m, labels that are given bound it by the ridge (T3)

Everything here is measured in coordinates of the columns of Phi: G = Q s^2 Q^T and T = s^-1 Q^T C^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import as_matrix, as_ridge
from analytic_dd.distill.column_space import ColumnSpace, Data, column_space
from analytic_dd.distill.exact import distill_features
from analytic_dd.distill.intercept import contrasts
from analytic_dd.errors import ShapeError
from analytic_dd.labels import labels_for
from analytic_dd.linalg import eigh, singular_values, svd

__all__ = ["DcBound", "KipOptimum", "MomentSet", "dc_bound", "kip_optimum", "moment_set", "mtt_bound"]

_ROUNDS = 20_000  # of the convex program; a gap that is left is reported
_CLOSED = 1e-12  # relative gap at which it ends
_INSIDE = 64.0 * 2.0**-52


@dataclass(frozen=True)
class DcBound:
    """What no m points can do better than, and what some do."""

    bound: float  # no m points have less
    reached: float  # the objective of the points below; global optimality is open, so it is at or above the bound
    features: np.ndarray  # (m, p)
    labels: np.ndarray  # (m, k)
    theorem: str = "T20b"


def dc_bound(data: Data, *, points: int, weight_std: float = 1.0, rounds: int = 200) -> DcBound:
    r"""Return the least mean squared distance of gradients that m points can have, over random weights.

        E |W (G_s - G) - (C_s - C)|^2 = k s^2 |G_s - G|^2 + |C_s - C|^2
                                     >= k s^2 sum_(i>m) lambda_i(G)^2 + sum_(i>m) sigma_i(C)^2

    for independent entries of W with mean 0 and variance s^2. The points have G_s = P G P and C_s = C P, where P is
    the projector on the top m eigenvectors of  2 k s^2 G P G + C^T C  again and again; each round lowers the objective.

    Theorem: T20b.

    Parameters
    ----------
    data : GramStatistics, or a pair (Phi, Y)
        The objective is in their units: sums over samples. Divided by n for sums, by sqrt(n) for the pair, it is that
        of mean losses.
    points : int
        m >= 1.
    weight_std : float
        s > 0.
    rounds : int
        At most so many; fewer once nothing changes.

    Returns
    -------
    DcBound
        With m >= rank G both numbers are 0 up to rounding.

    Raises
    ------
    ValueError
        m < 1; s <= 0.

    Notes
    -----
    *Cost.* An eigendecomposition of G, and one of (r, r), r = rank G, a round. *Numerics.* eps |G|^2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y = rng.standard_normal((30, 6)), rng.standard_normal((30, 2))
    >>> found = dc_bound((Phi, Y), points=3)
    >>> found.features.shape, 0.0 < found.bound <= found.reached
    ((3, 6), True)
    >>> dc_bound((Phi, Y), points=0)
    Traceback (most recent call last):
        ...
    ValueError: points must be at least 1, got 0
    """
    m = _count(points)
    if not weight_std > 0.0:
        raise ValueError(f"weight_std must be > 0, got {weight_std}")
    space = column_space(data)
    g, c, size = space.s**2, space.labels.T * space.s, space.k * weight_std**2
    m = min(m, len(g))
    bound = size * np.sum(g[m:] ** 2) + np.sum(singular_values(c)[m:] ** 2)
    P = np.eye(len(g))
    for _ in range(int(rounds)):
        before, P = P, _leading(2.0 * size * g[:, None] * P * g + c.T @ c, m)
        if np.linalg.norm(P - before) <= len(g) * np.finfo(float).eps:
            break
    reached = size * np.sum((P * g @ P - np.diag(g)) ** 2) + np.sum((c @ P - c) ** 2)
    V = eigh(P)[1][:, -m:]
    h, E = eigh((V.T * g) @ V)
    root = np.sqrt(h)[:, None]
    features = root * ((V @ E).T @ space.Vt)
    return DcBound(float(bound), float(reached), features, (c @ V @ E).T / root)


def _leading(A: np.ndarray, m: int) -> np.ndarray:
    vectors = eigh(A)[1][:, -m:]
    return np.asarray(vectors @ vectors.T)


@dataclass(frozen=True)
class MomentSet:
    """Points with the mean of the data, and with as much of their covariance as so many points can have."""

    features: np.ndarray  # (m, p)
    mean_error: float  # |mean - mean of the data|, of rounding size
    covariance_error: float  # |covariance - that of the data|, the least of any m points: the tail of its eigenvalues
    fewest: int  # rank of the covariance + 1: so many points have both exactly
    theorem: str = "T20c"


def moment_set(Phi: np.ndarray, *, points: int | None = None) -> MomentSet:
    r"""Build points with the mean and the covariance of samples: what DM minimises is then 0.

        Phis = 1 mean^T + sqrt(m) H^T Sigma_(m-1),   H (m - 1, m) orthonormal rows, H 1 = 0

    with Sigma_(m-1) = sqrt(lambda) v^T for the m - 1 leading eigenpairs of the covariance (1/n). One point is the mean.

    Theorem: T20c.

    Parameters
    ----------
    Phi : (n, p) array
        Features of one class, n >= 1.
    points : int, optional
        m; by default rank of the covariance + 1, and no more are made.

    Examples
    --------
    >>> Phi = np.random.default_rng(0).standard_normal((30, 4))
    >>> found = moment_set(Phi)
    >>> len(found.features), bool(np.allclose(np.cov(found.features.T, bias=True), np.cov(Phi.T, bias=True)))
    (5, True)
    >>> len(moment_set(Phi, points=1).features)
    1
    """
    as_matrix(Phi, "Phi")
    mean = Phi.mean(axis=0)
    _, s, Vt = svd((Phi - mean) / np.sqrt(len(Phi)))
    rank = int(np.sum(s > max(Phi.shape) * np.finfo(Phi.dtype).eps * (s[0] if len(s) else 0.0)))
    m = rank + 1 if points is None else min(_count(points), rank + 1)
    features = mean + np.sqrt(m) * contrasts(m).T @ (s[: m - 1, None] * Vt[: m - 1])
    tail = float(np.sqrt(np.sum(s[m - 1 :] ** 4)))
    return MomentSet(features, float(np.linalg.norm(features.mean(axis=0) - mean)), tail, rank + 1)


def mtt_bound(displacements: np.ndarray, *, points: int) -> float:
    r"""Return the least mean relative squared distance that students of m points can have to targets of experts.

        mean_i |D_i - D_i^s|^2 / |D_i|^2  >=  sum_(j>m) sigma_j([D_1 / |D_1|; ...; D_L / |D_L|])^2 / L

    The displacement D_i^s of a linear student without intercept has its rows among combinations of the m points, for
    any loss, labels, steps and step size. All of them together have rank m at most (Eckart and Young).

    Theorem: T20b, for the segments of MTT.

    Parameters
    ----------
    displacements : (L, k, p) array
        w*_(t+M) - w*_t of expert segments, none of them 0.
    points : int
        m >= 1.

    Examples
    --------
    >>> D = np.eye(4)[:, None, :]  # four segments in four directions
    >>> mtt_bound(D, points=4), round(mtt_bound(D, points=1), 12)
    (0.0, 0.75)
    """
    m = _count(points)
    if displacements.ndim != 3:
        raise ShapeError(f"displacements must have shape (L, k, p), got {displacements.shape}")
    sizes = np.linalg.norm(displacements, axis=(1, 2))
    if not np.all(sizes > 0.0):
        raise ValueError(f"displacement {int(np.argmin(sizes))} is 0: nothing to match; leave it out")
    stacked = (displacements / sizes[:, None, None]).reshape(-1, displacements.shape[2])
    return float(np.sum(singular_values(stacked)[m:] ** 2) / len(displacements))


@dataclass(frozen=True)
class KipOptimum:
    """The least squared error on the data that ridge regression on m points can have."""

    loss: float  # |Phi W_s^T - Y|^2, reached by the points below where phi is onto
    gap: float  # certified: no m points have less than ``loss - gap``; 0 in closed form
    features: np.ndarray  # (m, p)
    labels: np.ndarray  # (m, k)
    ridge: float
    weights: np.ndarray  # (k, p): W_s
    theorem: str = "T20d"

    @property
    def bound(self) -> float:
        """What no m points are below."""
        return max(0.0, self.loss - self.gap)


def kip_optimum(
    data: Data, *, points: int | None = None, labels: np.ndarray | None = None, ridge: float = 0.0
) -> KipOptimum:
    r"""Return the optimum of KIP's loss over m points, with learned labels or with given ones.

        learned    |Phi W_ols^T - Y|^2 + sum_(i>m) sigma_i(W_ols G^(1/2))^2                   for any ridge
        given Y_s  min |Phi D^T Y_s - Y|^2  subject to  |D|_2 <= 1 / (2 sqrt(ridge))          then Phis by T3

    Theorem: T20d (T3, T4, T7).

    Parameters
    ----------
    data : GramStatistics, or a pair (Phi, Y)
        All training samples.
    points : int, optional
        m, for learned labels.
    labels : (m, k) array, optional
        Given labels; m is then their number.
    ridge : float
        lambda_s, absolute. A ridge in units of the trace of the points' Gram matrix can be made as small as one likes
        by longer points: take 0.

    Raises
    ------
    ValueError
        Neither or both of ``points`` and ``labels``; m < 1.

    Notes
    -----
    *Cost.* An SVD of Phi (or an eigendecomposition of G); with given labels accelerated projected gradients in
    coordinates where the Hessian is diagonal, O(k^2 r) a step. *Numerics.* With sums eps |Y|^2. The gap of the convex
    program is that of Frank and Wolfe, <grad, E> + tau |grad|_*, at the feasible E that is returned.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Phi, Y = rng.standard_normal((30, 6)), rng.standard_normal((30, 3))
    >>> best = kip_optimum((Phi, Y), points=2)
    >>> fit = Phi @ best.weights.T - Y
    >>> len(best.features), bool(np.isclose(best.loss, np.sum(fit**2)))
    (2, True)
    >>> fixed = kip_optimum((Phi, Y), labels=np.eye(3), ridge=10.0)
    >>> fixed.loss > kip_optimum((Phi, Y), labels=np.eye(3)).loss, bool(fixed.gap <= 1e-11 * np.sum(Y**2))
    (True, True)
    """
    ridge = as_ridge(ridge)
    if (points is None) == (labels is None):
        raise ValueError("give points (their number, with learned labels) or labels (m, k), one of the two")
    space, squares = column_space(data), _squares_of_labels(data)
    unfit = max(0.0, squares - float(np.sum(space.labels**2)))  # the least-squares residual
    if labels is None:
        return _learned(space, unfit, min(_count(points or 0), *space.labels.shape), ridge)
    as_matrix(labels, "labels")
    if labels.shape[1] != space.k:
        raise ShapeError(f"labels must have {space.k} columns, got {labels.shape[1]}")
    return _given(space, unfit, squares, np.asarray(labels, dtype=np.float64), ridge)


def _squares_of_labels(data: Data) -> float:
    return float(np.sum(data[1] ** 2)) if isinstance(data, (tuple, list)) else float(np.sum(np.asarray(data.yy)))


def _learned(space: ColumnSpace, unfit: float, m: int, ridge: float) -> KipOptimum:
    A, sigma, Bt = svd(space.labels)
    directions = (A[:, :m].T / space.s) @ space.Vt
    W = (Bt[:m].T * sigma[:m]) @ directions
    features = np.linalg.qr(directions.T)[0].T
    loss = unfit + float(np.sum(sigma[m:] ** 2))
    return KipOptimum(loss, 0.0, features, labels_for(features, W, ridge=ridge), ridge, W)


def _given(space: ColumnSpace, unfit: float, squares: float, Ys: np.ndarray, ridge: float) -> KipOptimum:
    U, S, Rt = svd(Ys.T)  # W = U S E with E = R^T D of the norm of D
    rank = int(np.sum(max(Ys.shape) * np.finfo(float).eps * S[0] < S))
    U, S, Rt = U[:, :rank], S[:rank], Rt[:rank]
    H, B = S[:, None] * space.s, (space.labels @ U).T
    lost = max(0.0, float(np.sum(space.labels**2) - np.sum(B**2)))  # labels outside of the range of Y_s^T
    E, gap = (B / H, 0.0) if ridge == 0.0 else _projected(H, B, 0.5 / np.sqrt(ridge), _CLOSED * squares)
    loss = unfit + lost + float(np.sum((H * E - B) ** 2))
    W = (U * S) @ E @ space.Vt
    made = distill_features(W, Ys, ridge=ridge, root="small" if ridge else "large")
    return KipOptimum(loss, gap, made.features, Ys, float(made.ridge), W)


def _projected(H: np.ndarray, B: np.ndarray, tau: float, tolerance: float) -> tuple[np.ndarray, float]:
    """Minimise |H * E - B|^2 (entries) over |E|_2 <= tau; return E and how far from the least it can be."""
    E, within = B / H, tau * (1.0 - _INSIDE)  # so that T3 admits it after rounding
    if float(singular_values(E)[0]) <= within:
        return E, 0.0
    E, step, momentum = _clipped(E, within), 0.5 / float(np.max(H * H)), 1.0
    ahead, gap = E, np.inf
    for round_ in range(_ROUNDS):
        before, E = E, _clipped(ahead - step * 2.0 * H * (H * ahead - B), within)
        if np.sum((ahead - E) * (E - before)) > 0.0:  # it went uphill: start again
            ahead, momentum = E, 1.0
            continue
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, momentum = E + (momentum - 1.0) / following * (E - before), following
        if round_ % 50 == 0:
            gradient = 2.0 * H * (H * E - B)
            gap = float(np.sum(gradient * E) + tau * np.sum(singular_values(gradient)))
            if gap <= tolerance:
                break
    return E, max(0.0, gap)


def _clipped(E: np.ndarray, tau: float) -> np.ndarray:
    """Return the nearest matrix with singular values up to ``tau``."""
    left, t, right = svd(E)
    nearest: np.ndarray = (left * np.minimum(t, tau)) @ right
    return nearest


def _count(points: int) -> int:
    if int(points) < 1:
        raise ValueError(f"points must be at least 1, got {points}")
    return int(points)
