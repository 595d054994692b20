"""The identity: plain linear ridge regression on the inputs themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, ArrayT, as_matrix
from analytic_dd.features.base import FeatureMap, Kind
from analytic_dd.features.registry import MapOptions, register
from analytic_dd.features.sizes import Sizes, as_count

__all__ = ["Identity"]


@dataclass(frozen=True)
class IdentityOptions(MapOptions):
    """The identity has no options."""

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map."""
        return Identity(d)


@register("identity", IdentityOptions)
class Identity(FeatureMap):
    """phi(x) = x, the map of linear ridge regression.

    Parameters
    ----------
    d : int
        Size of an input vector.

    Examples
    --------
    >>> Identity(784)
    Identity(d=784)
    """

    kind: Kind = "bijective"

    def __init__(self, d: int) -> None:
        self.d = self.p = as_count("d", d)

    @classmethod
    def sizes(cls, *, d: int) -> Sizes:
        """Return d and d; nothing is drawn."""
        return Sizes(as_count("d", d), d, 0)

    def __call__(self, X: ArrayT) -> ArrayT:
        """Return ``X`` (n, d) itself; NaN is left to whoever computes with it, as nothing is computed here."""
        as_matrix(X, "X", columns=self.d, finite=False)
        return X

    def _map(self, X: Array) -> Array:
        return X

    def _preimage(self, Phi: Array, near: Array | None) -> Array:
        return Phi

    def _jvp(self, X: Array, V: Array) -> Array:
        return V

    def _vjp(self, X: Array, U: Array) -> Array:
        return U

    @property
    def is_identity(self) -> bool:
        """True."""
        return True

    def condition(self) -> float:
        """Return 1."""
        return 1.0

    def flops(self) -> float:
        """Return 0."""
        return 0.0
