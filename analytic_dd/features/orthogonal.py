r"""Orthogonal steps of an invertible network: mixing of coordinates, and downsampling of images by 2 (T8d).

Mixing is a permutation of channels, then Householder reflections:

    v -> v P H_1 ... H_r ,      H = I - 2 u^T u / (u.u) ,      H_1 ... H_r = I - U^T T U      (T triangular, r x r)

The inverse is the transpose. Permutations and reflections come from the random stream by arithmetic alone; an
orthogonal (d, d) matrix would take O(d^2) memory and O(d^3) time to draw.

Downsampling makes four channels, of a quarter of the pixels, of each. "checkerboard" takes the four pixels of each
2 x 2 block as channels (also called squeeze or space-to-depth); "haar" then forms their mean and three differences,
(1/2) [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]. Channels come first in the result, so that a
coupling's halves are halves of the channels.

Reference: Schreiber, Van Loan: A storage-efficient WY representation for products of Householder transformations. 1989.
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, device_of, namespace
from analytic_dd.features.blocks import Block
from analytic_dd.features.sizes import Shape
from analytic_dd.features.stage import Place

__all__ = ["Downsampling", "Mixing"]

_REFLECTIONS = 4


class Orthogonal(Block):
    """A linear step whose inverse is its transpose."""

    lipschitz = lipschitz_inverse = 1.0

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """A linear map is its own derivative."""
        return self.forward(dV, place)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """The transpose of an orthogonal map is its inverse."""
        return self.inverse(U, place)


class Mixing(Orthogonal):
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
    return xp.take(V, xp.asarray(order, device=device_of(V)), axis=1)


_HAAR = 0.5 * np.array([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])  # its own inverse


class Downsampling(Orthogonal):
    """An image row (h, w, c) as (4 c, h/2, w/2).

    Raises
    ------
    ValueError
        An odd side.
    """

    def __init__(self, shape: Shape, *, haar: bool) -> None:
        if shape[0] % 2 or shape[1] % 2:
            raise ValueError(f"downsampling needs even sides, got {shape[0]} x {shape[1]}; use squeeze=None")
        self.shape, self.matrix = shape, _HAAR if haar else None

    def forward(self, V: Array, place: Place) -> Array:
        """Downsample the rows of ``V`` (n, d)."""
        xp = namespace(V)
        h, w, c = self.shape
        B = xp.permute_dims(xp.reshape(V, (-1, h // 2, 2, w // 2, 2, c)), (0, 2, 4, 5, 1, 3))
        return xp.reshape(self._transform(xp.reshape(B, (V.shape[0], 4, -1)), place), V.shape)

    def inverse(self, V: Array, place: Place) -> Array:
        """Undo :meth:`forward`."""
        xp = namespace(V)
        h, w, c = self.shape
        B = self._transform(xp.reshape(V, (V.shape[0], 4, -1)), place)
        B = xp.reshape(B, (-1, 2, 2, c, h // 2, w // 2))
        return xp.reshape(xp.permute_dims(B, (0, 4, 1, 5, 2, 3)), V.shape)

    def _transform(self, B: Array, place: Place) -> Array:
        return B if self.matrix is None else namespace(B).matmul(place(B, self.matrix), B)
