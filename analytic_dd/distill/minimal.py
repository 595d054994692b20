"""Learned labels: as few points as the rank of W, and no condition number at all (T4)."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, namespace
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import thin_svd

__all__ = ["minimal_features"]


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

        Phis = scale * Q U^T,   Ys = (scale + ridge / scale) Q U^T W^T

    with U^T orthonormal rows that span row(W) and Q = I, or for more points Q random with orthonormal columns.

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
    *Cost.* One SVD of W, O(k^2 p). *Numerics.* |W_s - W| / |W| is a few eps: nothing is inverted.

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
    analytic_dd.errors.InfeasibleError: T1: 2 points are fewer than rank W = 3; use at least 3, or few_features (T7)
    """
    as_matrix(W, "W")
    ridge = as_ridge(ridge)
    xp = namespace(W)
    spectrum = thin_svd(W, rcond=rcond)
    rank = spectrum.rank
    if not 0.0 < scale < math.inf:
        raise ValueError(f"scale must be finite and > 0, got {scale}; it is the size of a feature vector")
    if rank == 0:
        raise ValueError("W is zero: every set with zero labels is exact, and no direction is distinguished")
    m = rank if points is None else int(points)
    if m < rank:
        raise InfeasibleError(
            f"T1: {m} points are fewer than rank W = {rank}; use at least {rank}, or few_features (T7)",
            theorem="T1",
            value=m,
            limit=rank,
        )
    Phis = scale * spectrum.Vt
    Ys = (scale + ridge / scale) * (spectrum.Vt @ W.T)
    if m > rank:
        if rng is None:
            raise ValueError(
                f"{m} points for rank {rank}: the extra ones are random; pass rng=numpy.random.default_rng(0)"
            )
        Q = np.linalg.qr(rng.standard_normal((m, rank)))[0]
        mix = xp.asarray(Q, dtype=W.dtype, device=getattr(W, "device", None))
        Phis, Ys = mix @ Phis, mix @ Ys
    return DistilledFeatures(Phis, Ys, ridge, theorem="T4", amplification=1.0, condition=1.0)
