"""Least squares over a stream by QR, whose error grows with cond and not with its square."""

from __future__ import annotations

import array_api_compat as compat
import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, in_double, namespace
from analytic_dd.errors import ShapeError
from analytic_dd.linalg.least_squares import least_squares
from analytic_dd.linalg.spectrum import thin_svd

__all__ = ["StreamingQR"]

_ROWS = 4_096  # at a time: fewer of few columns would join the factor too often, more of many take memory


class StreamingQR:
    r"""Keep the triangular factor of ``[Phi Y]`` over a stream of samples (TSQR), in float64.

    With  [Phi Y] = Q [[R, S], [0, T]]  ridge regression on the stream is ridge regression on (R, S):

        W = S^T U g(s) V^T   for the SVD  R = U s V^T,   g(s) = s / (s^2 + ridge),  1 / s at ridge = 0.

    Theorem: T13.

    Parameters
    ----------
    p, k : int
        Numbers of features and outputs.

    Notes
    -----
    *Cost.* At most 3 n (p + k)^2 flops for blocks of 2 (p + k) samples or more; memory for about 6 (p + k)^2 numbers,
    and some thousand rows. *Numerics.* W has an error of eps * cond_eff, against eps * cond_eff^2 by
    :class:`GramStatistics`.

    Examples
    --------
    >>> import numpy as np
    >>> Phi = np.array([[1.0, 1.0], [1e-9, 0.0], [0.0, 1e-9]])  # its Gram matrix is singular in float64
    >>> W = StreamingQR(2, 1).update(Phi, Phi @ np.array([[2.0], [3.0]])).weights(0.0)
    >>> np.round(W, 6)
    array([[2., 3.]])
    """

    def __init__(self, p: int, k: int) -> None:
        if p < 1 or k < 1:
            raise ShapeError(f"at least one feature and one output are needed, got p = {p}, k = {k}")
        self.p, self.k, self.n = int(p), int(k), 0
        self.R: Array = None

    def update(self, Phi: Array, Y: Array) -> StreamingQR:
        """Add the samples ``Phi`` (n, p), ``Y`` (n, k) and return ``self``."""
        as_matrix(Phi, "Phi", columns=self.p)
        as_matrix(Y, "Y", rows=Phi.shape[0], columns=self.k)
        xp = namespace(Phi, Y)
        rows = max(256, 2 * (self.p + self.k), min(4 * (self.p + self.k), _ROWS))
        n = int(Phi.shape[0])
        rows = max(1, -(-n // max(1, n // rows)))  # equal parts, since a short one costs a factor of its own
        for start in range(0, n, rows):
            block = slice(start, min(start + rows, n))
            self._reduce(xp.concat([in_double(Phi[block, :]), in_double(Y[block, :])], axis=1))
        self.n += n
        return self

    def merge(self, other: StreamingQR) -> StreamingQR:
        """Add the samples of ``other`` (same p and k) and return ``self``."""
        if (self.p, self.k) != (other.p, other.k):
            raise ShapeError(f"factors must have the same p and k, got {(self.p, self.k)} and {(other.p, other.k)}")
        if other.R is not None:
            self._reduce(other.R)
            self.n += other.n
        return self

    def _reduce(self, block: Array) -> None:
        xp = namespace(block)
        stacked = block if self.R is None else xp.concat([self.R, block], axis=0)
        self.R = _triangle(stacked) if stacked.shape[0] > stacked.shape[1] else stacked

    def weights(self, ridge: float, *, rcond: float | None = None) -> Array:
        """Return ridge regression weights (k, p), of minimum norm for ridge = 0."""
        ridge = as_ridge(ridge)
        if self.R is None:
            raise ValueError("no samples yet; call update(Phi, Y) first")
        R, S = self.R[:, : self.p], self.R[:, self.p :]
        if ridge == 0.0:
            return least_squares(R, S, rcond=rcond)
        spectrum = thin_svd(R, rcond=0.0)
        return ((S.T @ spectrum.U) * (spectrum.s / (spectrum.s**2 + ridge))) @ spectrum.Vt


def _triangle(A: Array) -> Array:
    """Return the triangular factor of A alone; the array API also forms the orthogonal one."""
    if isinstance(A, np.ndarray):
        return np.linalg.qr(A, mode="r")
    if compat.is_torch_array(A):
        import torch

        return torch.linalg.qr(A, mode="r")[1]
    return namespace(A).linalg.qr(A, mode="reduced")[1]
