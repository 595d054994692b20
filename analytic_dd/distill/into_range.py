"""Pre-images of features that are near those of real samples, scaled no more than the range of the map asks for."""

from __future__ import annotations

import numpy as np

from analytic_dd.distill.affine import affine_direction
from analytic_dd.distill.distilled import InvertibleMap
from analytic_dd.errors import InfeasibleError, RangeError

__all__ = ["into_range"]


def into_range(
    feature_map: InvertibleMap, Phis: np.ndarray, near: np.ndarray | None, *, by_rows: bool
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return inputs X and factors c (m,) with  phi(X) = diag(c) Phis,  c = 1 wherever the range allows it.

    Learned labels may follow, so that rows can be scaled one by one: diag(c) Phis has the row space of Phis (T4), and
    only the rows outside the range move. Fixed labels, and models with an intercept, need one c for all (T4').

    Theorem: T4', T8. Features B x + c whose range leaves out 0 lie on a plane  e . phi = 1  (T8e): there c_i = 1 / (e .
    phi_i).

    Parameters
    ----------
    feature_map : InvertibleMap
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
    on; use form cos, or mode exact with learned labels
    """
    if getattr(feature_map, "form", None) == "sincos":
        raise InfeasibleError(
            "T8a: sin/cos features lie on circles, which no point near a reference need be on; use form cos, or mode "
            "exact with learned labels",
            theorem="T8a",
            value=0.0,
            limit=1.0,
        )
    c = _plane_factors(feature_map, Phis, by_rows=by_rows)
    scaled = c[:, None] * Phis
    inside = _inside(feature_map, scaled)
    if inside:
        return feature_map.preimage(scaled, near=near), c
    local = getattr(feature_map, "local_preimage", None)
    if local is not None and near is not None:
        try:
            return local(scaled, near=near), c
        except RangeError as error:
            if inside is None:
                raise RangeError(
                    f"the nearest features must lie in the range of the map near those of the references: {error}, by "
                    "more references, or use mode 'one-image'"
                ) from error
    rows = [scaled[i : i + 1] for i in range(len(scaled))] if by_rows else [scaled]
    found = [1.0 if _inside(feature_map, row) else feature_map.scale_into_range(row) for row in rows]
    c = c * np.broadcast_to(found, len(c))
    return feature_map.preimage(c[:, None] * Phis, near=near), c


def _plane_factors(feature_map: InvertibleMap, Phis: np.ndarray, *, by_rows: bool) -> np.ndarray:
    affine = feature_map.affine() if hasattr(feature_map, "affine") else None
    e = None if affine is None else affine_direction(*affine)
    if e is None:
        return np.ones(len(Phis))
    if not by_rows:
        raise InfeasibleError(
            "T8e: features B x + c whose range leaves out 0 have nearest sets for learned labels, without an "
            "intercept; use labels 'learned' (--labels learned)",
            theorem="T8e",
            value=0.0,
            limit=1.0,
        )
    return np.asarray(1.0 / (Phis @ e))


def _inside(feature_map: InvertibleMap, Phis: np.ndarray) -> bool | None:
    """Whether all rows have pre-images; None where the map cannot say, having none in general."""
    try:
        return bool(feature_map.in_range(Phis))
    except InfeasibleError:
        if not hasattr(feature_map, "local_preimage"):
            raise
        return None
