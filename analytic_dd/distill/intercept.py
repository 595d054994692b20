"""A distilled set for a model with an unpenalised intercept: one point more (T12)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from analytic_dd.arrays import Array, as_matrix, device_of, namespace
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.errors import ShapeError
from analytic_dd.labels import labels_for

__all__ = ["add_intercept", "contrasts", "labels_with_intercept"]


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
    H = xp.asarray(contrasts(len(distilled) + 1), dtype=W.dtype, device=device_of(W))
    Phis = centre[None, :] + H.T @ distilled.features
    Ys = (b + W @ centre)[None, :] + H.T @ distilled.labels
    return replace(distilled, features=Phis, labels=Ys, theorem=f"T12 on {distilled.theorem}")


def labels_with_intercept(Phis: Array, W: Array, b: Array, *, ridge: float) -> Array:
    r"""Return the labels with which the points ``Phis`` recover the model (W, b) with an unpenalised intercept.

        Ys = 1 (b + W mu)^T + H^T [the labels of T4 for H Phis],    mu = mean(Phis)

    Theorem: T4 with T12.

    Parameters
    ----------
    Phis : (m, p) array
        m >= 2.
    W : (k, p) array
        Its rows must lie in the row space of Phis - 1 mu^T, else they come back projected on it.
    b : (k,) array
    ridge : float

    Examples
    --------
    >>> from analytic_dd.ridge import ridge_weights_with_intercept
    >>> W, b, Phis = np.array([[1.0, 2.0]]), np.array([5.0]), np.array([[1.0, 2.0], [2.0, 4.0]])
    >>> model = ridge_weights_with_intercept(Phis, labels_with_intercept(Phis, W, b, ridge=0.5), ridge=0.5)
    >>> model.weights.round(12), model.intercept.round(12)
    (array([[1., 2.]]), array([5.]))
    """
    xp = namespace(Phis)
    H = xp.asarray(contrasts(Phis.shape[0]), dtype=Phis.dtype, device=device_of(Phis))
    mean = b + W @ xp.mean(Phis, axis=0)
    return mean[None, :] + H.T @ labels_for(H @ Phis, W, ridge=ridge)


def contrasts(m: int) -> np.ndarray:
    """Return Helmert's contrasts (m - 1, m), orthonormal and orthogonal to 1: an entry less the mean of those before.

    Examples
    --------
    >>> contrasts(3).round(3)
    array([[ 0.707, -0.707,  0.   ],
           [ 0.408,  0.408, -0.816]])
    """
    H = np.zeros((m - 1, m))
    for i in range(m - 1):
        H[i, : i + 1] = 1.0 / math.sqrt((i + 1) * (i + 2))
        H[i, i + 1] = -(i + 1) / math.sqrt((i + 1) * (i + 2))
    return H
