r"""Whitened patches of images, soft-thresholded and averaged over a grid, a strong map that is not onto (T22).

At every position the patch u of an image is normalised, compared with f filters, thresholded on both sides and averaged
over the cells of a g x g grid:

    v = (u - mean u) / sqrt(var u + contrast) ,   z = A^T v - a ,   phi = mean over a cell of [act(z - t), act(-z - t)]

The filters are patches of the training images in the coordinates in which patches are white. The derivative of z is

    dz/du = (A - v (A^T v)^T / n)^T / sigma ,      sigma = sqrt(var u + contrast),  n the numbers of a patch

for A with columns of mean 0. So the Jacobian is a sum over positions, without automatic differentiation.

References: Coates, Ng, Lee: An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011.
Coates, Ng: The importance of encoding versus training with sparse coding and vector quantization. ICML 2011.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrix, device_of, namespace, to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.features.activations import ACTIVATIONS
from analytic_dd.features.base import FeatureMap
from analytic_dd.features.conv_border import ValidLayer
from analytic_dd.features.mirror import MirrorAverage
from analytic_dd.features.registry import MapOptions, option, register
from analytic_dd.features.sizes import Sizes, as_count, as_image_shape, as_word
from analytic_dd.features.white_filters import white_filters
from analytic_dd.linalg.threads import shared_among_threads

__all__ = ["Patches"]

_ACTIVATIONS = ("relu", "softplus")
_SHARPNESS = 8.0  # gives softplus a knee a quarter of a standard deviation wide
_CACHED = 2**20  # bytes of responses of numpy arrays at a time, which stay in the cache


@dataclass(frozen=True)
class PatchesOptions(MapOptions):
    """What text may say of :class:`Patches`."""

    filters: int = option(256, "number of filters; p = 2 filters grid^2")
    size: int = option(6, "side of a patch")
    grid: int = option(3, "cells along either side of the image, over which features are averaged")
    threshold: float = option(1.0, "what is taken off the size of a response")
    contrast: float = option(0.01, "added to the variance of a patch, in squared units of inputs")
    whitening: float = option(0.1, "added to the variances of normalised patches before they are made white")
    activation: str = option("relu", "relu, or softplus (smooth)")
    mirror: bool = option(False, "average the features over an image and its mirror image")

    def sizes(self, d: int, *, image_shape: tuple[int, ...]) -> Sizes:
        """Return the sizes of the map, and how many numbers its filters have."""
        filters, size = as_count("filters", self.filters), as_count("size", self.size)
        numbers = filters * size**2 * (image_shape[2] if len(image_shape) == 3 else 1)
        return Sizes(d, 2 * filters * as_count("grid", self.grid) ** 2, numbers)

    def build(
        self, d: int, *, image_shape: tuple[int, ...], rng: np.random.Generator, sample: np.ndarray | None
    ) -> FeatureMap:
        """Return the map, with filters from ``sample``."""
        if len(image_shape) == 1:
            raise ShapeError(f"features 'patches' need images, got rows of {d} numbers; give an array of images")
        if sample is None:
            raise ValueError("features 'patches' take their filters from training inputs; pass sample=")
        return Patches.from_data(sample, image_shape, rng=rng, **asdict(self))


@register("patches", PatchesOptions)
class Patches(MirrorAverage):
    """Responses of whitened patches, soft-thresholded on both sides and averaged over a grid.

    Theorem: T22b (near copies of a few real images carry a model on this map), T10.

    Parameters
    ----------
    image_shape : (rows, columns) or (rows, columns, channels)
        An input row is an image of this shape, channels last, flattened in C order.
    kernel : (size, size, channels, filters) array
        A, as :meth:`from_data` makes it, in float32 and less the mean of each filter.
    offsets : (filters,) array
        a.
    grid : int
        Cells along either side; p = 2 filters grid^2.
    threshold, contrast : float
        t >= 0, and the positive number that is added to the variance of a patch.
    activation : {"relu", "softplus"}
        The smooth one is log(1 + e^(8 x)) / 8.
    mirror : bool
        Average the features over an image and its mirror image, which doubles the cost; p is the same.

    Raises
    ------
    ShapeError, ValueError
        Sizes do not fit, or an option is out of its range.

    Notes
    -----
    Features are ordered by cell (rows first), side (z - t, then -z - t) and filter. ``kind`` is "general".

    *Cost.* Each position takes 2 size^2 channels filters flops. The Jacobian takes some 4 size^2 channels filters flops
    for each position and side, and p d numbers.
    *Numerics.* Parameters are float32 numbers, so that a stored set holds them exactly; everything is computed in the
    dtype of the inputs.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((20, 64))
    >>> phi = Patches.from_data(X, (8, 8), filters=5, size=3, grid=2, rng=np.random.default_rng(1))
    >>> phi.d, phi.p, phi(X).shape, phi.jacobian(X[0]).shape
    (64, 40, (20, 40), (40, 64))
    >>> phi.preimage(phi(X))
    Traceback (most recent call last):
        ...
    analytic_dd.errors.InfeasibleError: T9: a map that is known forwards only has no pre-images, got an average of \
