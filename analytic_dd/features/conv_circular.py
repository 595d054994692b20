r"""Convolution on a torus: block-diagonal in Fourier space, so its singular values and pre-images are exact.

Theorem: T8c. Squeeze the image: X~[i, j, (f, g, c)] = X[s i + f, s j + g, c], an orthogonal rearrangement. A tap at
offset s q + f becomes a tap at offset q of channel f, the stride becomes 1, and with the unitary Fourier transform

    Z^[u, v] = H[u, v] X~^[u, v] ,    H[u, v] = sum over taps of exp(2 pi i (u q/h' + v q'/w')) K[a, b, c, o] ,

a (c_out, c_in s^2) matrix. The singular values of the layer are those of all H[u, v]; it is onto iff every H[u, v] has
rank c_out, and A^+ is H[u, v]^+ at every frequency. (The s^2 aliased symbols of the image are H times a unitary one.)
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from analytic_dd.arrays import Array, dtype_name, namespace
from analytic_dd.features.conv_layer import ConvolutionLayer, take
from analytic_dd.features.sizes import Shape
from analytic_dd.features.stage import Place
from analytic_dd.linalg import full_rank_inverse, singular_values

__all__ = ["CircularLayer", "symbols", "torus_norm"]


def symbols(kernel: np.ndarray, shape: Shape, *, stride: int) -> np.ndarray:
    """Return the Fourier symbols H (h', w', c_out, c_in * stride^2) of a circular convolution on such images."""
    size, _, c_in, c_out = kernel.shape
    grid = -(-shape[0] // stride), -(-shape[1] // stride)
    turn, phase = np.divmod(np.arange(size) - size // 2, stride)
    waves = [np.exp(2j * np.pi * (np.arange(n)[:, None] * turn % n) / n) for n in grid]  # reduced mod n: exact angles
    H = np.zeros((*grid, c_out, stride, stride, c_in), dtype=np.complex128)
    for a in range(size):
        for b in range(size):
            wave = waves[0][:, a, None] * waves[1][None, :, b]
            H[:, :, :, phase[a], phase[b], :] += wave[:, :, None, None] * kernel[a, b].T
    return H.reshape(*grid, c_out, stride * stride * c_in)


def torus_norm(kernel: np.ndarray, shape: Shape, *, stride: int) -> float:
    """Return the spectral norm of a circular convolution on images of that shape."""
    return float(np.max(singular_values(symbols(kernel, shape, stride=stride))))


class CircularLayer(ConvolutionLayer):
    """A convolution with circular padding, inverted in Fourier space.

    Raises
    ------
    ValueError
        The stride does not divide the rows or columns of the image: the outputs would not form a torus.
    """

    padding = "circular"

    @staticmethod
    def length_out(length: int, size: int, stride: int) -> int:
        """Return one position for each step of the stride."""
        if length % stride:
            raise ValueError(
                f"circular padding needs a stride that divides the image, got stride {stride} and side {length}; "
                f"change the stride or use padding='valid'"
            )
        return length // stride

    def _pad(self, X: Array, axis: int) -> Array:
        r, length = self.size // 2, X.shape[axis]
        return take(X, np.arange(-r, length + r) % length, axis) if r else X

    @cached_property
    def _symbols(self) -> np.ndarray:
        return symbols(self.kernel, self.shape_in, stride=self.stride)

    def singular_values(self) -> np.ndarray:
        """Return the singular values of all symbols, largest first."""
        return np.sort(singular_values(self._symbols), axis=None)[::-1]

    @cached_property
    def _inverse(self) -> np.ndarray:
        """H^+ on the half plane of frequencies, transposed: (2, h', w'//2 + 1, c_out, C), real and imaginary part."""
        half = self._symbols[:, : self.shape_out[1] // 2 + 1]
        P = np.swapaxes(full_rank_inverse(half), -1, -2)
        return np.stack([P.real, P.imag])

    def _least_norm(self, Z: Array, place: Place) -> Array:
        xp = namespace(Z)
        dtype = xp.complex128 if dtype_name(Z) == "float64" else xp.complex64
        P = place(Z, self._inverse)
        P = xp.astype(P[0, ...], dtype) + 1j * xp.astype(P[1, ...], dtype)
        frequencies = xp.permute_dims(xp.fft.rfftn(Z, axes=(1, 2)), (1, 2, 0, 3))
        solved = xp.permute_dims(xp.matmul(frequencies, P), (2, 0, 1, 3))
        squeezed = xp.fft.irfftn(solved, s=self.shape_out[:2], axes=(1, 2))
        return self._unsqueeze(xp.astype(squeezed, Z.dtype, copy=False))

    def _unsqueeze(self, S: Array) -> Array:
        """Move the phases (phi, psi) of the channels back to their places in the image."""
        xp = namespace(S)
        (h, w, c), s = self.shape_in, self.stride
        blocks = xp.reshape(S, (-1, h // s, w // s, s, s, c))
        return xp.reshape(xp.permute_dims(blocks, (0, 1, 3, 2, 4, 5)), (-1, h, w, c))
