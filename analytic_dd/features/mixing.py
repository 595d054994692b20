r"""Orthogonal mixing of coordinates: a permutation of channels, then Householder reflections (T8d).

    v -> H_r ... H_1 P v ,      H = I - 2 u u^T / (u.u)

The inverse is the transpose, applied factor by factor. Permutations and reflections come from the random stream by
arithmetic alone; an orthogonal (d, d) matrix would take O(d^2) memory and O(d^3) time to draw.
"""

from __future__ import annotations

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.stage import Place

__all__ = ["Mixing"]

_REFLECTIONS = 4


class Mixing:
    """A permutation of ``channels`` groups of ``d // channels`` neighbouring coordinates, then reflections.

    Parameters
    ----------
    rng : numpy.random.Generator
    d : int
    channels : int
        Divides ``d``; ``d`` itself for a permutation of all coordinates.
    """

    def __init__(self, rng: np.random.Generator, d: int, channels: int) -> None:
        order = np.arange(d).reshape(channels, d // channels)[rng.permutation(channels)].ravel()
        self.order, self.back = order, np.argsort(order)
        vectors = rng.standard_normal((_REFLECTIONS, d))
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def forward(self, V: Array, place: Place) -> Array:
        """Permute, then reflect."""
        V = _take_columns(V, self.order)
        U = place(V, self.vectors)
        for r in range(_REFLECTIONS):
            V = _reflect(V, U[r, :])
        return V

    def inverse(self, V: Array, place: Place) -> Array:
        """Reflect in the opposite order, then permute back."""
        U = place(V, self.vectors)
        for r in reversed(range(_REFLECTIONS)):
            V = _reflect(V, U[r, :])
        return _take_columns(V, self.back)


def _reflect(V: Array, u: Array) -> Array:
    return V - 2.0 * namespace(V).matmul(V, u)[:, None] * u[None, :]


def _take_columns(V: Array, order: np.ndarray) -> Array:
    xp = namespace(V)
    return xp.take(V, xp.asarray(order, device=compat.device(V)), axis=1)
