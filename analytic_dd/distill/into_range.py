"""Pre-images of features that are near those of real samples, scaled no more than the range of the map asks for."""

from __future__ import annotations

import contextlib

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.errors import InfeasibleError, RangeError
from analytic_dd.features import FeatureMap
from analytic_dd.features.ranges import Affine, Circles, Range

__all__ = ["into_range"]


def into_range(
    feature_map: FeatureMap, Phis: np.ndarray, near: np.ndarray | None, *, by_rows: bool
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return inputs X and factors c (m,) with  phi(X) = diag(c) Phis,  c = 1 wherever the range allows it.

    Learned labels may follow, so that rows can be scaled one by one: diag(c) Phis has the row space of Phis (T4), and
    only the rows outside the range move. Fixed labels, and models with an intercept, need one c for all (T4').

    Theorem: T4', T8. Features B x + c whose range leaves out 0 lie on a plane  e . phi = 1  (T8e): there c_i = 1 / (e .
    phi_i).

    Parameters
    ----------
    feature_map : FeatureMap
    Phis : (m, p) array
    near : (m, d) array or None
        The references: pre-images near them are taken.
    by_rows : bool
        Whether rows may be scaled one by one.

    Returns
    -------
    X : (m, d) array
    c : (m,) array

    Raises
    ------
    InfeasibleError
        The range is a product of circles, or an affine plane that one factor does not reach.
    RangeError
        The map has no pre-image that far from the references, and no scaling helps.

    Notes
    -----
    *Cost.* A pre-image of every row, and where some are outside, a check of each row.

    Examples
    --------
    >>> from analytic_dd.features import RandomFourier
    >>> phi = RandomFourier(3, 2, lengthscale=1.0, rng=0)  # |phi_i| <= 1
    >>> X, c = into_range(phi, np.array([[0.5, -0.5], [2.0, 1.0]]), None, by_rows=True)
    >>> c.round(12), np.allclose(phi(X), [[0.5, -0.5], [1.0, 0.5]])
    (array([1. , 0.5]), True)
    >>> into_range(RandomFourier(3, 4, lengthscale=1.0, rng=0, form="sincos"), np.ones((1, 4)), None, by_rows=True)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T8a: sin/cos features lie on circles, which no point near a reference need be
    on; use form='cos', or learned labels without references
    """
    reached = feature_map.range
    if isinstance(reached, Circles):
        raise InfeasibleError(
            "T8a: sin/cos features lie on circles, which no point near a reference need be on; use form='cos', or "
            "learned labels without references",
            theorem="T8a",
            value=0.0,
            limit=1.0,
        )
    c = _plane_factors(reached, Phis, by_rows=by_rows)
    scaled = c[:, None] * Phis
    try:
        if feature_map.in_range(scaled):
            return feature_map.preimage(scaled, near=near), c
    except InfeasibleError as error:  # no pre-images in general: near the references there may be some
        return _locally(feature_map, scaled, near, error), c
    if near is not None:
        with contextlib.suppress(InfeasibleError, RangeError):
            return feature_map.local_preimage(scaled, near=near), c
    rows = [scaled[i : i + 1] for i in range(len(scaled))] if by_rows else [scaled]
    found = [1.0 if feature_map.in_range(row) else feature_map.scale_into_range(row) for row in rows]
    c = c * np.broadcast_to(found, len(c))
    return feature_map.preimage(c[:, None] * Phis, near=near), c


def _plane_factors(reached: Range, Phis: np.ndarray, *, by_rows: bool) -> np.ndarray:
    if not isinstance(reached, Affine):
        return np.ones(len(Phis))
    if not by_rows:
        raise InfeasibleError(
            "T8e: features B x + c whose range leaves out 0 have nearest sets for learned labels, without an "
            "intercept; use labels='learned'",
            theorem="T8e",
            value=0.0,
            limit=1.0,
        )
    return np.asarray(1.0 / (Phis @ reached.direction))


def _locally(feature_map: FeatureMap, Phis: np.ndarray, near: np.ndarray | None, refusal: InfeasibleError) -> Array:
    """Pre-images near the references of a map that has none in general; ``refusal`` is what it says to that."""
    if near is None:
        raise refusal
    try:
        return feature_map.local_preimage(Phis, near=near)
    except InfeasibleError:
        raise refusal from None
    except RangeError as error:
        raise RangeError(
            f"the nearest features must lie in the range of the map near those of the references: {error}, by "
            "more references, or use mode='one-image'"
        ) from error
