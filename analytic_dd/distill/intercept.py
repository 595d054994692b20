"""A distilled set for a model with an unpenalised intercept: one point more (T12)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from analytic_dd.arrays import Array, as_matrix, namespace
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.errors import ShapeError

__all__ = ["add_intercept"]


def add_intercept(distilled: DistilledFeatures, W: Array, b: Array, *, centre: Array) -> DistilledFeatures:
    r"""Turn m points that are exact for W without an intercept into m + 1 points that are exact for (W, b) with one.

        H (m, m + 1) with orthonormal rows and H 1 = 0:
        Phis = 1 mu^T + H^T Phi_m,     Ys = 1 (b + W mu)^T + H^T Y_m

    Theorem: T12.

    Parameters
    ----------
    distilled : DistilledFeatures
        An exact set for ``W``, any labels and ridge.
    W : (k, p) array
    b : (k,) array
        Intercept to reproduce.
    centre : (p,) array
        mu, the mean of the new features; free, the mean of the data is a natural choice.

    Returns
    -------
    DistilledFeatures
        m + 1 points; amplification and condition are those of the m points about their mean.

    Examples
    --------
    >>> from analytic_dd.distill import distill_features
    >>> from analytic_dd.ridge import ridge_weights_with_intercept
    >>> W, b, mu = np.array([[1.0, 2.0]]), np.array([5.0]), np.array([1.0, 1.0])
    >>> distilled = add_intercept(distill_features(W, np.eye(1)), W, b, centre=mu)
    >>> model = ridge_weights_with_intercept(distilled.features, distilled.labels, ridge=0.0)
    >>> len(distilled), model.weights.round(12), model.intercept.round(12)
    (2, array([[1., 2.]]), array([5.]))
    """
    as_matrix(W, "W")
    xp = namespace(W)
    if b.shape != (W.shape[0],) or centre.shape != (W.shape[1],):
        raise ShapeError(
            f"b and centre must have shapes {(W.shape[0],)} and {(W.shape[1],)}, "
            f"got {tuple(b.shape)} and {tuple(centre.shape)}"
        )
    H = xp.asarray(_contrasts(len(distilled)), dtype=W.dtype, device=getattr(W, "device", None))
    Phis = centre[None, :] + H.T @ distilled.features
    Ys = (b + W @ centre)[None, :] + H.T @ distilled.labels
    return replace(distilled, features=Phis, labels=Ys, theorem=f"T12 on {distilled.theorem}")


def _contrasts(m: int) -> np.ndarray:
    """Helmert contrasts (m, m + 1): row i compares entry i + 1 with the mean of those before it."""
    H = np.zeros((m, m + 1))
    for i in range(m):
        H[i, : i + 1] = 1.0 / math.sqrt((i + 1) * (i + 2))
        H[i, i + 1] = -(i + 1) / math.sqrt((i + 1) * (i + 2))
    return H
