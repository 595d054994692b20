"""The nearest set for any references: those that depend on each other (T6), and with an unpenalised intercept (T12)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from analytic_dd.arrays import norm
from analytic_dd.distill.box import move_into_box
from analytic_dd.distill.intercept import contrasts, labels_with_intercept
from analytic_dd.distill.nearest import NearestFeatures, nearest_features
from analytic_dd.distill.spanning import spanning_features
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.linalg import pseudo_inverse, thin_svd

__all__ = ["nearest_to_references"]

_RCOND = 1e-10  # combinations of references this small beside the largest would make a condition of 1e10


def nearest_to_references(
    W: np.ndarray,
    Phi_ref: np.ndarray,
    *,
    b: np.ndarray | None = None,
    ridge: float = 0.0,
    labels: np.ndarray | None = None,
    tau: float = 0.0,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> NearestFeatures:
    r"""Build the set nearest to ``Phi_ref`` that is exact for W, or for the model (W, b) with an unpenalised intercept.

    For references of rank r < min(m, p) the infimum of T6 is not attained: a combination of references that vanishes
    takes up a direction of row(W) at no distance, and at no size. Of the sets that keep the dependences of the
    references, which are  Phis = U R  with U (m, r) an orthonormal basis of their column space, T6 for the r
    combinations  U^T Phi_ref  gives the nearest one, at the same distance. Independent references, and r = p, are
    :func:`nearest_features` itself.

    With an intercept and H (m - 1, m) of orthonormal rows, H 1 = 0, the model sees  H Phis  and  H Ys,  so that this
    applies to the references  H Phi_ref,  at the same distance; the mean mu is free for learned labels, and

        Phis = 1 mu^T + H^T [nearest to H Phi_ref],    mu = mean(Phi_ref)                              learned labels
        mu = mean(Phi_ref) + W^+ (mean(Ys) - b - W mean(Phi_ref)),   which needs mean(Ys) - b in range(W)    fixed ones

    Theorem: T6, T6b, Box; T6 applied to U^T Phi_ref, where the field ``theorem`` says how many combinations there are;
    T12 with an intercept.

    Parameters
    ----------
    W : (k, p) array
    Phi_ref : (m, p) array
        With an intercept at least rank W + 1 references.
    b : (k,) array, optional
        The intercept.
    ridge, labels, tau, box
        See :func:`nearest_features`; with fixed labels dependent references are refused there.

    Returns
    -------
    NearestFeatures
        m points, m + 1 with a box.

    Raises
    ------
    InfeasibleError, ShapeError, ValueError
        See :func:`nearest_features`, with r in the place of m, which counts one less with an intercept.

    Notes
    -----
    *Cost.* One SVD of an (m, p) matrix more than there. *Numerics.* Singular values below 1e-10 of the largest count
    as 0.

    Examples
    --------
    >>> W, references = np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 3.0, 0.0], [1.0, 0.0, 0.5], [2.0, 3.0, 0.5]])
    >>> built = nearest_to_references(W, references)  # the third is the sum of the others, and stays it
    >>> built.theorem, bool(np.allclose(built.features[:2].sum(axis=0), built.features[2]))
    ('T6 on 2 combinations of 3 references', True)
    >>> from analytic_dd.ridge import ridge_weights_with_intercept
    >>> W, b, references = np.array([[1.0, 2.0]]), np.array([5.0]), np.array([[3.0, 1.0], [0.0, 1.0]])
    >>> built = nearest_to_references(W, references, b=b)
    >>> model = ridge_weights_with_intercept(built.features, built.labels, ridge=0.0)
    >>> model.weights.round(12), model.intercept.round(12), round(built.distance / built.predicted_distance, 12)
    (array([[1., 2.]]), array([5.]), 1.0)
    >>> nearest_to_references(W, references[:1], b=b)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T12: with an intercept at least rank W + 1 = 2 references are needed, got 1;
    use points=2 or more
    """
    if b is None:
        return _of_combinations(W, Phi_ref, ridge=ridge, labels=labels, tau=tau, box=box)
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
    built = _of_combinations(W, H @ Phi_ref, ridge=ridge, labels=fixed, tau=tau)
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


def _of_combinations(
    W: np.ndarray, Phi_ref: np.ndarray, *, labels: Any, box: Any = None, **given: Any
) -> NearestFeatures:
    """Build the nearest set without an intercept."""
    if not np.any(Phi_ref):
        raise InfeasibleError(
            "T6: references must have features, got references whose features are all 0; take others",
            theorem="T6",
            value=0.0,
            limit=0.0,
        )
    U = None if labels is not None else thin_svd(Phi_ref, rcond=_RCOND).U
    if U is None or U.shape[1] == min(Phi_ref.shape):
        return nearest_features(W, Phi_ref, labels=labels, box=box, **given)
    built = nearest_features(W, U.T @ Phi_ref, tau=given["tau"])
    Phis = U @ built.features if box is None else move_into_box(U @ built.features, *box)
    exact = spanning_features(W, Phis, ridge=given["ridge"], rcond=_RCOND)
    return built.moved_to(
        Phis,
        Phi_ref,
        labels=exact.labels,
        ridge=exact.ridge,
        theorem=f"T6 on {U.shape[1]} combinations of {len(Phi_ref)} references" + ("" if box is None else ", Box"),
        amplification=exact.amplification,
        condition=exact.condition,
        relative_error=exact.relative_error,
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
