"""The nearest set of a model with an unpenalised intercept: no point more, references have a mean (T12)."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import norm
from analytic_dd.distill.box import move_into_box
from analytic_dd.distill.dependent_references import nearest_to_dependent
from analytic_dd.distill.intercept import contrasts, labels_with_intercept
from analytic_dd.distill.nearest import NearestFeatures
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import pseudo_inverse, thin_svd

__all__ = ["nearest_with_intercept"]


def nearest_with_intercept(
    W: np.ndarray,
    Phi_ref: np.ndarray,
    *,
    b: np.ndarray,
    ridge: float = 0.0,
    labels: np.ndarray | None = None,
    tau: float = 0.0,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> NearestFeatures:
    r"""Build the set nearest to ``Phi_ref`` that is exact for the model (W, b) with an unpenalised intercept.

    With H (m - 1, m) of orthonormal rows, H 1 = 0, the model sees  H Phis  and  H Ys,  so that T6 or T6b applies to the
    references  H Phi_ref,  at the same distance; the mean mu is free for learned labels, and

        Phis = 1 mu^T + H^T [nearest to H Phi_ref],    mu = mean(Phi_ref)                              learned labels
        mu = mean(Phi_ref) + W^+ (mean(Ys) - b - W mean(Phi_ref)),   which needs mean(Ys) - b in range(W)    fixed ones

    Theorem: T12 with T6, T6b, Box.

    Parameters
    ----------
    W : (k, p) array
    Phi_ref : (m, p) array
        At least rank W + 1 references.
    b : (k,) array
        The intercept.
    ridge, labels, tau, box
        See :func:`nearest_features`.

    Returns
    -------
    NearestFeatures
        m points, m + 1 with a box.

    Raises
    ------
    InfeasibleError, ShapeError, ValueError
        See :func:`nearest_features`, where m counts one less.

    Examples
    --------
    >>> from analytic_dd.ridge import ridge_weights_with_intercept
    >>> W, b, references = np.array([[1.0, 2.0]]), np.array([5.0]), np.array([[3.0, 1.0], [0.0, 1.0]])
    >>> built = nearest_with_intercept(W, references, b=b)
    >>> model = ridge_weights_with_intercept(built.features, built.labels, ridge=0.0)
    >>> model.weights.round(12), model.intercept.round(12), round(built.distance / built.predicted_distance, 12)
    (array([[1., 2.]]), array([5.]), 1.0)
    >>> nearest_with_intercept(W, references[:1], b=b)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T12: with an intercept at least rank W + 1 = 2 references are needed, got 1;
    use points=2 or more
    """
    m = Phi_ref.shape[0]
    least = thin_svd(W).rank + 1
    if m < max(least, 2):
        raise InfeasibleError(
            f"T12: with an intercept at least rank W + 1 = {least} references are needed, got {m}; use points={least} "
            "or more",
            theorem="T12",
            value=m,
            limit=least,
        )
    H, mean = contrasts(m), Phi_ref.mean(axis=0)
    fixed = None if labels is None else H @ labels
    built = nearest_to_dependent(W, H @ Phi_ref, ridge=ridge, labels=fixed, tau=tau)
    mu = mean if labels is None else mean + _shift(W, labels.mean(axis=0) - b - W @ mean)
    Phis = mu + H.T @ built.features
    moved = math.sqrt(m) * norm(mu - mean)
    if box is not None:
        Phis = move_into_box(Phis, *box)
    return built.moved_to(
        Phis,
        Phi_ref,
        labels=labels_with_intercept(Phis, W, b, ridge=ridge) if labels is None else labels,
        theorem=f"T12 on {built.theorem}" + ("" if box is None else ", Box"),
        predicted_distance=math.hypot(built.predicted_distance, moved),
    )


def _shift(W: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the smallest change of mu that changes W mu by ``wanted``."""
    shift: np.ndarray = pseudo_inverse(W) @ wanted
    missing, size = norm(W @ shift - wanted), norm(wanted)
    if missing > 1e-8 * size:  # labels and intercept of one model sum alike: what is left is rounding, or no model
        raise ShapeError(
            f"mean(labels) - b must lie in the range of W, got a part of {missing / size:.2g} outside; use labels "
            "that sum to what b sums to, or learned labels"
        )
    return shift
