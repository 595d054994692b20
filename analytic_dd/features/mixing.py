r"""Orthogonal mixing of coordinates: a permutation of channels, then Householder reflections (T8d).

    v -> v P H_1 ... H_r ,      H = I - 2 u^T u / (u.u) ,      H_1 ... H_r = I - U^T T U      (T triangular, r x r)

The inverse is the transpose. Permutations and reflections come from the random stream by arithmetic alone; an
orthogonal (d, d) matrix would take O(d^2) memory and O(d^3) time to draw.

Reference: Schreiber, Van Loan: A storage-efficient WY representation for products of Householder transformations. 1989.
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
        U = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        T = _compact(U)
        self.across = np.ascontiguousarray(U.T)
        self.forth, self.retour = T @ U, T.T @ U

    def forward(self, V: Array, place: Place) -> Array:
        """Permute, then reflect."""
        V = _take_columns(V, self.order)
        return V - (V @ place(V, self.across)) @ place(V, self.forth)

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """A linear map is its own derivative."""
        return self.forward(dV, place)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """The transpose of an orthogonal map is its inverse."""
        return self.inverse(U, place)

    def inverse(self, V: Array, place: Place) -> Array:
        """Reflect in the opposite order, then permute back."""
        V = V - (V @ place(V, self.across)) @ place(V, self.retour)
        return _take_columns(V, self.back)


def _compact(U: np.ndarray) -> np.ndarray:
    """Return T with H_1 H_2 ... H_r = I - U^T T U for reflections along the rows of ``U`` (r, d), of length 1."""
    T = np.zeros((len(U), len(U)))
    for j, u in enumerate(U):
        T[:j, j] = -2.0 * T[:j, :j] @ (U[:j] @ u)
        T[j, j] = 2.0
    return T


def _take_columns(V: Array, order: np.ndarray) -> Array:
    xp = namespace(V)
    return xp.take(V, xp.asarray(order, device=compat.device(V)), axis=1)