thresholded responses; use near copies of real inputs (near_copies), or points whose features span the features (T10)
    """

    title = "an average of thresholded responses"

    def __init__(
        self,
        image_shape: Sequence[int],
        kernel: Any,
        offsets: Any,
        *,
        grid: int = 3,
        threshold: float = 1.0,
        contrast: float = 0.01,
        activation: str = "relu",
        mirror: bool = False,
    ) -> None:
        self.image_shape = as_image_shape(image_shape)[: len(tuple(image_shape))]
        shape = as_image_shape(image_shape)
        self.kernel, self.offsets = _single(kernel), _single(offsets)
        if self.kernel.ndim != 4 or self.kernel.shape[2] != shape[2] or self.kernel.shape[0] != self.kernel.shape[1]:
            wanted = f"(size, size, {shape[2]}, filters)"
            raise ShapeError(f"kernel must have shape {wanted}, got {self.kernel.shape}; see Patches.from_data")
        if self.offsets.shape != self.kernel.shape[3:]:
            raise ShapeError(f"offsets must have shape {self.kernel.shape[3:]}, got {self.offsets.shape}")
        as_word("activation", activation, _ACTIVATIONS)
        if not (0.0 <= threshold < math.inf and 0.0 < contrast < math.inf):
            raise ValueError(f"threshold must be >= 0 and contrast > 0, got {threshold} and {contrast}")
        self.threshold, self.contrast, self.activation = float(threshold), float(contrast), activation
        self.mirror, self.shape_in = bool(mirror), shape
        self._layer = ValidLayer(shape, self.kernel - self.kernel.mean(axis=(0, 1, 2)), stride=1)
        self.grid = as_count("grid", grid, most=min(self._layer.shape_out[:2]))
        self.d, self.p = math.prod(shape), 2 * self.grid**2 * self.offsets.size
        self._pool = _cells(self._layer.shape_out[0], self._layer.shape_out[1], self.grid)
        self._shift = self.offsets + self.threshold
        self._positions, self._numbers = math.prod(self._layer.shape_out[:2]), len(self._layer.taps)

    @classmethod
    def from_data(
        cls,
        X: Array,
        image_shape: Sequence[int],
        *,
        rng: np.random.Generator,
        filters: int = 256,
        size: int = 6,
        whitening: float = 0.1,
        contrast: float = 0.01,
        **options: Any,
    ) -> Patches:
        """Draw the filters from images ``X`` (n, d): white patches, each of length 1.

        Parameters
        ----------
        X : (n, d) array
            Training inputs, normalised as the map will see them.
        image_shape : sequence of int
        rng : numpy.random.Generator
            It draws the patches.
        filters, size : int
        whitening : float
            A positive number that is added to the variances of normalised patches.
        contrast, **options
            See the constructor.

        Raises
        ------
        ValueError
            There are fewer patches with some contrast than ``filters``.
        """
        shape, count = as_image_shape(image_shape), as_count("filters", filters)
        images = to_numpy(as_matrix(X, "X", columns=math.prod(shape))).astype(np.float64).reshape(-1, *shape)
        kernel, offsets = white_filters(images, count, size, whitening=whitening, contrast=contrast, rng=rng)
        return cls(image_shape, kernel, offsets, contrast=contrast, **options)

    @classmethod
    def sizes(cls, *, image_shape: Sequence[int], kernel: Mapping[str, Any], grid: int = 3, **options: Any) -> Sizes:
        """Return d, p and the numbers of the kernel, which the specification holds."""
        shape = [as_count("kernel", length) for length in kernel["shape"]]
        p = 2 * shape[3] * as_count("grid", grid) ** 2
        return Sizes(math.prod(as_image_shape(image_shape)), p, math.prod(shape))

    def _one(self, X: Array) -> Array:
        if not isinstance(X, np.ndarray) or self.activation != "relu":
            return self._features(X)
        out = np.empty((len(X), self.grid**2, 2, self.offsets.size), dtype=X.dtype)
        shared_among_threads(lambda i: self._write_features(self._normalised(X[i : i + 1])[0][0], out[i]), len(X))
        return out.reshape(len(X), self.p)

    def _features(self, X: Array) -> Array:
        xp, Z = namespace(X), self._responses(self._normalised(X)[0])
        return self._pooled([self._act(xp, Z - self.threshold), self._act(xp, -Z - self.threshold)])

    def _write_features(self, V: np.ndarray, out: np.ndarray) -> None:
        """Write the features of one image from its normalised patches, as many filters at a time as the cache holds.

        With  Z = A^T v - a - t  the other side is  -Z - 2 t .
        """
        taps, pool = self._like(V, self._layer.taps), self._like(V, self._pool)
        shift, twice = self._like(V, self._shift), V.dtype.type(-2.0 * self.threshold)
        step = max(1, _CACHED // (V.itemsize * self._positions))
        for start in range(0, self.offsets.size, step):
            some = slice(start, start + step)
            Z = V @ taps[:, some]
            Z -= shift[some]
            other = twice - Z
            for side, values in enumerate((Z, other)):
                out[:, side, some] = pool @ np.maximum(values, 0.0, out=values)

    def _pooled(self, sides: Sequence[Array]) -> Array:
        """Average (N, positions, filters) over the cells, for either side: (N, p)."""
        xp = namespace(sides[0])
        pooled = [xp.matmul(self._like(side, self._pool), side) for side in sides]
        return xp.reshape(xp.stack(pooled, axis=2), (sides[0].shape[0], -1))

    def _normalised(self, X: Array) -> tuple[Array, Array]:
        """v of every patch (N, positions, n), and sigma (N, positions, 1)."""
        xp = namespace(X)
        U = self._unfolded(X)
        U = U - xp.mean(U, axis=2, keepdims=True)
        sigma = xp.sqrt(xp.mean(U * U, axis=2, keepdims=True) + self.contrast)
        return U / sigma, sigma

    def _unfolded(self, X: Array) -> Array:
        """Return the patches (N, positions, n) of the rows of ``X``."""
        images = namespace(X).reshape(X, (-1, *self._layer.shape_in))
        if isinstance(images, np.ndarray):  # a view is copied in runs of size * channels numbers
            side = self.kernel.shape[:2]
            patches = np.moveaxis(np.lib.stride_tricks.sliding_window_view(images, side, axis=(1, 2)), 3, 5)
        else:
            patches = self._layer.patches(images)
        return namespace(X).reshape(patches, (X.shape[0], self._positions, self._numbers))

    def _responses(self, V: Array) -> Array:
        """Z = A^T v - a, (N, positions, filters)."""
        return namespace(V).matmul(V, self._like(V, self._layer.taps)) - self._like(V, self.offsets)

    def _act(self, xp: Any, T: Array) -> Array:
        if self.activation == "relu":
            return xp.maximum(T, xp.zeros_like(T))
        return ACTIVATIONS["softplus"].forward(xp, _SHARPNESS * T, None) / _SHARPNESS

    def _slope(self, xp: Any, T: Array) -> Array:
        if self.activation == "relu":
            return xp.astype(T > 0.0, T.dtype)
        return ACTIVATIONS["softplus"].derivative(xp, _SHARPNESS * T, None)

    def _slopes(self, Z: Array) -> list[Array]:
        """Return act'(z - t) and -act'(-z - t), the derivatives of either side by z."""
        xp = namespace(Z)
        return [side * self._slope(xp, side * Z - self.threshold) for side in (1.0, -1.0)]

    def _one_jvp(self, X: Array, V: Array) -> Array:
        xp = namespace(X)
        normal, sigma = self._normalised(X)
        dU = self._unfolded(V)
        dU = dU - xp.mean(dU, axis=2, keepdims=True)
        dV = (dU - normal * xp.mean(normal * dU, axis=2, keepdims=True)) / sigma
        dZ = xp.matmul(dV, self._like(V, self._layer.taps))
        return self._pooled([slope * dZ for slope in self._slopes(self._responses(normal))])

    def _one_vjp(self, X: Array, U: Array) -> Array:
        xp, (normal, sigma) = namespace(X), self._normalised(X)
        sides = xp.reshape(U, (-1, self.grid**2, 2, self.offsets.size))
        spread = xp.matrix_transpose(self._like(U, self._pool))
        G = [xp.matmul(spread, sides[:, :, side, :]) for side in (0, 1)]
        plus, minus = self._slopes(self._responses(normal))
        dV = xp.matmul(plus * G[0] + minus * G[1], self._like(U, self._layer.taps).T)
        dU = (dV - normal * xp.mean(normal * dV, axis=2, keepdims=True)) / sigma  # of mean 0, as A and v are
        folded = self._layer.fold(xp.reshape(dU, (-1, *self._layer.shape_out[:2], self._numbers)), self._like)
        return xp.reshape(folded, (-1, self.d))

    def _one_jacobian(self, x: Array) -> Array:
        """Sum over positions, cell by cell, on the host."""
        host = to_numpy(x)
        normal, sigma = self._normalised(host)
        Z = self._responses(normal)
        h, w, _ = self._layer.shape_out
        size, c, f = *self.kernel.shape[1:3], self.offsets.size
        taps = self._like(host, self._layer.taps).reshape(size, size, c, f)
        patches = normal.reshape(h, w, size, size, c)
        by_image = (Z + self._like(host, self.offsets)).reshape(h, w, f) / self._numbers
        slopes = [(slope / sigma).reshape(h, w, f) for slope in self._slopes(Z)]
        J = np.zeros((self.grid**2, 2, f, *self._layer.shape_in), dtype=host.dtype)
        for cell, (rows, columns) in enumerate(_blocks(h, w, self.grid)):
            count = (rows.stop - rows.start) * (columns.stop - columns.start)
            for side in (0, 1):
                share = np.moveaxis(slopes[side][rows, columns], 2, 0)[..., None] / count
                drift = share * np.moveaxis(by_image[rows, columns], 2, 0)[..., None]
                for a in range(size):
                    for b in range(size):
                        seen = J[cell, side, :, rows.start + a : rows.stop + a, columns.start + b : columns.stop + b]
                        seen += share * taps[a, b].T[:, None, None, :] - drift * patches[rows, columns, a, b]
        return namespace(x).asarray(J.reshape(self.p, self.d), dtype=x.dtype, device=device_of(x))

    def flops(self) -> float:
        """Return 2 positions n filters, twice that with mirror images."""
        return (2.0 + 2.0 * self.mirror) * self._positions * self._numbers * len(self.offsets)

    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments; the filters as text that holds every bit."""
        return {
            "image_shape": list(self.image_shape),
            "kernel": _as_text(self.kernel),
            "offsets": _as_text(self.offsets),
            "grid": self.grid,
            "threshold": self.threshold,
            "contrast": self.contrast,
            "activation": self.activation,
            **({"mirror": True} if self.mirror else {}),
        }

    def __repr__(self) -> str:
        more = ", mirror=True" if self.mirror else ""
        size, filters = self.kernel.shape[0], self.offsets.size
        return f"Patches(image_shape={self.image_shape}, filters={filters}, size={size}, grid={self.grid}{more})"

    def _widest(self) -> int:
        return self._positions * max(self._numbers, 2 * len(self.offsets))


