"""Sums that determine ridge regression: n, G = sum phi phi^T, C = sum y phi^T, sum y^2, sum phi, sum y. They only add.

Every sum takes the weight of the sample as a factor, 1 by default (T12).

Theorem: T13. With a fixed feature map, chunks, processes and machines are merged by adding their sums; every ridge,
with or without an intercept, follows from them. Distilled sets of parts do not merge; these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analytic_dd.arrays import Array, as_matrix, as_ridge, as_weights, in_double, namespace, to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg.cholesky import CholeskyFactor
from analytic_dd.linalg.gram_file import read_sums, restore, write_sums
from analytic_dd.linalg.gram_spectrum import GramSpectrum, eigendecomposition
from analytic_dd.linalg.path_plan import PathPlan, plan_path
from analytic_dd.linalg.products import ProductRule, gram_product, require_float32_range
from analytic_dd.linalg.provenance import Provenance, combined, require_count
from analytic_dd.linalg.removal import remainder
from analytic_dd.linalg.tiles import add_gram, mirror

__all__ = ["GramStatistics"]

_BLOCK_BYTES = 64 * 2**20  # float32 rows are converted to float64 in blocks of about this size, 2,048 at least
_FINE = 1e-10  # of trace(G): below such a ridge the rank is decided on the spectrum


class GramStatistics:
    r"""Accumulate ``G = sum phi phi^T`` and ``C = sum y phi^T`` over samples, in float64.

    Theorem: T13.

    Parameters
    ----------
    p : int
        Number of features.
    k : int
        Number of outputs.
    products : {"float64", "float32", "auto"}
        Precision of the product of a block, :class:`analytic_dd.linalg.ProductRule`; blocks are added in float64.
    tolerance : float
        The largest relative error of W that float32 products may cause: above it :meth:`weights` refuses.
    smallest_ridge : float, optional
        The smallest ridge that the sums are for; ``products="auto"`` needs it.

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
    gram_error : float
        Bound on the spectral norm of what G lost to float32 products (measured, see ``gram_product``) and to sums
        that were taken away; 0 where neither happened. The relative error of W from it is at most
        gram_error / (s_p^2 + ridge).
    float32_samples : int
        Samples whose products are float32.
    provenance : Provenance or None
        What the sums were made of, if told; checked by :meth:`merge`, kept by :meth:`save`.

    Notes
    -----
    *Cost.* n p^2 flops a pass with numpy (a symmetric rank-k update, half of a general product); memory 2 p^2 and one
    block. Nothing (n, n) and no second copy of the data is formed.
    *Numerics.* Sums are float64 whatever comes in: products of float32 data are exact in it. The error of the weights
    is eps times the *square* of cond_eff, cond_eff^2 = (s_1^2 + ridge) / (s_p^2 + ridge);
    :func:`analytic_dd.ridge.choose_solver` says when to take :class:`analytic_dd.linalg.StreamingQR` instead.

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

    def __init__(
        self,
        p: int,
        k: int,
        *,
        products: str = "float64",
        tolerance: float = 1e-6,
        smallest_ridge: float | None = None,
    ) -> None:
        if p < 1 or k < 1:
            raise ShapeError(f"statistics need at least one feature and one output, got p = {p}, k = {k}")
        self.p, self.k, self.n, self.weight = int(p), int(k), 0, 0.0
        self.rule = ProductRule(products, tolerance, smallest_ridge)
        self.gram_error, self.float32_samples = 0.0, 0
        self.provenance: Provenance | None = None
        self._G: Array = None
        self._half = False  # only the tiles of _G on and below the diagonal are up to date
        self.C: Array = None
        self.yy: Array = None
        self.sum_phi: Array = None
        self.sum_y: Array = None
        self._spectrum: GramSpectrum | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, p={self.p}, k={self.k}, products={self.rule.kind!r})"

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
        RangeError
            ``products="float32"`` and squares that overflow in it; the sums are then as before.
        """
        as_matrix(Phi, "Phi", columns=self.p, finite=False)
        as_matrix(Y, "Y", rows=Phi.shape[0], columns=self.k)
        xp, n = namespace(Phi, Y), int(Phi.shape[0])
        rows = max(4096, _BLOCK_BYTES // (8 * self.p)) if self.rule.kind == "float64" else 2048
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
        if self.rule.kind == "float32":
            for block in blocks:
                require_float32_range(_rows(Phi, block, weights))
        if self._G is None:
            self._start(Phi)
        for block in blocks:
            self._add_product(_rows(Phi, block, weights))
        self.C, self.sum_phi = self.C + moments[: self.k, :], self.sum_phi + moments[self.k, :]
        sums = xp.sum(weighted, axis=0)
        self.yy = self.yy + xp.sum(weighted * labels, axis=0)[: self.k]
        self.sum_y, self.weight = self.sum_y + sums[: self.k], self.weight + float(sums[self.k])
        self.n += n
        self._spectrum = None
        return self

    def _add_product(self, F: Array) -> None:
        if self.rule.kind == "float64" and isinstance(F, np.ndarray):
            with np.errstate(over="ignore"):  # an overflow is named by spectrum
                add_gram(self._G, in_double(F))
            self._half = True
            return
        product = gram_product(F, self.rule, spent=self.gram_error)
        self._G += product.value
        self.gram_error += product.error
        self.float32_samples += F.shape[0] * product.single

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
        if self._half:
            mirror(self._G)
            self._half = False
        return self._G

    def _require_samples(self) -> None:
        if not self.weight > 0.0:
            missing = "are empty; call update(Phi, Y) first" if self.n == 0 else "have no weight; give a sample some"
            raise ValueError(f"the statistics {missing}")

    def merge(self, other: GramStatistics) -> GramStatistics:
        """Add the sums of ``other`` (same p and k, same feature map) and return ``self``; ``other`` is unchanged.

        Raises
        ------
        ShapeError
            Another p or k.
        DataError
            Their provenances differ in what must agree, or name a sample twice; only one of them has a provenance.
        """
        self._require_same_sizes(other)
        if other.n:
            provenance = combined(self, other) if self.n else other.provenance or self.provenance
            if self._G is None:
                self._start(other.C)
            for name in ("_G", "C", "yy", "sum_phi", "sum_y"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
            self._half |= other._half
            self.n, self.weight = self.n + other.n, self.weight + other.weight
            self.gram_error += other.gram_error
            self.float32_samples += other.float32_samples
            self._spectrum, self.provenance = None, provenance
        return self

    def subtract(self, other: GramStatistics) -> GramStatistics:
        """Take the sums of ``other`` away, whose samples are among these, and return ``self``.

        Theorem: T13. Checks, errors and cost are those of :func:`analytic_dd.linalg.removal.remainder`.
        """
        self._require_same_sizes(other)
        self.__dict__.update(remainder(self, other).__dict__)
        return self

    def remove(
        self, Phi: Array, Y: Array, *, sample_weight: Array | None = None, provenance: Provenance | None = None
    ) -> GramStatistics:
        """Take samples away that were added before, and return ``self``; see :meth:`subtract`.

        Examples
        --------
        >>> import numpy as np
        >>> Phi, Y = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])
        >>> GramStatistics(2, 1).update(Phi, Y).remove(Phi[2:], Y[2:]).G.tolist()
        [[1.0, 0.0], [0.0, 4.0]]
        """
        taken = GramStatistics(self.p, self.k).update(Phi, Y, sample_weight=sample_weight)
        taken.provenance = provenance
        return self.subtract(taken)

    def _require_same_sizes(self, other: GramStatistics) -> None:
        if (self.p, self.k) != (other.p, other.k):
            raise ShapeError(
                f"statistics must have the same p and k, got {(self.p, self.k)} and {(other.p, other.k)}; "
                "sums of different feature maps do not add"
            )

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_spectrum": None}  # twice the size of the sums, and computed again when needed

    @property
    def mean_phi(self) -> Array:
        """The weighted mean of the features (p,)."""
        return self.sum_phi / self.weight

    @property
    def mean_y(self) -> Array:
        """The weighted mean of the labels (k,)."""
        return self.sum_y / self.weight

    @property
    def trace(self) -> float:
        """Trace of G: the weighted sum of squared features."""
        return float(namespace(self.C).linalg.trace(self.G))

    def apply_gram(self, X: Array) -> Array:
        """Return ``X G`` (q, p) for ``X`` (q, p)."""
        return as_matrix(X, "X", columns=self.p) @ self.G

    def on_host(self) -> GramStatistics:
        """Return the same sums in numpy arrays, or these where they are."""
        if self._G is None or isinstance(self.C, np.ndarray):
            return self
        numbers = {name: getattr(self, name) for name in ("n", "weight", "gram_error", "float32_samples", "provenance")}
        arrays = {name: to_numpy(getattr(self, name)) for name in ("G", "C", "yy", "sum_phi", "sum_y")}
        return restore(GramStatistics(self.p, self.k), arrays | numbers)

    def centred(self) -> GramStatistics:
        """Return the statistics of ``Phi - mean``, ``Y - mean``: ridge regression with an unpenalised intercept (T12).

        Notes
        -----
        *Numerics.* ``G - n mean mean^T`` loses as many digits as the mean exceeds the deviation; normalise first.
        """
        self._require_samples()
        result = GramStatistics(self.p, self.k)
        result.n, result.weight, result.rule = self.n, self.weight, self.rule
        result.gram_error, result.float32_samples = self.gram_error, self.float32_samples
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
            self._spectrum = eigendecomposition(self.G)
        return self._spectrum

    def largest_eigenvalue(self) -> float:
        """Return the largest eigenvalue of G."""
        return float(self.spectrum().values[0])

    def weights(self, ridge: float) -> Array:
        """Return ridge regression weights (k, p): ``W = C (G + ridge I)^-1``.

        Raises
        ------
        InfeasibleError
            T13: float32 products may have changed W by more than ``tolerance``.

        Notes
        -----
        *Cost.* One Cholesky factor, p^3 / 3 flops, where ridge >= 1e-10 trace(G) and no spectrum is at hand; else the
        spectrum.
        """
        ridge = as_ridge(ridge)
        self._require_samples()
        self.require_products(ridge)
        if self._spectrum is None and self._is_definite(ridge):
            return self.factor(ridge).solve(self.C.T).T
        return self.spectrum().weights(self.C, ridge)

    def factor(self, ridge: float) -> CholeskyFactor:
        """Return the Cholesky factor of ``G + ridge I``; ValueError where that is not positive definite."""
        G, xp = self.G, namespace(self.C)
        if isinstance(G, np.ndarray):
            shifted = G.copy()
            shifted.flat[:: self.p + 1] += ridge
            return CholeskyFactor(shifted)
        shifted = G + ridge * xp.eye(self.p, dtype=G.dtype, device=getattr(G, "device", None))
        return CholeskyFactor(shifted)

    def _is_definite(self, ridge: float) -> bool:
        """Whether G + ridge I is positive definite by so much that a Cholesky factor exists."""
        trace = float(namespace(self.C).sum(namespace(self.C).linalg.diagonal(self.G)))
        return ridge > 0.0 and _FINE * trace <= ridge < float("inf") and trace < float("inf")

    def require_products(self, ridge: float) -> None:
        if self.float32_samples and not (ridge > 0.0 and self.gram_error <= self.rule.tolerance * ridge):
            self.rule.require_accuracy(self.gram_error, float(self.spectrum().values[-1]), ridge)

    @property
    def has_spectrum(self) -> bool:
        """Whether the eigendecomposition is at hand, so that using it costs nothing."""
        return self._spectrum is not None

    def plan(self, ridges: Sequence[float] | np.ndarray, *, solver: str = "auto") -> PathPlan:
        """Say how :meth:`path` will compute the weights, and what that costs by the model of :func:`plan_path`."""
        definite = all(self._is_definite(as_ridge(ridge)) for ridge in ridges)
        return plan_path(self.p, self.k, len(ridges), solver=solver, at_hand=self.has_spectrum, definite=definite)

    def path(self, ridges: Sequence[float] | np.ndarray, *, solver: str = "auto") -> Array:
        """Return the weights (L, k, p) for all ``ridges``, by one eigendecomposition or a Cholesky factor for each.

        ``solver`` is ``"spectrum"``, ``"cholesky"`` or ``"auto"``: the cheaper by the model, see :meth:`plan`. Errors
        are those of :meth:`weights`.
        """
        self._require_samples()
        plan, xp = self.plan(ridges, solver=solver), namespace(self.C)
        if len(ridges):
            self.require_products(min(as_ridge(ridge) for ridge in ridges))
        if plan.solver == "cholesky":
            return xp.stack([self.factor(as_ridge(ridge)).solve(self.C.T).T for ridge in ridges])
        spectrum = self.spectrum()
        return xp.stack([spectrum.weights(self.C, as_ridge(ridge)) for ridge in ridges])

    def save(self, path: str | Path) -> None:
        """Write the sums and their provenance to an npz file, atomically and without pickles."""
        self._require_samples()
        require_count(self)
        write_sums(path, self)

    @classmethod
    def load(cls, path: str | Path) -> GramStatistics:
        """Read sums written by :meth:`save`.

        Raises
        ------
        DataError
            Not such a file, or sizes in it that contradict each other.
        """
        stored = read_sums(path)
        k, p = stored["C"].shape
        return restore(cls(p, k), stored)


def _rows(Phi: Array, block: slice, weights: Array | None) -> Array:
    """Rows of a block, times the roots of their weights (T12)."""
    if weights is None:
        return Phi[block, :]
    return namespace(Phi).sqrt(weights[block, :]) * in_double(Phi[block, :])
