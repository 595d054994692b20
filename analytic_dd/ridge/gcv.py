"""Generalised cross-validation from a spectrum, of sums or of inner products (T13)."""

from __future__ import annotations

import numpy as np

__all__ = ["gcv_scores"]


def gcv_scores(
    values: np.ndarray,
    energy: np.ndarray,
    unexplained: float,
    ridges: np.ndarray,
    *,
    n: float,
    free: float,
    k: int,
    interpolates: bool = False,
) -> np.ndarray:
    r"""Return  n |Y - H Y|^2 / (n - trace H)^2 / k  for each ridge (L,);  an intercept adds 1 1^T / n to H.

    With Phi = U s V^T:  Y - H Y  is  ridge / (s_i^2 + ridge)  times Y along u_i, and all of Y outside of the range of
    Phi, which is common to all ridges. A sum of squares, so a small score is not a difference of large numbers.

    Theorem: T13.

    Parameters
    ----------
    values, energy : (r,) arrays
        s_i^2 > 0, and |u_i^T Y|^2.
    unexplained : float
        |Y|^2 outside of the range of Phi.
    ridges : (L,) array
    n : float
        Sum of the sample weights.
    free : float
        n - r, less 1 with an intercept.
    k : int
    interpolates : bool
        Whether W fits all labels at ridge 0, as rows of full rank show and sums do not: ``free`` and ``unexplained``
        are exactly 0.

    Returns
    -------
    (L,) array
        NaN where n - trace H is rounding: the ridge is too small for its score to be known.
    """
    shrunk = ridges[:, None] / (values + ridges[:, None])
    if interpolates and len(values):  # a common factor cancels; the square of a ridge of 1e-300 would underflow
        shrunk = shrunk / shrunk.max(axis=1)[:, None]
    left = free + shrunk.sum(axis=1)
    left = np.where(left > n * np.finfo(np.float64).eps, left, np.nan)
    return np.asarray(n * (unexplained + (shrunk**2) @ energy) / left**2 / k)