def _blocks(h: int, w: int, grid: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of the cells, whose sizes differ by one where ``grid`` does not divide the sides."""
    edges = [[n * i // grid for i in range(grid + 1)] for n in (h, w)]
    rows, columns = ([slice(a, b) for a, b in pairwise(e)] for e in edges)
    return [(r, c) for r in rows for c in columns]


def _cells(h: int, w: int, grid: int) -> np.ndarray:
    """Return the (grid^2, h w) matrix that averages over the cells."""
    pool = np.zeros((grid**2, h, w))
    for cell, (rows, columns) in enumerate(_blocks(h, w, grid)):
        pool[cell, rows, columns] = 1.0 / ((rows.stop - rows.start) * (columns.stop - columns.start))
    return pool.reshape(grid**2, h * w)


def _single(value: Any) -> np.ndarray:
    """Return an array, or the text of one, as float64 with values of float32."""
    if isinstance(value, Mapping):
        numbers = np.frombuffer(base64.b64decode(value["float32"], validate=True), dtype="<f4")
        value = numbers.reshape([as_count("shape", length) for length in value["shape"]])
    A = np.asarray(value, dtype=np.float32).astype(np.float64)
    if not np.all(np.isfinite(A)):
        raise ValueError("the filters must be finite; the data or the file they come from is damaged")
    return A


def _as_text(A: np.ndarray) -> dict[str, Any]:
    return {"shape": list(A.shape), "float32": base64.b64encode(A.astype("<f4").tobytes()).decode("ascii")}
