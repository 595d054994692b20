"""The nearest set for references that depend on each other: more of them than the dimensions in which they vary."""

from __future__ import annotations

import numpy as np

from analytic_dd.distill.box import move_into_box
from analytic_dd.distill.nearest import NearestFeatures, nearest_features
from analytic_dd.distill.spanning import spanning_features
from analytic_dd.errors import InfeasibleError
from analytic_dd.linalg import thin_svd

__all__ = ["nearest_to_dependent"]

_RCOND = 1e-10  # combinations of references this small beside the largest would make a condition of 1e10


def nearest_to_dependent(
    W: np.ndarray,
    Phi_ref: np.ndarray,
    *,
    ridge: float = 0.0,
    labels: np.ndarray | None = None,
    tau: float = 0.0,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> NearestFeatures:
    r"""Build the nearest set, of rank r at most for references of rank r < min(m, p).

    The infimum of T6 is not attained there: a combination of references that vanishes takes up a direction of row(W)
    at no distance, and at no size. Of the sets that keep the dependences of the references, which are  Phis = U R  with
    U (m, r) an orthonormal basis of their column space, T6 for the r combinations  U^T Phi_ref  gives the nearest one,
    at the same distance. Independent references, and r = p, are :func:`nearest_features` itself.

    Theorem: T6, applied to U^T Phi_ref; the field ``theorem`` says how many combinations there are.

    Parameters
    ----------
    W : (k, p) array
    Phi_ref : (m, p) array
    ridge, labels, tau, box
        See :func:`nearest_features`; with fixed labels dependent references are refused there.

    Returns
    -------
    NearestFeatures

    Raises
    ------
    InfeasibleError, ShapeError, ValueError
        See :func:`nearest_features`, with r in the place of m.

    Notes
    -----
    *Cost.* One SVD of an (m, p) matrix more. *Numerics.* Singular values below 1e-10 of the largest count as 0.

    Examples
    --------
    >>> W, references = np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 3.0, 0.0], [1.0, 0.0, 0.5], [2.0, 3.0, 0.5]])
    >>> built = nearest_to_dependent(W, references)  # the third is the sum of the others, and stays it
    >>> built.theorem, bool(np.allclose(built.features[:2].sum(axis=0), built.features[2]))
    ('T6 on 2 combinations of 3 references', True)
    >>> nearest_to_dependent(np.eye(2, 3), references[:2] * [[1.0], [0.0]])
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T1: 1 references are fewer than rank W = 2; take 2 references or more, or
    few_features (T7)
    """
    if not np.any(Phi_ref):
        raise InfeasibleError(
            "T6: references must have features, got references whose features are all 0; take others",
            theorem="T6",
            value=0.0,
            limit=0.0,
        )
    U = None if labels is not None else thin_svd(Phi_ref, rcond=_RCOND).U
    if U is None or U.shape[1] == min(Phi_ref.shape):
        return nearest_features(W, Phi_ref, ridge=ridge, labels=labels, tau=tau, box=box)
    built = nearest_features(W, U.T @ Phi_ref, tau=tau)
    Phis = U @ built.features if box is None else move_into_box(U @ built.features, *box)
    exact = spanning_features(W, Phis, ridge=ridge, rcond=_RCOND)
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
