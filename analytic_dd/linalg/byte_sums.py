r"""Sums over samples that are bytes, without a rounding and at the speed of float32 (T13).

    z = x - 128 in [-128, 127]:  a sum of 1,024 products z_i z_j is an integer of at most 2^24

which float32 holds exactly, whatever the order of summation; blocks are added in float64, exactly to 2^53. The sums of
normalised samples  t (x - mean),  t = 1 / std,  follow with r = sum(x) / n - mean:

    G = t t^T * ((n S - s s^T) / n + n r r^T),    S = sum z z^T,  s = sum z
"""

from __future__ import annotations

import numpy as np

from analytic_dd.errors import ShapeError
from analytic_dd.linalg.sums import Sums
from analytic_dd.linalg.threads import one_thread
from analytic_dd.linalg.thresholds import LIMITS
from analytic_dd.linalg.tiles import add_gram, mirror, tiles

__all__ = ["ByteSums"]

_MIDDLE = 128
_EXACT_ROWS = 2**24 // _MIDDLE**2


class ByteSums:
    """Accumulate the sums of bytes exactly; :meth:`statistics` are those of the normalised samples.

    Theorem: T13.

    Parameters
    ----------
    d, k : int
        Entries of a sample, outputs.

    Notes
    -----
    *Cost.* n d^2 flops in float32, half the time of float64; memory d^2 and a block. *Numerics.* S and s are exact for
    n < 2^39 samples; G has a few roundings an entry, whatever n: the mean is taken off before anything is rounded
    (while n^2 < 2^39, n S is exact too).

    Examples
    --------
    >>> x, Y = np.array([[0, 255], [7, 9], [1, 2]], np.uint8), np.array([[1.0], [0.0], [1.0]])
    >>> sums = ByteSums(2, 1).update(x, Y).statistics(np.zeros(2), np.ones(2))
    >>> sums.G.round(6).tolist(), sums.C.tolist(), sums.n
    ([[50.0, 65.0], [65.0, 65110.0]], [[1.0, 257.0]], 3)
    >>> ByteSums(2, 1).update(x.astype(float), Y)
    Traceback (most recent call last):
        ...
    TypeError: exact sums are of bytes, got float64; take GramStatistics
    """

    def __init__(self, d: int, k: int) -> None:
        self.d, self.k, self.n = int(d), int(k), 0
        self._S = np.zeros((d, d))  # tiles on and below the diagonal only
        self._Cz, self._s = np.zeros((k, d)), np.zeros(d)
        self._yy, self._sum_y = np.zeros(k), np.zeros(k)

    def update(self, x: np.ndarray, Y: np.ndarray) -> ByteSums:
        """Add the samples ``x`` (n, d) uint8, ``Y`` (n, k) and return ``self``."""
        if x.dtype != np.uint8:
            raise TypeError(f"exact sums are of bytes, got {x.dtype}; take GramStatistics")
        if x.ndim != 2 or x.shape[1] != self.d or Y.shape != (len(x), self.k):
            raise ShapeError(f"x and Y must be (n, {self.d}) and (n, {self.k}), got {x.shape} and {Y.shape}")
        for start in range(0, len(x), _EXACT_ROWS):
            self._add(x[start : start + _EXACT_ROWS], Y[start : start + _EXACT_ROWS])
        return self

    def _add(self, x: np.ndarray, Y: np.ndarray) -> None:
        Z = (x ^ np.uint8(_MIDDLE)).view(np.int8).astype(np.float32)  # the top bit flipped: x - 128 in two's complement
        with one_thread(Z.shape[0] * self._S.size <= LIMITS.one_thread_flops):
            add_gram(self._S, Z)
        columns = np.column_stack([Y, np.ones(len(Y))])
        # labels 0 and 1 keep these products exact in float32 too; others are multiplied in float64
        binary = bool(np.all((columns == 0.0) | (columns == 1.0)))
        moments = columns.astype(np.float32).T @ Z if binary else columns.T @ Z.astype(np.float64)
        self._Cz += moments[: self.k]
        self._s += moments[self.k]
        self._yy += (Y * Y).sum(axis=0)
        self._sum_y += Y.sum(axis=0)
        self.n += len(x)

    def statistics(self, mean: np.ndarray, std: np.ndarray) -> Sums:
        """Return the sums of  (x - mean) / std;  this object is used up.

        Parameters
        ----------
        mean, std : (d,) arrays
            Of each entry.
        """
        n, s, t = float(self.n), self._s, 1.0 / std
        a = mean - _MIDDLE
        r = s / n - a
        G, self._S = self._S, np.zeros((0, 0))
        mirror(G)
        for rows in tiles(self.d):
            G[rows] *= n
            G[rows] -= np.multiply.outer(s[rows], s)
            G[rows] /= n
            G[rows] += n * np.multiply.outer(r[rows], r)
            G[rows] *= np.multiply.outer(t[rows], t)
        C = t * (self._Cz - self._sum_y[:, None] * a)
        return Sums(self.n, n, G, C, self._yy, t * (s - n * a), self._sum_y)
