"""Poisson loss with a log link: exp z - y z, for counts (T18)."""

from __future__ import annotations

from typing import ClassVar

from analytic_dd.arrays import Array, namespace
from analytic_dd.losses.loss import Loss

__all__ = ["Poisson"]


class Poisson(Loss):
    """``A(z) = sum_j exp z_j``, ``mu_j = exp z_j``; labels are counts or rates >= 0."""

    name: ClassVar[str] = "poisson"
    lowest: ClassVar[float] = 0.0

    def value(self, Z: Array, Y: Array) -> Array:
        xp = namespace(Z)
        return xp.sum(xp.exp(Z) - Y * Z, axis=1)

    def mean(self, Z: Array) -> Array:
        return namespace(Z).exp(Z)

    def curvature(self, mu: Array, V: Array) -> Array:
        return mu * V

    def link(self, mu: Array) -> Array:
        return namespace(mu).log(mu)
