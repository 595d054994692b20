"""Logistic loss, an output at a time: log(1 + exp z) - y z (T18)."""

from __future__ import annotations

from typing import ClassVar

from analytic_dd.arrays import Array, namespace
from analytic_dd.losses.loss import Loss

__all__ = ["Logistic"]


class Logistic(Loss):
    """``A(z) = sum_j log(1 + exp z_j)``, ``mu_j = 1 / (1 + exp -z_j)``; k separate questions with answers in 0 .. 1.

    Theorem: T18.

    Examples
    --------
    >>> import numpy as np
    >>> Logistic().mean(np.array([[0.0, 1000.0, -1000.0]]))
    array([[0.5, 1. , 0. ]])
    """

    name: ClassVar[str] = "logistic"
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    _remedy: ClassVar[str] = "make them probabilities, or take loss='squared'"

    def value(self, Z: Array, Y: Array) -> Array:
        xp = namespace(Z)
        softplus = xp.where(Z > 0.0, Z, 0.0 * Z) + xp.log1p(xp.exp(-xp.abs(Z)))
        return xp.sum(softplus - Y * Z, axis=1)

    def mean(self, Z: Array) -> Array:
        xp = namespace(Z)
        small = xp.exp(-xp.abs(Z))  # never overflows
        return xp.where(Z >= 0.0, 1.0 / (1.0 + small), small / (1.0 + small))

    def curvature(self, mu: Array, V: Array) -> Array:
        return mu * (1.0 - mu) * V

    def link(self, mu: Array) -> Array:
        xp = namespace(mu)
        return xp.log(mu) - xp.log1p(-mu)

    def separated(self, Z: Array, Y: Array) -> bool:
        xp = namespace(Z)
        hard = (Y == 0.0) | (Y == 1.0)
        right = (Y - 0.5) * Z > 0.0
        return bool(xp.any(xp.all(hard & right, axis=0)))
