"""Squared loss: |z|^2 / 2 - y.z, ridge regression (T18)."""

from __future__ import annotations

from typing import ClassVar

from analytic_dd.arrays import Array, namespace
from analytic_dd.losses.loss import Loss

__all__ = ["Squared"]


class Squared(Loss):
    """``A(z) = |z|^2 / 2``, ``mu(z) = z``: with the penalty ``ridge |W|^2 / 2``, ridge regression."""

    name: ClassVar[str] = "squared"

    def value(self, Z: Array, Y: Array) -> Array:
        return namespace(Z).sum(0.5 * Z * Z - Y * Z, axis=1)

    def mean(self, Z: Array) -> Array:
        return Z

    def curvature(self, mu: Array, V: Array) -> Array:
        return V

    def link(self, mu: Array) -> Array:
        return mu
