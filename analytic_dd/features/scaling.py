"""How far features must be scaled to enter a bounded range (T4': features, labels and ridge together)."""

from __future__ import annotations

from collections.abc import Callable

from analytic_dd.arrays import Array, namespace
from analytic_dd.errors import RangeError
from analytic_dd.features.base import RangeCheck

__all__ = ["box_check", "largest_scale"]

_HALVINGS = 200  # 2^-200: below any feature that float64 computations make
_BISECTIONS = 6  # the scale found is at least 2^(-1/64) of the largest, for a range that is star-shaped


def largest_scale(fits: Callable[[float], bool], start: float = 1.0) -> float:
    """Return the largest c <= ``start`` with ``fits(c)``, to one per cent: halving, then bisection of log c.

    Theorem: T4'.

    Raises
    ------
    RangeError
        No power of two down to 2^-200 fits.

    Examples
    --------
    >>> largest_scale(lambda c: c < 2.0)
    1.0
    >>> 0.99 < largest_scale(lambda c: c <= 0.3) / 0.3 <= 1.0
    True
    >>> largest_scale(lambda c: False)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.RangeError: no scaling of the features lies in the range, tried 1 to 6.22e-61; use another map
    """
    low = start
    for _ in range(_HALVINGS):
        if fits(low):
            break
        low /= 2.0
    else:
        raise RangeError(
            f"no scaling of the features lies in the range, tried {start:.3g} to {low:.3g}; use another map"
        )
    if low == start:
        return start
    ratio = 2.0
    for _ in range(_BISECTIONS):
        ratio = ratio**0.5
        if fits(low * ratio):
            low *= ratio
    return low


def box_check(excess: Array, reason: str, *, closed: bool = False, first_row: int = 0) -> RangeCheck:
    """Return the verdict on ``excess`` (m, p), by how much each entry is outside of a box (negative: inside).

    Examples
    --------
    >>> import numpy as np
    >>> box_check(np.array([[-1.0, -2.0], [0.25, -3.0]]), "an example").column
    0
    >>> bool(box_check(np.zeros((1, 1)), "an open box")), bool(box_check(np.zeros((1, 1)), "a closed one", closed=True))
    (False, True)
    """
    xp = namespace(excess)
    worst = int(xp.argmax(xp.reshape(excess, (-1,))))
    row, column = divmod(worst, excess.shape[1])
    value = float(excess[row, column])
    inside = value <= 0.0 if closed else value < 0.0
    return RangeCheck(inside, first_row + row, column, value, reason)
