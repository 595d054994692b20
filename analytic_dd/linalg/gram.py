"""Sums that determine ridge regression: n, G = sum phi phi^T, C = sum y phi^T, sum y^2, sum phi, sum y. They only add.

Every sum takes the weight of the sample as a factor, 1 by default (T12).

Theorem: T13. With a fixed feature map, chunks, processes and machines are merged by adding their sums; every ridge,
with or without an intercept, follows from them. Distilled sets of parts do not merge; these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, as_weights, in_double, namespace, to_numpy
from analytic_dd.errors import DataError, ShapeError
from analytic_dd.files import read_npz, write_npz

__all__ = ["GramSpectrum", "GramStatistics"]

_FORMAT = "analytic_dd.GramStatistics/1"
_BLOCK_BYTES = 64 * 2**20  # float32 rows are converted to float64 in blocks of about this size, 2,048 at least


@dataclass(frozen=True)
class GramSpectrum:
    """Eigendecomposition ``G = Q diag(values) Q^T``, values descending and not below 0 (G is a sum of squares).

    Attributes
    ----------
    values : (p,) array
        Squared singular values of Phi; a rounding below 0 is stored as 0.
    vectors : (p, p) array
        Orthonormal columns Q.
    """

    values: Array
    vectors: Array

    def weights(self, C: Array, ridge: float) -> Array:
        """Return ``C (G + ridge I)^-1`` (k, p); for ridge = 0 the pseudo-inverse at the rank that G resolves."""
        xp = namespace(self.values)
        shifted = self.values + ridge
        cutoff = self.values.shape[0] * float(xp.finfo(self.values.dtype).eps) * float(self.values[0])
        kept = self.values > cutoff if ridge == 0.0 else shifted > 0.0
        inverse = xp.where(kept, 1.0 / xp.where(kept, shifted, 1.0), 0.0)
        return ((C @ self.vectors) * inverse) @ self.vectors.T


class GramStatistics:
    r"""Accumulate ``G = sum phi phi^T`` and ``C = sum y phi^T`` over samples, in float64.

    Theorem: T13.

    Parameters
    ----------
    p : int
        Number of features.
    k : int
        Number of outputs.

    Attributes
    ----------
    n : int
        Number of samples so far.
    weight : float
        Sum of the sample weights; n without weights.
    G : (p, p) array
    C : (k, p) array
    yy : (k,) array
        Sum of squared labels.
    sum_phi : (p,) array
    sum_y : (k,) array

    Notes
    -----
    *Cost.* n p^2 flops a pass with numpy (a symmetric rank-k update, half of a general product); memory 2 p^2 and one
    block. Nothing (n, n) and no second copy of the data is formed.
    *Numerics.* Sums are float64 whatever comes in: products of float32 data are exact in it. The error of the weights
    is eps times the *square* of cond_eff, cond_eff^2 = (s_1^2 + ridge) / (s_p^2 + ridge); below ridge = 1e-10 s_1^2
    take :class:`analytic_dd.linalg.StreamingQR`.

    Examples
    --------
    >>> import numpy as np
    >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
    >>> whole = GramStatistics(2, 1).update(Phi, Y)
    >>> parts = GramStatistics(2, 1).update(Phi[:1], Y[:1]).merge(GramStatistics(2, 1).update(Phi[1:], Y[1:]))
    >>> bool(np.all(whole.G == parts.G)), whole.n
    (True, 3)
    >>> whole.update(Phi[:, :1], Y)
    Traceback (most recent call last):
        ...
    analytic_dd.errors.ShapeError: Phi must have 2 columns, got 1 (shape (3, 1))
    """

    def __init__(self, p: int, k: int) -> None:
        if p < 1 or k < 1:
            raise ShapeError(f"statistics need at least one feature and one output, got p = {p}, k = {k}")
        self.p, self.k, self.n, self.weight = int(p), int(k), 0, 0.0
        self._G: Array = None
        self.C: Array = None
        self.yy: Array = None
        self.sum_phi: Array = None
        self.sum_y: Array = None
        self._spectrum: GramSpectrum | None = None

    def update(self, Phi: Array, Y: Array, *, sample_weight: Array | None = None) -> GramStatistics:
        """Add the samples ``Phi`` (n, p), ``Y`` (n, k) and return ``self``.

        Parameters
        ----------
        Phi, Y : (n, p), (n, k) arrays
        sample_weight : (n,) array, optional
            Weights >= 0: a sample of weight 2 counts as two of weight 1 (T12: rows times the root of the weight).

        Raises
        ------
        ShapeError, TypeError, ValueError
            Sizes that do not fit, integers, NaN, weights < 0; the sums are then as before.
        """
        as_matrix(Phi, "Phi", columns=self.p, finite=False)
        as_matrix(Y, "Y", rows=Phi.shape[0], columns=self.k)
        xp, n = namespace(Phi, Y), int(Phi.shape[0])
        rows = max(2048, _BLOCK_BYTES // (8 * self.p))
        blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        labels = in_double(Y)
        ones = xp.ones((n, 1), dtype=labels.dtype, device=getattr(labels, "device", None))
        labels = xp.concat([labels, ones], axis=1)  # the row of ones makes the sum of Phi, in the same product as C
        weights = None if sample_weight is None else in_double(as_weights(sample_weight, n))[:, None]
        weighted = labels if weights is None else weights * labels
        with np.errstate(over="ignore", invalid="ignore"):
            moments = sum(in_double(Phi[block, :]).T @ weighted[block, :] for block in blocks).T
        if not bool(xp.all(xp.isfinite(moments))):
            as_matrix(Phi, "Phi")  # says where; nothing has been added yet
        if self._G is None:
            self._start(Phi)
        for block in blocks:
            F = in_double(Phi[block, :]) if weights is None else xp.sqrt(weights[block, :]) * in_double(Phi[block, :])
            # numpy sees the transpose and calls the symmetric rank-k update of *its* BLAS: scipy's is another library
            # with threads of its own, and two sets of threads that wait for work slow each other down
            with np.errstate(over="ignore"):  # an overflow is named by spectrum()
                self._G += F.T @ F
        self.C, self.sum_phi = self.C + moments[: self.k, :], self.sum_phi + moments[self.k, :]
        sums = xp.sum(weighted, axis=0)
        self.yy = self.yy + xp.sum(weighted * labels, axis=0)[: self.k]
        self.sum_y, self.weight = self.sum_y + sums[: self.k], self.weight + float(sums[self.k])
        self.n += n
        self._spectrum = None
        return self

    def _start(self, like: Array) -> None:
        xp = namespace(like)
        zero = in_double(like[:1, :1]) * 0.0  # a float64 zero on the device of the data

        def zeros(*shape: int) -> Array:
            return xp.zeros(shape, dtype=zero.dtype, device=getattr(zero, "device", None))

        self._G = zeros(self.p, self.p)
        self.C, self.yy = zeros(self.k, self.p), zeros(self.k)
        self.sum_phi, self.sum_y = zeros(self.p), zeros(self.k)

    @property
    def G(self) -> Array:
        """The Gram matrix (p, p): the sum itself, which the next update changes; copy it to keep it."""
        self._require_samples()
        return self._G

    def _require_samples(self) -> None:
        if not self.weight > 0.0:
            missing = "are empty; call update(Phi, Y) first" if self.n == 0 else "have no weight; give a sample some"
            raise ValueError(f"the statistics {missing}")

    def merge(self, other: GramStatistics) -> GramStatistics:
        """Add the sums of ``other`` (same p and k, same feature map) and return ``self``; ``other`` is unchanged."""
        if (self.p, self.k) != (other.p, other.k):
            raise ShapeError(
                f"statistics must have the same p and k, got {(self.p, self.k)} and {(other.p, other.k)}; "
                "sums of different feature maps do not add"
            )
        if other.n:
            if self._G is None:
                self._start(other.C)
            for name in ("_G", "C", "yy", "sum_phi", "sum_y"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
            self.n, self.weight = self.n + other.n, self.weight + other.weight
            self._spectrum = None
        return self

    @property
    def mean_phi(self) -> Array:
        """The weighted mean of the features (p,)."""
        return self.sum_phi / self.weight

    @property
    def mean_y(self) -> Array:
        """The weighted mean of the labels (k,)."""
        return self.sum_y / self.weight

    def centred(self) -> GramStatistics:
        """Return the statistics of ``Phi - mean``, ``Y - mean``: ridge regression with an unpenalised intercept (T12).

        Notes
        -----
        *Numerics.* ``G - n mean mean^T`` loses as many digits as the mean exceeds the deviation; normalise first.
        """
        self._require_samples()
        result = GramStatistics(self.p, self.k)
        result.n, result.weight = self.n, self.weight
        mean, mean_y = self.mean_phi, self.mean_y
        result._G = self.G - (self.weight * mean[:, None]) * mean[None, :]
        result.C = self.C - (self.weight * mean_y[:, None]) * mean[None, :]
        result.yy = self.yy - self.weight * mean_y * mean_y
        result.sum_phi, result.sum_y = self.sum_phi * 0.0, self.sum_y * 0.0
        return result

    def spectrum(self) -> GramSpectrum:
        """Return the eigendecomposition of G: O(p^3) once, kept until the sums change."""
        if self._spectrum is None:
            xp = namespace(self.C)
            if not bool(xp.all(xp.isfinite(self.G))):
                raise ValueError("the Gram matrix is not finite: features overflow when squared; scale them down")
            values, vectors = xp.linalg.eigh(self.G)
            # taken, not flipped: a view with a negative stride would be copied again in every product
            order = xp.arange(self.p - 1, -1, -1, device=getattr(values, "device", None))
            values = xp.take(values, order, axis=0)
            self._spectrum = GramSpectrum(xp.where(values > 0.0, values, 0.0 * values), xp.take(vectors, order, axis=1))
        return self._spectrum

    def weights(self, ridge: float) -> Array:
        """Return ridge regression weights (k, p): ``W = C (G + ridge I)^-1``.

        Notes
        -----
        *Cost.* One LU solve, 2 p^3 / 3 flops, where ridge >= 1e-10 trace(G) and no spectrum is at hand; else the
        spectrum.
        """
        ridge = as_ridge(ridge)
        self._require_samples()
        xp = namespace(self.C)
        G = self.G
        if self._spectrum is None and ridge > 0.0 and ridge >= 1e-10 * float(xp.sum(xp.linalg.diagonal(G))):
            shifted = G + ridge * xp.eye(self.p, dtype=G.dtype, device=getattr(G, "device", None))
            return xp.linalg.solve(shifted, self.C.T).T
        return self.spectrum().weights(self.C, ridge)

    def path(self, ridges: Sequence[float] | np.ndarray) -> Array:
        """Return the weights (L, k, p) for all ``ridges`` from one eigendecomposition."""
        self._require_samples()
        spectrum, xp = self.spectrum(), namespace(self.C)
        return xp.stack([spectrum.weights(self.C, as_ridge(ridge)) for ridge in ridges])

    def save(self, path: str | Path) -> None:
        """Write the sums to an npz file, atomically and without pickles."""
        self._require_samples()
        sums = {"G": self.G, "C": self.C, "yy": self.yy, "sum_phi": self.sum_phi, "sum_y": self.sum_y}
        header = {"format": np.frombuffer(_FORMAT.encode(), dtype=np.uint8), "n": np.asarray(self.n)}
        header["weight"] = np.asarray(self.weight)
        write_npz(path, header | {name: to_numpy(value) for name, value in sums.items()})

    @classmethod
    def load(cls, path: str | Path) -> GramStatistics:
        """Read sums written by :meth:`save`.

        Raises
        ------
        DataError
            Not such a file, or sizes in it that contradict each other.
        """
        stored = read_npz(path)
        if bytes(stored.get("format", np.zeros(0, np.uint8))) != _FORMAT.encode():
            raise DataError(f"{path} holds no statistics of this version ({_FORMAT}); make it with GramStatistics.save")
        k, p = stored["C"].shape if "C" in stored and stored["C"].ndim == 2 else (0, 0)
        shapes = {"C": (k, p), "G": (p, p), "yy": (k,), "sum_phi": (p,), "sum_y": (k,), "n": (), "weight": ()}
        for name, shape in shapes.items():
            array = stored.get(name)
            numbers = array is not None and array.dtype.kind == ("i" if name == "n" else "f") and k and p
            if array is None or not numbers or array.shape != shape or not np.all(np.isfinite(array)):
                raise DataError(f"{path}: {name} must be finite of shape {shape}; the file is damaged, make it again")
        if np.abs(stored["G"] - stored["G"].T).max() > 1e-12 * np.abs(stored["G"]).max():
            raise DataError(f"{path}: G must be symmetric; the file is damaged, make it again")
        if stored["n"] < 1 or not stored["weight"] > 0.0:
            raise DataError(f"{path}: n must be at least 1, got {stored['n']}; the file is damaged, make it again")
        result = cls(p, k)
        result.n, result.weight, result._G = int(stored["n"]), float(stored["weight"]), stored["G"]
        result.C, result.yy = stored["C"], stored["yy"]
        result.sum_phi, result.sum_y = stored["sum_phi"], stored["sum_y"]
        return result
