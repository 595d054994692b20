"""Into a box with one point more: every pixel in [0, 1], still exact (Box)."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, device_of, eps_of, namespace
from analytic_dd.errors import InfeasibleError, ShapeError

__all__ = ["move_into_box", "pixel_box"]


def move_into_box(Phis: Array, lower: float | Array, upper: float | Array, *, interior: Array | None = None) -> Array:
    r"""Move every row towards one interior point until it is in the box, and append that point: the span is kept.

        g + t_j (phi_j - g),   t_j in ]0, 1] the largest step that stays in  lower <= . <= upper,   then g itself

    Theorem: Box. span{g, g + t_j (phi_j - g)} contains every phi_j, so the labels of T4 are as exact as before.

    Parameters
    ----------
    Phis : (m, p) array
        Rows in the box stay as they are, to the last bit.
    lower, upper : float or (p,) array
        The box, in the units of the features; for pixels x = v std + mean it is (0 - mean) / std, (1 - mean) / std.
    interior : (p,) array, optional
        g, strictly inside; the centre of the box by default. The mean of real images seldom is inside: border pixels
        are 0 in all of them, and a g near a face makes for short steps.

    Returns
    -------
    (m + 1, p) array
        The moved rows, then g.

    Raises
    ------
    InfeasibleError
        g is not strictly inside, or the box has no interior.
    ShapeError
        A bound or g of another size.

    Notes
    -----
    *Cost.* O(m p). *Numerics.* Steps end 8 eps of the bounds short of the face, so that rounding cannot cross it.

    Examples
    --------
    >>> import numpy as np
    >>> move_into_box(np.array([[0.2, 1.0], [1.5, 0.5]]), 0.0, 1.0).round(12)
    array([[0.2, 1. ],
           [1. , 0.5],
           [0.5, 0.5]])
    >>> move_into_box(np.array([[0.2, 1.5]]), 0.0, 1.0, interior=np.array([0.5, 1.0]))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: Box: the appended point must lie strictly inside the box, got a distance of 0
    to the nearest face (column 1); take its centre
    """
    as_matrix(Phis, "Phis")
    xp = namespace(Phis)
    low, high = (_row(bound, name, Phis) for bound, name in ((lower, "lower"), (upper, "upper")))
    _require_order(xp, low, high)
    g = (low + high) / 2.0 if interior is None else _row(interior, "interior", Phis)
    _require_interior(xp, g, low, high)
    margin = 8.0 * eps_of(Phis) * xp.maximum(xp.abs(low), xp.abs(high))
    away = Phis - g
    room = xp.where(away > 0.0, high - g, g - low) - margin
    inside = xp.logical_and(low <= Phis, high >= Phis)
    steps = xp.min(xp.where(inside, 1.0 + 0.0 * away, room / xp.where(inside, 1.0 + 0.0 * away, xp.abs(away))), axis=1)
    t = steps[:, None]
    moved = xp.where(t < 1.0, g + t * away, Phis)
    return xp.concat([moved, g], axis=0)


def pixel_box(
    low: float | np.ndarray, high: float | np.ndarray, *, mean: np.ndarray, std: np.ndarray, d: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of the pixels  x = v * std + mean  as bounds of the inputs v, (d,) each, channels last.

        (low - mean) / std + margin,   (high - mean) / std - margin,   margin = 8 eps max(|low|, |high|, |mean|) / std

    The margin is what the two roundings of ``v * std + mean`` can add: no stored pixel crosses low or high.

    Parameters
    ----------
    low, high : float or (channels,) array
        In units of the pixels.
    mean, std : (channels,) arrays
    d : int
        Size of an input, a multiple of the number of channels.

    Raises
    ------
    ShapeError
        ``d`` is no multiple of the number of channels.

    Examples
    --------
    >>> lower, upper = pixel_box(0.0, 255.0, mean=np.array([55.0]), std=np.array([100.0]), d=2)
    >>> lower.round(12), upper.round(12)
    (array([-0.55, -0.55]), array([2., 2.]))
    >>> pixel_box(0.0, 1.0, mean=np.zeros(3), std=np.ones(3), d=4)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: d must be a multiple of the 3 channels, got 4
    """
    channels = len(mean)
    if d % channels:
        raise ShapeError(f"d must be a multiple of the {channels} channels, got {d}")
    margin = 8.0 * np.finfo(np.float64).eps * np.maximum(np.abs(mean), np.maximum(np.abs(low), np.abs(high))) / std
    lower, upper = (low - mean) / std + margin, (high - mean) / std - margin
    return np.tile(lower, d // channels), np.tile(upper, d // channels)


def _row(bound: Any, name: str, like: Array) -> Array:
    """Bring a number or a (p,) array to a (1, p) array."""
    xp, p = namespace(like), like.shape[1]
    row = xp.asarray(bound, dtype=like.dtype, device=device_of(like))
    if row.ndim > 1 or (row.ndim == 1 and row.shape[0] != p):
        raise ShapeError(f"{name} must be a number or have shape {(p,)}, got shape {tuple(row.shape)}")
    return xp.broadcast_to(row, (1, p))


def _require_order(xp: Any, low: Array, high: Array) -> None:
    width = (high - low)[0, :]
    column = int(xp.argmin(width))
    if not float(width[column]) > 0.0:
        bounds = f"{float(low[0, column]):.3g} and {float(high[0, column]):.3g}"
        raise InfeasibleError(
            f"Box: low must be below high, got {bounds} in column {column}; exchange or widen them",
            theorem="Box",
            value=float(width[column]),
            limit=0.0,
        )


def _require_interior(xp: Any, g: Array, low: Array, high: Array) -> None:
    room = xp.minimum(g - low, high - g)[0, :]
    column = int(xp.argmin(room))
    limit = 16.0 * eps_of(g) * max(abs(float(low[0, column])), abs(float(high[0, column])))
    if not float(room[column]) > limit:
        raise InfeasibleError(
            "Box: the appended point must lie strictly inside the box, got a distance of "
            f"{float(room[column]):.3g} to the nearest face (column {column}); take its centre",
            theorem="Box",
            value=float(room[column]),
            limit=limit,
        )
