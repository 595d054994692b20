r"""Affine features phi(x) = B x + c of fewer than p dimensions: deep linear networks with biases, their NTK (T8e).

Let c_perp be the part of c outside range(B), and e = c_perp / |c_perp|^2, so that B^T e = 0 and e.c = 1. A feature
matrix is realisable iff its rows lie in span(B, c) and  Phis e = 1.

Fixed labels, ridge 0. Phis = (D^+)^T for a target with Ys^T D = W (T1). If 1 is in range(D) and D^T 1 = e, then
Phis e = (D D^+)^T 1 = 1. With v = (I - Ys Ys^+) 1, which is not 0 iff 1 is no combination of the columns of Ys,

    D = M + v (e - M^T 1)^T / (v.v),    M = (Ys^T)^+ W

has both. Hence k + 1 points: labels [I; 0]. Plain one-hot labels sum to 1 in each row: v = 0 and D^T 1 = W^T 1. That
is e when the original model has one-hot labels and ridge 0 (it fits the constant 1), and k points will do; for an
original ridge > 0 it is not, and no number of points will do.

Learned labels, any ridge. Any points whose features span row(W) will do (T4). With P the projector on row(W):
if P e != 0, rank W points  f + simplex in row(W),  f = P e / |P e|^2  (f.e = 1);  else one more, f = e / |e|^2.
"""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_ridge, device_of, eps_of, namespace, norm, normal_like
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.exact import distill_features, target
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.features.ranges import affine_direction
from analytic_dd.labels import labels_for
from analytic_dd.linalg import outside, svd, thin_svd

_FIT_ROUNDING = 1e-10  # relative; what a fit of condition 1e5 leaves of W^T 1 = e

__all__ = ["affine_features", "affine_minimal_features"]


def affine_features(
    W: Array, Ys: Array, B: Array, c: Array, *, rng: np.random.Generator | None = None
) -> DistilledFeatures:
    r"""Build an exact set of affine features for fixed labels, at ridge 0.

        D = (Ys^T)^+ W + v (e - M^T 1)^T / (v.v) + Z,    Phis = (D^+)^T

    Theorem: T8e. k + 1 points suffice, with labels [I; 0]; k points with fixed labels do not, generically.

    Parameters
    ----------
    W : (k, p) array
        Weights of a model on these features: rows in span(B, c).
    Ys : (m, k) array
        Labels; 1 must not be a combination of their columns (append a row of zeros to one-hot labels).
    B, c : (p, d), (p,) arrays
        The map, from its range (:class:`features.ranges.Affine`).
    rng : numpy.random.Generator, optional
        Draws the free matrix where m > k + 1; without it the rows of one class coincide.

    Returns
    -------
    DistilledFeatures

    Raises
    ------
    InfeasibleError
        T8e: 1 is in the column space of Ys (always so for one-hot rows), or e is in row(W); T1: W is not reachable.

    Notes
    -----
    *Cost.* An SVD of B and one of an (m, p) matrix. *Numerics.* amplification = cond(D). Where W^T 1 = e up to the
    rounding of the fit (1e-10), the points are put on the plane, and the recovered W differs by that rounding.

    Examples
    --------
    >>> B, c = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 0.0, 2.0])
    >>> W = np.array([[1.0, 2.0, 0.5]])
    >>> distilled = affine_features(W, np.array([[1.0], [0.0]]), B, c)
    >>> distilled.features[:, 2].round(12)  # both points are on the plane that B x + c reaches
    array([2., 2.])
    >>> affine_features(W, np.array([[1.0]]), B, c)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T8e: 1 must not be a combination of the columns of Ys (one-hot rows sum to 1);
    append a row of zeros (k + 1 points), or use learned labels
    """
    W, Ys, B = as_matrices(W=W, Ys=Ys, B=B)
    if W.shape[1] != B.shape[0] or c.shape != (B.shape[0],):
        shapes = f"{tuple(W.shape)}, {tuple(B.shape)}, {tuple(c.shape)}"
        raise ShapeError(f"W (k, p), B (p, d), c (p,) do not fit: {shapes}")
    e = affine_direction(B, c)
    if e is None:
        return distill_features(W, Ys)
    xp = namespace(W)
    M = target(W, Ys)
    one = xp.ones((Ys.shape[0],), dtype=W.dtype, device=device_of(W))
    v = outside(thin_svd(Ys).U, one)
    size = float(xp.sum(v * v))
    limit = 100.0 * max(Ys.shape) * eps_of(W)
    if math.sqrt(size / Ys.shape[0]) > limit:
        _require_outside(W, e, limit)
        correction = v[:, None] * ((e - M.T @ one) / size)[None, :]
    elif norm((M.T @ one - e)[None, :]) <= _FIT_ROUNDING * norm(e[None, :]):
        correction = one[:, None] * ((e - M.T @ one) / Ys.shape[0])[None, :]
    else:
        raise InfeasibleError(
            "T8e: 1 must not be a combination of the columns of Ys (one-hot rows sum to 1); append a row of zeros "
            "(k + 1 points), or use learned labels",
            theorem="T8e",
            value=math.sqrt(size),
            limit=limit,
        )
    Z = xp.zeros_like(M) if rng is None else _free(W, Ys, B, c, e, v, rng)
    built = distill_features(Ys.T @ (M + correction), Ys, free=correction + Z)  # Ys^T correction = 0 but for rounding
    return DistilledFeatures(
        features=_in_range(built.features, B, c, built.amplification),
        labels=built.labels,
        ridge=0.0,
        theorem="T8e",
        amplification=built.amplification,
        condition=built.condition,
        ridge_limit=0.0,
    )


