"""The eigendecomposition of a Gram matrix, which serves every ridge (T13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, device_of, namespace, to_numpy
from analytic_dd.linalg.least_squares import column_units
from analytic_dd.linalg.spectrum import eigh
from analytic_dd.linalg.threads import one_thread
from analytic_dd.linalg.thresholds import LIMITS

_CLEAR = 10.0  # below so many times the cut-off the rank is a matter of rounding

__all__ = ["GramSpectrum", "eigendecomposition", "weights_of_independent"]


@dataclass(frozen=True)
class GramSpectrum:
    """The eigendecomposition ``G = Q diag(values) Q^T`` of a sum of squares, values descending and not below 0.

    Attributes
    ----------
    values : (p,) array
        Squared singular values of Phi; a rounding below 0 is stored as 0.
    vectors : (p, p) array
        Orthonormal columns Q.
    """

    values: Array
    vectors: Array

    @property
    def rank(self) -> int:
        """Number of eigenvalues that are not rounding of 0."""
        values = to_numpy(self.values)
        return int(np.sum(values > len(values) * np.finfo(np.float64).eps * values[0]))

    def weights(self, C: Array, ridge: float) -> Array:
        """Return ``C (G + ridge I)^-1`` (k, p), with the pseudo-inverse at the rank of G for ridge = 0."""
        xp = namespace(self.values)
        shifted = self.values + ridge
        cutoff = self.values.shape[0] * float(xp.finfo(self.values.dtype).eps) * float(self.values[0])
        kept = self.values > cutoff if ridge == 0.0 else shifted > 0.0
        inverse = xp.where(kept, 1.0 / xp.where(kept, shifted, 1.0), 0.0)
        return ((C @ self.vectors) * inverse) @ self.vectors.T


def eigendecomposition(G: Array) -> GramSpectrum:
    """Return the eigendecomposition of a Gram matrix (p, p) that is finite.

    Theorem: T13.

    Notes
    -----
    *Cost.* O(p^3) time. With numpy and a large p it takes 3 p^2 floats beside ``G`` while it runs, for the copy that
    the vectors overwrite and for work space, and p^2 after.
    """
    xp = namespace(G)
    with one_thread(G.shape[0] <= LIMITS.one_thread):
        values, vectors = eigh(G)
    # a flipped view, with its negative stride, would be copied again in every product
    order = xp.arange(G.shape[0] - 1, -1, -1, device=device_of(values))
    values = xp.take(values, order, axis=0)
    return GramSpectrum(xp.where(values > 0.0, values, 0.0 * values), xp.take(vectors, order, axis=1))


def weights_of_independent(G: Array, C: Array) -> Array | None:
    r"""Return ``C G^+`` (k, p) if all features that are not zero are independent in units of their size, else None.

    The minimiser is then unique, and the units of the features do not matter. Eigenvalues of G itself would lose a
    feature beside another that is 1e8 times its size.

    Theorem: T13.

    Notes
    -----
    *Cost.* One eigendecomposition.
    """
    xp = namespace(G)
    units = column_units(xp.sqrt(xp.linalg.diagonal(G))[None, :])
    found = eigendecomposition(G / units[:, None] / units[None, :])
    values = to_numpy(found.values)
    there = int(xp.sum(xp.astype(xp.linalg.diagonal(G) > 0.0, xp.int32)))
    if there == 0 or not values[there - 1] > _CLEAR * len(values) * np.finfo(np.float64).eps * values[0]:
        return None
    kept = found.vectors[:, :there]
    return (((C / units) @ kept / found.values[:there]) @ kept.T) / units
