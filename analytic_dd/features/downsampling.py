r"""Orthogonal downsampling of images by 2: each channel becomes four, of a quarter of the pixels (T8d).

"checkerboard" takes the four pixels of each 2 x 2 block as channels (also called squeeze or space-to-depth); "haar"
then forms their mean and three differences, (1/2) [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]].
Channels come first in the result, so that a coupling's halves are halves of the channels.
"""

from __future__ import annotations

import numpy as np

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.sizes import Shape
from analytic_dd.features.stage import Place

__all__ = ["Downsampling"]

_HAAR = 0.5 * np.array([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])  # its own inverse


class Downsampling:
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

    def jvp(self, V: Array, dV: Array, place: Place) -> Array:
        """A linear map is its own derivative."""
        return self.forward(dV, place)

    def vjp(self, V: Array, U: Array, place: Place) -> Array:
        """The transpose of an orthogonal map is its inverse."""
        return self.inverse(U, place)

    def inverse(self, V: Array, place: Place) -> Array:
        """Undo :meth:`forward`."""
        xp = namespace(V)
        h, w, c = self.shape
        B = self._transform(xp.reshape(V, (V.shape[0], 4, -1)), place)
        B = xp.reshape(B, (-1, 2, 2, c, h // 2, w // 2))
        return xp.reshape(xp.permute_dims(B, (0, 4, 1, 5, 2, 3)), V.shape)

    def _transform(self, B: Array, place: Place) -> Array:
        return B if self.matrix is None else namespace(B).matmul(place(B, self.matrix), B)
