r"""One convolution of channels-last images: its geometry, its kernel and how it is applied.

    Z[i, j, o] = bias[o] + sum_(a, b, c) K[a, b, c, o] X[s i + a - r, s j + b - r, c] ,      r = (size - 1)/2

(the cross-correlation that deep learning calls convolution). How the inverse is found depends on the padding:
:mod:`analytic_dd.features.conv_circular` and :mod:`analytic_dd.features.conv_border`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property

import numpy as np

from analytic_dd.arrays import Array, device_of, namespace
from analytic_dd.features.layers import draw_orthonormal, orthonormalise
from analytic_dd.features.sizes import Shape
from analytic_dd.features.stage import Place, Stage

__all__ = ["ConvolutionLayer", "draw_kernel", "take"]


class ConvolutionLayer(Stage):
    """A strided convolution with a given kernel; a subclass knows its padding and its inverse.

    Parameters
    ----------
    shape_in : (rows, columns, channels)
    kernel : (size, size, c_in, c_out) float64 array
        torch's ``Conv2d.weight`` is ``kernel.transpose(3, 2, 0, 1)``.
    stride : int
    bias : (c_out,) float64 array, optional
    """

    padding: str

    def __init__(self, shape_in: Shape, kernel: np.ndarray, *, stride: int, bias: np.ndarray | None = None) -> None:
        self.shape_in, self.kernel, self.stride, self.bias = shape_in, kernel, stride, bias
        self.size = int(kernel.shape[0])
        rows, columns = (self.length_out(length, self.size, stride) for length in shape_in[:2])
        self.shape_out = (rows, columns, kernel.shape[3])
        self.taps = np.ascontiguousarray(kernel.reshape(-1, kernel.shape[3]))

    @staticmethod
    @abstractmethod
    def length_out(length: int, size: int, stride: int) -> int:
        """Return the number of positions of a kernel along an axis of ``length`` pixels."""

    @abstractmethod
    def _pad(self, X: Array, axis: int) -> Array:
        """Extend ``X`` along a spatial axis by what the kernel sees outside the image."""

    @abstractmethod
    def _least_norm(self, Z: Array, place: Place) -> Array:
        """Return the least-norm images whose convolution (without bias) is ``Z``."""

    @abstractmethod
    def singular_values(self) -> np.ndarray:
        """Return all singular values of the convolution as a matrix, largest first."""

    @property
    def rows(self) -> int:
        """Size of an output image."""
        return math.prod(self.shape_out)

    @property
    def columns(self) -> int:
        """Size of an input image."""
        return math.prod(self.shape_in)

    @property
    def widest(self) -> int:
        """How many floats the patches of a sample take."""
        return max(self.columns, self.shape_out[0] * self.shape_out[1] * len(self.taps))

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """Largest and smallest singular value."""
        values = self.singular_values()
        return float(values[0]), float(values[-1])

    @cached_property
    def full_rank(self) -> bool:
        """Whether no singular value is zero to within rounding, relative to the largest."""
        largest, smallest = self.extremes
        return smallest > self._cut_off * largest

    @property
    def _cut_off(self) -> float:
        return max(self.rows, self.columns) * float(np.finfo(np.float64).eps)

    @property
    def rank(self) -> int:
        """Number of singular values that are not zero."""
        values = self.singular_values()
        return int(np.sum(values > self._cut_off * values[0]))

    @property
    def onto(self) -> bool:  # type: ignore[override]
        """Whether the rank is the number of outputs (T8c)."""
        return self.full_rank and self.rows <= self.columns

    @property
    def one_to_one(self) -> bool:  # type: ignore[override]
        """Whether the rank is the number of inputs."""
        return self.full_rank and self.rows >= self.columns

    @property
    def condition(self) -> float:  # type: ignore[override]
        """Largest over smallest singular value."""
        largest, smallest = self.extremes
        return largest / smallest if smallest > 0.0 else np.inf

    @property
    def reason(self) -> str:  # type: ignore[override]
        """Why the layer is not onto, or nothing."""
        if self.onto:
            return ""
        if self.rows > self.columns:
            return f"its {self.rows} outputs exceed its {self.columns} inputs (take channels <= c_in * stride^2)"
        return (
            f"its smallest singular value is {self.extremes[1]:.3g} of {self.extremes[0]:.3g} (change kernel or stride)"
        )

    def forward(self, X: Array, place: Place) -> Array:
        """Apply the convolution: patches (N, rows, columns, size^2 c_in) times the taps."""
        Z = self._correlate(X, place)
        return Z if self.bias is None else Z + place(X, self.bias)

    def preimage(self, Z: Array, near: Array | None, place: Place) -> Array:
        """Return near + A^+ (Z - bias - A near), refined once.

        A^+ spreads the rounding of the largest entries over all entries. The step of refinement leaves in each entry of
        the residual only the rounding of its own sum, which a leaky ReLU then does not amplify.
        """
        if self.bias is not None:
            Z = Z - place(Z, self.bias)
        X = (
            self._least_norm(Z, place)
            if near is None
            else near + self._least_norm(Z - self._correlate(near, place), place)
        )
        return X + self._least_norm(Z - self._correlate(X, place), place)

    def jvp(self, X: Array, V: Array, place: Place) -> Array:
        """Apply the convolution without bias to ``V``."""
        return self._correlate(V, place)

    def vjp(self, X: Array, U: Array, place: Place) -> Array:
        """Put every tap times ``U`` back on the pixel that it was read from."""
        return self.fold(namespace(U).matmul(U, place(U, self.taps).T), place)

    def fold(self, patches: Array, place: Place) -> Array:
        """Add patches (N, rows, columns, size^2 c_in) up to images: the transpose of :meth:`patches`."""
        xp = namespace(patches)
        h, w, size = *self.shape_out[:2], self.size
        down, across = (place(patches, A) for A in self._reads)
        patches = xp.reshape(patches, (-1, h, w, size, size, self.shape_in[2]))
        columns = xp.tensordot(patches, down, axes=((1, 3), (0, 1)))  # (N, w, size, c_in, rows of the image)
        return xp.permute_dims(xp.tensordot(columns, across, axes=((1, 2), (0, 1))), (0, 2, 3, 1))

    @cached_property
    def _reads(self) -> tuple[np.ndarray, np.ndarray]:
        """For either axis a 0/1 array (positions, offsets, pixels) that says which pixel a tap reads at a position."""
        reads = []
        for length, n in zip(self.shape_in[:2], self.shape_out[:2], strict=True):
            padded = self._pad(np.eye(length), 0)
            reads.append(padded[self.stride * np.arange(n)[:, None] + np.arange(self.size)])
        return reads[0], reads[1]

    def windows(self) -> tuple[list[slice], list[slice]]:
        """Return, for each offset of the kernel, the padded rows (and columns) that the outputs see at that offset."""
        spans = ([self.stride * (n - 1) + 1] * self.size for n in self.shape_out[:2])
        rows, columns = ([slice(a, a + n, self.stride) for a, n in enumerate(span)] for span in spans)
        return rows, columns

    def patches(self, X: Array) -> Array:
        """Return what the kernel sees at every position, (N, rows, columns, size^2 c_in)."""
        padded = self._pad(self._pad(X, 1), 2)
        rows, columns = self.windows()
        return namespace(X).concat([padded[:, a, b, :] for a in rows for b in columns], axis=-1)

    def _correlate(self, X: Array, place: Place) -> Array:
        return namespace(X).matmul(self.patches(X), place(X, self.taps))


def take(X: Array, indices: np.ndarray, axis: int) -> Array:
    """Return the entries of ``X`` at integer positions along an axis, in any library."""
    xp = namespace(X)
    return xp.take(X, xp.asarray(indices, device=device_of(X)), axis=axis)


def draw_kernel(
    rng: np.random.Generator, size: int, c_in: int, c_out: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (isometry, noise), both (size, size, c_in, c_out): the first moves pixels to channels without loss.

    The isometry is an orthonormal matrix on ``t = min(size, stride)`` neighbouring taps per axis. The windows of two
    outputs do not overlap, and they lie inside the image, as offsets start at 0 where they can. So all its singular
    values are 1 whatever the padding, and noise of spectral norm delta < 1 keeps them in [1 - delta, 1 + delta].
    """
    t, r = min(size, stride), size // 2
    first = r - max(0, t - 1 - r)
    isometry = np.zeros((size, size, c_in, c_out))
    window = isometry[first : first + t, first : first + t]
    window[...] = _window(rng, t * t, c_in, c_out).reshape(window.shape)
    return isometry, rng.standard_normal(isometry.shape)


def _window(rng: np.random.Generator, pixels: int, c_in: int, c_out: int) -> np.ndarray:
    """Draw an orthonormal (pixels * c_in, c_out) matrix whose range has the mean of each channel, when there is room.

    Images are smooth, and a random subspace that misses the means costs several points of accuracy on MNIST.
    """
    n = pixels * c_in
    if not c_in <= c_out < n:
        return draw_orthonormal(rng, n, c_out)
    means = np.tile(np.eye(c_in), (pixels, 1))
    basis = orthonormalise(np.hstack([means, rng.standard_normal((n, c_out - c_in))]))
    window: np.ndarray = basis @ draw_orthonormal(rng, c_out, c_out)
    return window
