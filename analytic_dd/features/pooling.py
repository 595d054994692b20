r"""Pooling over 2 x 2 blocks, average or maximum: onto, so features can be brought back through it.

Theorem: T8c. Upsampling is a pre-image; for the average it is the one of least norm, avg^+ = upsample. The nearest
pre-image to a reference adds the difference of the means to every pixel of a block (average), or lowers what exceeds
the maximum and raises the largest pixel when none reaches it (maximum). A last odd row or column is not pooled.
"""

from __future__ import annotations

from abc import abstractmethod

import array_api_compat as compat

from analytic_dd.arrays import Array, namespace
from analytic_dd.features.sizes import Shape
from analytic_dd.features.stage import Place, Stage

__all__ = ["AveragePooling", "MaxPooling"]


class Pooling(Stage):
    """Pooling of images with at least 2 rows and columns.

    Raises
    ------
    ValueError
        The image is too small.
    """

    def __init__(self, shape_in: Shape) -> None:
        h, w, c = shape_in
        if min(h, w) < 2:
            raise ValueError(f"pooling needs an image of at least 2 x 2, got {h} x {w}; use fewer layers or pool=None")
        self.shape_in, self.shape_out = shape_in, (h // 2, w // 2, c)

    @abstractmethod
    def _pool(self, B: Array) -> Array:
        """Reduce the pixels (N, h', w', 4, c) of each block to (N, h', w', 1, c)."""

    @abstractmethod
    def _shares(self, B: Array) -> Array:
        """The derivative of the pooled value by each pixel, of the shape of ``B``."""

    @abstractmethod
    def _nearest(self, B: Array, Z: Array) -> Array:
        """Return the blocks nearest to ``B`` that pool to ``Z`` (N, h', w', 1, c)."""

    def forward(self, X: Array, place: Place) -> Array:
        """Pool every block."""
        return self._pool(self._blocks(X))[:, :, :, 0, :]

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Upsample, or change ``near`` as little as possible."""
        xp = namespace(Z)
        Z = Z[:, :, :, None, :]
        B = xp.concat([Z] * 4, axis=3) if near is None else self._nearest(self._blocks(near), Z)
        return self._unblock(B, near)

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Pool the directions with the shares of :meth:`_shares`."""
        return namespace(V).sum(self._blocks(V) * self._shares(self._blocks(X)), axis=3)

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Give every pixel of a block its share; a last odd row or column has none."""
        return self._unblock(U[:, :, :, None, :] * self._shares(self._blocks(X)), None)

    def _blocks(self, X: Array) -> Array:
        xp = namespace(X)
        h, w, c = self.shape_out
        B = xp.reshape(X[:, : 2 * h, : 2 * w, :], (-1, h, 2, w, 2, c))
        return xp.reshape(xp.permute_dims(B, (0, 1, 3, 2, 4, 5)), (-1, h, w, 4, c))

    def _unblock(self, B: Array, near: Array | None) -> Array:
        """Put blocks back; a last odd row or column comes from ``near`` (0 without)."""
        xp = namespace(B)
        (h, w, c), (rows, columns, _) = self.shape_out, self.shape_in
        X = xp.permute_dims(xp.reshape(B, (-1, h, w, 2, 2, c)), (0, 1, 3, 2, 4, 5))
        X = xp.reshape(X, (-1, 2 * h, 2 * w, c))
        if columns > 2 * w:
            X = xp.concat([X, xp.zeros_like(X[:, :, :1, :]) if near is None else near[:, : 2 * h, 2 * w :, :]], axis=2)
        if rows > 2 * h:
            X = xp.concat([X, xp.zeros_like(X[:, :1, :, :]) if near is None else near[:, 2 * h :, :, :]], axis=1)
        return X


class AveragePooling(Pooling):
    """Mean of each block; all singular values are 1/2."""

    def _pool(self, B: Array) -> Array:
        return namespace(B).mean(B, axis=3, keepdims=True)

    def _shares(self, B: Array) -> Array:
        return 0.25 * namespace(B).ones_like(B)

    def _nearest(self, B: Array, Z: Array) -> Array:
        return B + (Z - self._pool(B))


class MaxPooling(Pooling):
    """Maximum of each block; the pre-image by upsampling is twice as long as its image."""

    condition = 2.0

    def _pool(self, B: Array) -> Array:
        return namespace(B).max(B, axis=3, keepdims=True)

    def _largest(self, B: Array) -> Array:
        """Whether a pixel is the largest of its block, the first of several."""
        xp = namespace(B)
        largest = xp.argmax(B, axis=3, keepdims=True)
        positions = xp.reshape(xp.arange(4, dtype=largest.dtype, device=compat.device(B)), (1, 1, 1, 4, 1))
        return positions == largest

    def _shares(self, B: Array) -> Array:
        return namespace(B).astype(self._largest(B), B.dtype)

    def _nearest(self, B: Array, Z: Array) -> Array:
        xp = namespace(B)
        raised = self._largest(B) & (self._pool(B) < Z)
        return xp.where(raised | (B > Z), Z, B)
