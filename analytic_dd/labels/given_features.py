"""Labels that make given features exact (T4), and the scaling that makes a ridge feasible (T4')."""

from __future__ import annotations

import math
from typing import cast

from analytic_dd.arrays import Array, ArrayT, as_matrices, as_ridge, device_of, namespace, norm
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import thin_svd

__all__ = ["feasible_scale", "labels_for", "scale_to_feasible"]


def labels_for(Phis: ArrayT, W: ArrayT, *, ridge: float, rcond: float | None = None) -> ArrayT:
    r"""Return the labels with which the points ``Phis`` recover ``W`` as nearly as any labels can.

        Ys = (Phis + ridge (Phis^+)^T) W^T         (ridge = 0: Phis W^T, the model's own predictions)

    The refitted weights are then ``W Phis^+ Phis``: exactly W iff row(W) lies in the row space of Phis, else with error
    ``|W (I - Phis^+ Phis)|``, for any ridge >= 0.

    Theorem: T4.

    Parameters
    ----------
    Phis : (m, p) array
        Features of the points.
    W : (k, p) array
        Weights to reproduce.
    ridge : float
        lambda_s >= 0, absolute.
    rcond : float, optional
        Relative rank cut-off for Phis.

    Returns
    -------
    (m, k) array

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit, integers, NaN, a negative ridge.

    Notes
    -----
    *Cost.* One product at ridge = 0, else a thin SVD of Phis. *Numerics.* Error of the refitted W: eps * cond(Phis).

    Examples
    --------
    >>> import numpy as np
    >>> labels_for(np.array([[2.0, 0.0]]), np.array([[3.0, 0.0]]), ridge=1.0)  # (2 + 1/2) * 3
    array([[7.5]])
    """
    Phis, W = as_matrices(Phis=Phis, W=W)
    ridge = as_ridge(ridge)
    if Phis.shape[1] != W.shape[1]:
        raise ShapeError(f"Phis and W must have the same number of columns, got {Phis.shape[1]} and {W.shape[1]}")
    Ys = Phis @ W.T
    if ridge > 0.0:
        spectrum = thin_svd(Phis, rcond=rcond)
        Ys = Ys + ridge * ((spectrum.U / spectrum.s) @ (spectrum.Vt @ W.T))
    return cast(ArrayT, Ys)


def feasible_scale(Ys: Array, W: Array, *, ridge: float, margin: float = 2.0) -> float:
    r"""Return the factor c >= 1 on the labels that makes ``ridge`` admissible in T3: 1 where it already is.

        c = 2 sqrt(ridge * margin) |(Ys^T)^+ W|_2,   so that c^2 / (4 |D|_2^2) = margin * ridge

    Theorem: T4' ((c Phi, c Y, c^2 ridge) has the same W).

    Parameters
    ----------
    Ys : (m, k) array
    W : (k, p) array
    ridge : float
        The ridge that is wanted for the distilled set.
    margin : float
        How far below the limit the ridge is to lie, >= 1. At 1 the two roots meet and the features are accurate
        to sqrt(eps) only.

    Examples
    --------
    >>> import numpy as np
    >>> feasible_scale(np.eye(1), np.array([[3.0]]), ridge=1.0, margin=1.0)  # the limit is 1 / (4 * 9)
    6.0
    """
    Ys, W = as_matrices(Ys=Ys, W=W)
    if Ys.shape[1] != W.shape[0]:
        raise ShapeError(f"Ys must have as many columns as W has rows, got {Ys.shape[1]} and {W.shape[0]}")
    if not (math.isfinite(margin) and margin >= 1.0):
        raise ValueError(f"margin must be at least 1, got {margin}")
    labels = thin_svd(Ys)
    D = (labels.U / labels.s) @ (labels.Vt @ W)
    largest = thin_svd(D).largest if norm(D) > 0.0 else 0.0
    limit = 2.0 * math.sqrt(as_ridge(ridge)) * largest
    return limit * math.sqrt(margin) if limit > 1.0 else 1.0


def scale_to_feasible(Ys: Array, W: Array, *, ridge: float, margin: float = 2.0) -> Array:
    """Return ``feasible_scale(...) * Ys``: labels for which T3 admits ``ridge``.

    Theorem: T4'. Parameters and errors: :func:`feasible_scale`.

    Examples
    --------
    >>> import numpy as np
    >>> scale_to_feasible(np.eye(1), np.array([[3.0]]), ridge=1.0, margin=1.0)
    array([[6.]])
    """
    c = feasible_scale(Ys, W, ridge=ridge, margin=margin)
    xp = namespace(Ys)
    return Ys * xp.asarray(c, dtype=Ys.dtype, device=device_of(Ys))
