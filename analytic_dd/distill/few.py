"""Fewer points than rank W: not exact, but as near as any set of that size and any labels can be (T7)."""

from __future__ import annotations

from analytic_dd.arrays import Array, as_matrices, as_matrix, namespace, norm
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import thin_svd

__all__ = ["few_features"]


def few_features(W: Array, m: int, *, metric: Array | None = None) -> DistilledFeatures:
    r"""Build the best set of ``m`` points:  min |(W_s - W) S^(1/2)| over all features and labels.

        U = leading m eigenvectors of W S W^T,   Ys = U^T,   Phis = ((U^T W)^+)^T,   ridge 0,
        W_s = U U^T W,   error^2 = sum of the other eigenvalues.

    Theorem: T7.

    Parameters
    ----------
    W : (k, p) array
    m : int
        Number of points, 1 to k.
    metric : (p, p) array, optional
        S, positive semi-definite; I by default. With S = Phi^T Phi the error is that of the predictions on the data;
        with S = Phi^T Phi + ridge I the result is reduced-rank ridge regression.

    Returns
    -------
    DistilledFeatures
        ``relative_error`` is |(W_s - W) S^(1/2)| / |W S^(1/2)|, the optimum.

    Raises
    ------
    ShapeError, ValueError
        ``m`` outside 1 .. k; a metric of another size.

    Notes
    -----
    *Cost.* O(k p^2) for the metric, O(k^3 + k^2 p) otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> distilled = few_features(np.diag([3.0, 4.0]), 1)  # keeps the direction of weight 4
    >>> distilled.labels.round(12) ** 2, round(distilled.relative_error, 12)
    (array([[0., 1.]]), 0.6)
    """
    as_matrix(W, "W")
    k, p = W.shape
    if not 1 <= m <= k:
        raise ShapeError(f"m must lie in 1 .. {k}, the number of rows of W, got {m}")
    S = metric
    if S is not None:
        as_matrix(S, "metric", rows=p, columns=p)
        W, S = as_matrices(W=W, metric=S)
    U, s = _leading(W, S)
    target = thin_svd(U[:, :m].T @ W)
    Phis = (target.U / target.s) @ target.Vt
    total = norm(s)
    lost = norm(s[m:]) / total if total > 0.0 and m < s.shape[0] else 0.0
    return DistilledFeatures(Phis, U[:, :m].T, 0.0, "T7", target.condition, target.condition, relative_error=lost)


def _leading(W: Array, S: Array | None) -> tuple[Array, Array]:
    """Eigenvectors of W S W^T, leading first, with the square roots of the eigenvalues."""
    xp = namespace(W)
    if S is None:
        U, s, _ = xp.linalg.svd(W, full_matrices=W.shape[0] > W.shape[1])  # no product is squared
        return U, s
    S_product = W @ S @ W.T
    values, vectors = xp.linalg.eigh((S_product + S_product.T) / 2.0)
    values = xp.flip(values, axis=0)
    return xp.flip(vectors, axis=1), xp.sqrt(xp.where(values > 0.0, values, 0.0 * values))
