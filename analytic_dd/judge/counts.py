r"""How many points there must be, and how many do (T18c, T22): numbers against which a set's size is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its special functions are loaded where they are used

from analytic_dd.arrays import Array, as_matrix, as_ridge, norm

__all__ = ["PointBounds", "lambert_count", "point_bounds"]


@dataclass(frozen=True)
class PointBounds:
    """Counts of points with learned labels for a map from d inputs to p features and weights of rank q.

    Attributes
    ----------
    necessary : int
        T22a: max(q, ceil(q p / (d + q))). Fewer points of any smooth map miss almost every W.
    open_set : int
        T22a: the least m >= q with m + floor(m / q) d >= p. So many reach an open set of W for act(A x) with an
        analytic activation that is no polynomial, and almost every A.
    every_W : int
        So many reach *every* W of such a map: the least of s (q + 1) near-copies (T22b), s = ceil(p / (d + 1)), twice
        ``open_set`` (T22c), and p points that span all features (T10).
    base_inputs : int
        s of T22b.
    at_a_zero : int
        T22d: points near some with C_0 phi(X_0) = 0 carry every W where the differential there is onto, which needs
        so many, max(q + 1, ceil(q (p + q) / (d + q))); whether so many do is certified for a given map.
    """

    necessary: int
    open_set: int
    every_W: int
    base_inputs: int
    at_a_zero: int


def point_bounds(p: int, d: int, q: int) -> PointBounds:
    r"""Return how many points are necessary, reach an open set of W, reach every W.

        necessary = max(q, ceil(q p / (d + q)))
        open_set  = min { m >= q : m + floor(m / q) d >= p }
        every_W   = min { s (q + 1), 2 open_set, p },   s = ceil(p / (d + 1))
        at_a_zero = max(q + 1, ceil(q (p + q) / (d + q)))

    Theorem: T22a, T22b, T22c, T22d.

    Parameters
    ----------
    p, d : int
        Numbers of features and of inputs.
    q : int
        Rank of the weights, 1 .. p.

    Raises
    ------
    ValueError
        Numbers below 1; q > p.

    Notes
    -----
    The necessary count holds for every continuously differentiable map; the other two for almost every map of the named
    kind. A map that is onto has ``every_W`` = q (T2), which these numbers do not know of.

    Examples
    --------
    >>> point_bounds(4096, 784, 9)
    PointBounds(necessary=47, open_set=54, every_W=60, base_inputs=6, at_a_zero=47)
    >>> point_bounds(5, 3, 6)
    Traceback (most recent call last):
        ...
    ValueError: the rank q of weights with p = 5 features must be in 1 .. 5, got 6
    """
    p, d, q = int(p), int(d), int(q)
    if p < 1 or d < 1:
        raise ValueError(f"numbers of features and inputs must be at least 1, got p = {p}, d = {d}")
    if not 1 <= q <= p:
        raise ValueError(f"the rank q of weights with p = {p} features must be in 1 .. {p}, got {q}")
    necessary = max(q, -(-q * p // (d + q)))
    s = -(-p // (d + 1))
    open_set = next(m for m in range(q, p * q + q + 1) if m + (m // q) * d >= p)
    at_a_zero = max(q + 1, -(-q * (p + q) // (d + q)))
    return PointBounds(necessary, open_set, min(s * (q + 1), 2 * open_set, max(p, q)), s, at_a_zero)


def lambert_count(W: Array, *, ridge: float) -> int:
    r"""Return the least number of points whose softmax labels can be probabilities.

        m >= ridge |W|^2 / w((k - 1) / e),   w Lambert's function, w e^w = (k - 1) / e

    At W the gradient vanishes, so ridge |W|^2 = sum_i (y_i - mu_i).z_i over the points; and no label y in the simplex
    has (y - mu(z)).z above w((k - 1) / e), which logits (t, 0, ..., 0) and a one-hot label reach.

    Theorem: T18c.

    Parameters
    ----------
    W : (k, p) array
        Weights of a softmax model, k >= 2.
    ridge : float

    Examples
    --------
    >>> W = 4.0 * (np.eye(3) - 1.0 / 3.0)
    >>> lambert_count(W, ridge=0.1)
    7
    """
    as_matrix(W, "W")
    k = int(W.shape[0])
    if k < 2:
        raise ValueError(f"softmax needs at least two classes, got k = {k}")
    most = float(np.real(scipy.special.lambertw((k - 1) / math.e)))
    needed = as_ridge(ridge) * norm(W) ** 2 / most
    return max(1, math.ceil(needed * (1.0 - 64.0 * 2.0**-52)))  # a count that is reached exactly is not one too few