def affine_minimal_features(W: Array, B: Array, c: Array, *, ridge: float = 0.0) -> DistilledFeatures:
    r"""Build an exact set of affine features with learned labels: rank W points, or one more where W e = 0.

        Phis = 1 f^T + |f| sqrt(m) S R,    S (m, m - 1) a simplex about 0,   R orthonormal rows orthogonal to f

    Theorem: T8e with T4; any ridge.

    Parameters
    ----------
    W : (k, p) array
        Rows in span(B, c), not zero.
    B, c : (p, d), (p,) arrays
    ridge : float
        lambda_s >= 0, absolute.

    Returns
    -------
    DistilledFeatures
        All singular values of the features are equal: condition 1.

    Raises
    ------
    ValueError
        c lies in range(B): the features are not constrained.
    InfeasibleError
        T8e: the rows of W are not in span(B, c).

    Examples
    --------
    >>> B, c = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 0.0, 2.0])
    >>> len(affine_minimal_features(np.array([[1.0, 2.0, 0.5]]), B, c))  # W e = 0.25
    1
    >>> len(affine_minimal_features(np.array([[1.0, 2.0, 0.0]]), B, c))  # W e = 0
    2
    """
    W, B = as_matrices(W=W, B=B)
    ridge = as_ridge(ridge)
    e = affine_direction(B, c)
    if e is None:
        raise ValueError("c lies in range(B), so the features are not constrained; use minimal_features (T4)")
    xp = namespace(W)
    spectrum = thin_svd(W)
    basis = spectrum.Vt
    inside = basis.T @ (basis @ e)
    seen = float(xp.sum(inside * inside))  # |P e|^2 = e . P e
    # Below this cosine the points would be 1e6 times farther out than one further point puts them
    if math.sqrt(seen) > 1e-6 * norm(e[None, :]):
        f = inside / seen
        rest = _complement(basis, f)
    else:
        e = outside(basis.T, e)
        f = e / float(xp.sum(e * e))
        rest = basis
    m = int(rest.shape[0]) + 1
    S = xp.asarray(_simplex(m), dtype=W.dtype, device=device_of(W))
    # A direction of W carries the rounding of W over its singular value
    Phis = _in_range(f[None, :] + norm(f[None, :]) * math.sqrt(m) * (S @ rest), B, c, spectrum.condition)
    Ys = labels_for(Phis, W, ridge=ridge)
    return DistilledFeatures(Phis, Ys, ridge, theorem="T8e", amplification=1.0, condition=1.0)


def _require_outside(W: Array, e: Array, limit: float) -> None:
    """e is not in row(W), or the k + 1 rows of D would have rank k."""
    part = norm(outside(thin_svd(W).Vt.T, e)[None, :]) / norm(e[None, :])
    if part <= limit:
        raise InfeasibleError(
            f"T8e: e must not lie in row(W), its part outside is {part:.1e} (as for one-hot labels and ridge 0); "
            "use plain one-hot labels, k points, or learned labels",
            theorem="T8e",
            value=part,
            limit=limit,
        )


def _in_range(Phis: Array, B: Array, c: Array, amplification: float) -> Array:
    """Take the rounding outside c + range(B) away; more than rounding means that the rank of D hides 1."""
    U = thin_svd(B).U
    realisable = c + ((Phis - c) @ U) @ U.T
    error = norm(realisable - Phis) / norm(Phis)
    limit = 1e4 * eps_of(Phis) * max(Phis.shape) * amplification
    if error <= limit:
        return realisable
    raise InfeasibleError(
        f"T8e: the points leave the range by {error:.1e}: W is not in span(B, c), or has a lower rank than Ys; project "
        "the weights on the range, and use labels of rank W or learned labels",
        theorem="T8e",
        value=error,
        limit=limit,
    )


def _free(W: Array, Ys: Array, B: Array, c: Array, e: Array, v: Array, rng: np.random.Generator) -> Array:
    """Z with Ys^T Z = 0, 1^T Z = 0 and rows in span(B, c) orthogonal to row(W) and e; of the middle size of M."""
    xp = namespace(W)
    left = thin_svd(xp.concat([Ys, v[:, None]], axis=1)).U
    span = thin_svd(xp.concat([B, c[:, None]], axis=1)).U
    taken = thin_svd(xp.concat([W, e[None, :]], axis=0) @ span).Vt  # in coordinates of the span, never outside it
    free = min(Ys.shape[0] - left.shape[1], span.shape[1] - taken.shape[0])
    if free <= 0:
        return xp.zeros((Ys.shape[0], W.shape[1]), dtype=W.dtype, device=device_of(W))
    Q1 = xp.linalg.qr(outside(left, normal_like(W, Ys.shape[0], free, rng)), mode="reduced")[0]
    Q2 = span @ xp.linalg.qr(outside(taken.T, normal_like(W, span.shape[1], free, rng)), mode="reduced")[0]
    spectrum = thin_svd(target(W, Ys))
    return math.sqrt(spectrum.largest * spectrum.smallest) * (Q1 @ Q2.T)


def _complement(basis: Array, f: Array) -> Array:
    """Orthonormal rows that span the part of the row space of ``basis`` orthogonal to f (which lies in it)."""
    coordinates = basis @ f
    full = svd(coordinates[None, :], full=True)[2]
    return full[1:, :] @ basis


def _simplex(m: int) -> np.ndarray:
    """Return rows (m, m - 1) with S^T S = I and 1^T S = 0: equal singular values beside the constant row."""
    if m == 1:
        return np.zeros((1, 0))
    return np.linalg.qr(np.eye(m) - 1.0 / m)[0][:, : m - 1]
