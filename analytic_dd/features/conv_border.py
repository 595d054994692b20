r"""Convolution with a border (valid or zero padding): a sparse matrix, solved densely when small, by LSMR otherwise.

Theorem: T8c. A (rows, columns) holds the kernel at every position; entries that fall outside the image are dropped.
The layer is onto iff A has full row rank. Zero ("same") padding with a kernel of large spread is ill-conditioned:
allowed, with its condition reported.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy  # its sparse matrices are loaded where they are used

from analytic_dd.arrays import Array, device_of, namespace, to_numpy
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.conv_layer import ConvolutionLayer
from analytic_dd.features.stage import Place
from analytic_dd.linalg import full_rank_inverse, singular_values

__all__ = ["BorderLayer", "ValidLayer", "ZeroLayer"]

_DENSE = 1200  # larger side of a matrix that is still decomposed densely: a second, and 10 MB for its pseudo-inverse
_ROUNDS = 4  # restarts of LSMR on the remaining residual: each gains digits until rounding stops it


class BorderLayer(ConvolutionLayer):
    """A convolution whose matrix is not block-diagonal, so that least-norm pre-images need the matrix itself."""

    before: int  # how many rows of zeros stand before the image, and after it

    @cached_property
    def matrix(self) -> Any:
        """The layer as a sparse matrix (rows, columns): sum over taps of (which pixel an output sees) x K[a, b]^T."""
        h, w, _ = self.shape_in
        pixels = np.pad(np.arange(h * w).reshape(h, w), self.before, constant_values=-1)
        rows, columns = self.windows()
        terms = [
            scipy.sparse.kron(_selection(pixels[a, b], h * w), self.kernel[i, j].T, format="csr")
            for i, a in enumerate(rows)
            for j, b in enumerate(columns)
        ]
        return scipy.sparse.csr_array(sum(terms[1:], terms[0]))

    @property
    def dense(self) -> bool:
        """Whether the matrix is small enough for dense linear algebra."""
        return max(self.rows, self.columns) <= _DENSE

    def singular_values(self) -> np.ndarray:
        """Return all singular values of the dense matrix, largest first."""
        return np.asarray(singular_values(self.matrix.toarray()))

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """Largest and smallest singular value; of a large matrix by Lanczos on its Gram matrix and its inverse."""
        if self.dense:
            return super().extremes
        A = self.matrix if self.rows <= self.columns else self.matrix.T
        gram = (A @ A.T).tocsc()
        start = np.random.default_rng(0).standard_normal(gram.shape[0])
        largest = scipy.sparse.linalg.eigsh(gram, k=1, v0=start, return_eigenvectors=False)[0]
        try:
            smallest = scipy.sparse.linalg.eigsh(gram, k=1, sigma=0.0, v0=start, return_eigenvectors=False)[0]
        except RuntimeError:  # an exactly singular factor
            smallest = 0.0
        if smallest > 1e-10 * largest:  # else the Gram matrix has lost the small singular values
            return float(np.sqrt(largest)), float(np.sqrt(smallest))
        values = self.singular_values()
        return float(values[0]), float(values[-1])

    @cached_property
    def _inverse(self) -> np.ndarray:
        """(A^+)^T, dense (rows, columns)."""
        inverse: np.ndarray = full_rank_inverse(self.matrix.toarray())
        return np.array(inverse.T, order="C")

    def _least_norm(self, Z: Array, place: Place) -> Array:
        xp = namespace(Z)
        flat = xp.reshape(Z, (-1, self.rows))
        if self.dense:
            X = xp.matmul(flat, place(Z, self._inverse))
        else:
            solved = np.stack([self._lsmr(z) for z in to_numpy(flat).astype(np.float64)])
            X = xp.asarray(solved, dtype=Z.dtype, device=device_of(Z))
        return xp.reshape(X, (-1, *self.shape_in))

    def _lsmr(self, z: np.ndarray) -> np.ndarray:
        """Solve for one image; the residual must come down to rounding level."""
        A, norm = self.matrix, self.extremes[0]
        x: np.ndarray = np.zeros(self.columns)
        residual = z
        for _ in range(_ROUNDS):
            x = x + scipy.sparse.linalg.lsmr(A, residual, atol=1e-15, btol=1e-15, conlim=0, maxiter=4 * self.rows)[0]
            residual = z - A @ x
            error = float(np.linalg.norm(residual))
            limit = 1e-14 * (float(np.linalg.norm(z)) + norm * float(np.linalg.norm(x)))
            if error <= limit:
                return x
        raise InfeasibleError(
            f"LSMR must reach a residual of {limit:.3g}, got {error:.3g} (condition {self.condition:.3g}); "
            f"use padding='circular', a larger stride or fewer channels",
            theorem="T8c",
            value=error,
            limit=limit,
        )


def _selection(pixels: np.ndarray, columns: int) -> Any:
    """Return the matrix with a 1 in each row at the given column; -1 (outside the image) leaves the row empty."""
    rows = np.flatnonzero(pixels >= 0)
    seen = pixels.ravel()[rows]
    return scipy.sparse.csr_array((np.ones(rows.size), (rows, seen)), shape=(pixels.size, columns))


class ValidLayer(BorderLayer):
    """No padding: the kernel stays inside the image.

    Raises
    ------
    ValueError
        The kernel is larger than the image.
    """

    padding = "valid"
    before = 0

    @staticmethod
    def length_out(length: int, size: int, stride: int) -> int:
        """Return the positions at which the kernel is inside."""
        if length < size:
            raise ValueError(
                f"a kernel of size {size} needs an image of at least that side, got {length}; use fewer layers"
            )
        return (length - size) // stride + 1

    def _pad(self, X: Array, axis: int) -> Array:
        return X


class ZeroLayer(BorderLayer):
    """Zeros outside the image; with stride 1 the output has the size of the input."""

    padding = "zero"

    @property
    def before(self) -> int:  # type: ignore[override]
        """Half the kernel."""
        half: int = self.size // 2
        return half

    @staticmethod
    def length_out(length: int, size: int, stride: int) -> int:
        """Return the positions at which the middle of the kernel is inside."""
        return (length - 1) // stride + 1

    def _pad(self, X: Array, axis: int) -> Array:
        xp = namespace(X)
        shape = tuple(self.before if k == axis else n for k, n in enumerate(X.shape))
        zeros = xp.zeros(shape, dtype=X.dtype, device=device_of(X))
        return xp.concat([zeros, X, zeros], axis=axis)
