"""Samples taken away from sums without the rest of the data: sums add, so they subtract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytic_dd.arrays import Array, namespace
from analytic_dd.linalg.cholesky import CholeskyFactor
from analytic_dd.linalg.provenance import combined

if TYPE_CHECKING:
    from analytic_dd.linalg.gram import GramStatistics

__all__ = ["remainder"]

_ROUNDING = 100.0 * 2.0**-52  # of trace(G): an eigenvalue below minus this is no rounding of a sum of squares


def remainder(whole: GramStatistics, part: GramStatistics) -> GramStatistics:
    r"""Return the statistics of the samples of ``whole`` that are not in ``part``.

    Theorem: T13.

    Parameters
    ----------
    whole, part : GramStatistics
        Of the same p, k and feature map; neither is changed.

    Raises
    ------
    ValueError
        More samples or weight than there are; a remainder that is no sum of squares (an eigenvalue below
        -100 eps trace(G)): those samples were never added.
    DataError
        Provenances that differ in what must agree; a sample that the one of ``whole`` does not name.

    Notes
    -----
    *Cost.* p^3 / 3 flops for the check, 2 p^2 memory. *Numerics.* The remainder keeps the rounding of the sums before:
    10 eps trace(G) is added to ``gram_error``, which matters where nearly everything is taken away.

    Examples
    --------
    >>> import numpy as np
    >>> from analytic_dd.linalg import GramStatistics
    >>> one = GramStatistics(1, 1).update(np.ones((2, 1)), np.ones((2, 1)))
    >>> remainder(one, GramStatistics(1, 1).update(np.ones((3, 1)), np.ones((3, 1))))
    Traceback (most recent call last):
        ...
    ValueError: cannot take 3 samples of weight 3 from 2 of weight 2; they are not all among these
    """
    if part.n > whole.n or part.weight > whole.weight * (1.0 + _ROUNDING):
        raise ValueError(
            f"cannot take {part.n} samples of weight {part.weight:.6g} from {whole.n} of weight {whole.weight:.6g}; "
            "they are not all among these"
        )
    left = type(whole)(whole.p, whole.k)
    left.rule = whole.rule
    if part.n == 0:
        return left.merge(whole)
    left.provenance = combined(whole, part, taken=True)
    if part.n == whole.n:
        left.provenance = None
        return left
    left._G = whole.G - part.G
    for name in ("C", "yy", "sum_phi", "sum_y"):
        setattr(left, name, getattr(whole, name) - getattr(part, name))
    before = _total(namespace(whole.G).linalg.diagonal(whole.G))
    _require_sum_of_squares(left._G, left.yy, _ROUNDING * before, _ROUNDING * _total(whole.yy))
    left.n, left.weight = whole.n - part.n, max(whole.weight - part.weight, 0.0)
    left.gram_error = whole.gram_error + part.gram_error + 0.1 * _ROUNDING * before
    left.float32_samples = max(whole.float32_samples - part.float32_samples, 0)
    return left


def _total(values: Array) -> float:
    return float(namespace(values).sum(values))


def _require_sum_of_squares(G: Array, yy: Array, slack: float, slack_y: float) -> None:
    """Refuse a remainder that is not positive semi-definite to within ``slack``, without an eigendecomposition."""
    xp = namespace(G)
    if float(xp.min(yy)) < -slack_y:
        raise ValueError(
            f"what is left has a sum of squared labels of {float(xp.min(yy)):.3g}; those samples were not added before"
        )
    try:
        CholeskyFactor(G + (2.0 * slack) * xp.eye(G.shape[0], dtype=G.dtype, device=getattr(G, "device", None)))
    except ValueError:
        lowest = float(xp.min(xp.linalg.eigvalsh(G)))
        if lowest < -slack:
            raise ValueError(
                f"what is left is no sum of squares: its smallest eigenvalue is {lowest:.3g}, rounding allows "
                f"{-slack:.2g}; those samples were not added before"
            ) from None
