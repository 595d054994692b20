"""Ridge regression by the inner products of n < p samples: nothing of size (p, p) is formed (T13)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from analytic_dd.arrays import (
    Array,
    as_matrices,
    as_matrix,
    as_ridge,
    as_weights,
    device_of,
    in_double,
    namespace,
    norm,
    to_numpy,
)
from analytic_dd.errors import DivergenceError, ShapeError
from analytic_dd.linalg import CholeskyFactor, GramSpectrum, eigendecomposition, thin_svd
from analytic_dd.ridge.gcv import gcv_scores
from analytic_dd.ridge.refinement import refine

__all__ = ["DualStatistics"]

Solve = Callable[[Array], Array]

_EPS = 2.0**-52
_ROWS = 1024


class DualStatistics:
    r"""Rows of n samples, whose inner products determine all their ridge regressions.

        K = F F^T,    W = T^T (K + ridge I)^-1 F,    F = sqrt(w) Phi,   T = sqrt(w) Y

    They are to n < p what :class:`analytic_dd.linalg.GramStatistics` are to n >= p, and are read in the same way.

    Theorem: T13, T12 (weights, :meth:`centred`).

    Parameters
    ----------
    Phi, Y : (n, p), (n, k) arrays
    sample_weight : (n,) array, optional
        Weights >= 0; a weight of 2 counts as two copies, and a sample of weight 0 is left out at once.

    Attributes
    ----------
    F, T : (n, p), (n, k) arrays
        Rows times the roots of their weights, about the mean after :meth:`centred`.
    Y : (n, k) array
        Labels as they were given.
    n, p, k : int
        Numbers of samples of weight > 0, of features and of outputs.
    weight : float
        Sum of the weights.
    root : (n,) array
        Roots of the weights.
    about_mean : bool
        Whether these are the statistics of a model with an intercept.

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes do not fit, there are integers, NaN or weights < 0, or all weights are 0.

    Notes
    -----
    *Cost.* Inner products take n^2 p flops and n^2 memory. ``Phi`` is kept, and copied where it has weights or is
    centred.

    Examples
    --------
    >>> one = DualStatistics(np.array([[3.0, 4.0]]), np.array([[1.0]]))
    >>> one.weights(25.0), one.trace
    (array([[0.06, 0.08]]), 25.0)
    >>> DualStatistics(np.eye(2), np.ones((2, 1)), sample_weight=np.array([1.0, -1.0]))
    Traceback (most recent call last):
        ...
    ValueError: sample weights must be finite and >= 0, got -1.0 for sample 1; a weight of 0 drops a sample
    """

    def __init__(self, Phi: Array, Y: Array, *, sample_weight: Array | None = None) -> None:
        Phi, Y = as_matrices(Phi=Phi, Y=Y)
        if Phi.shape[0] != Y.shape[0]:
            raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
        xp, F, self.Y = namespace(Phi, Y), in_double(Phi), in_double(Y)
        if sample_weight is None:
            self.root: Array = xp.ones(Phi.shape[0], dtype=F.dtype, device=device_of(F))
            self.F, self.T = F, self.Y
        else:
            w = in_double(as_weights(sample_weight, int(Phi.shape[0])))
            kept = np.flatnonzero(to_numpy(w) > 0.0)
            if kept.size == 0:
                raise ValueError("the samples have no weight; give a sample some")
            rows = xp.asarray(kept, device=device_of(F))
            self.root = xp.sqrt(xp.take(w, rows, axis=0))
            self.Y = xp.take(self.Y, rows, axis=0)
            self.F, self.T = self.root[:, None] * xp.take(F, rows, axis=0), self.root[:, None] * self.Y
        self.n, self.p, self.k = int(self.F.shape[0]), int(self.F.shape[1]), int(self.Y.shape[1])
        self.weight = float(self.n) if sample_weight is None else float(xp.sum(self.root * self.root))
        self.about_mean = False
        self._K: Array = None
        self._inner: GramSpectrum | None = None
        self._spectrum: GramSpectrum | None = None

    @classmethod
    def of(cls, blocks: Iterable[tuple[Array, ...]], *, n: int) -> DualStatistics:
        """Return the statistics of blocks of (Phi, Y) or (Phi, Y, sample_weight), ``n`` samples in all.

        A block is copied before the next is asked for.
        """
        whole = _stacked(blocks, n)
        return cls(whole[0], whole[1], sample_weight=whole[2] if len(whole) > 2 else None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, p={self.p}, k={self.k})"

    @property
    def K(self) -> Array:
        """Inner products (n, n) of the rows."""
        if self._K is None:
            with np.errstate(over="ignore"):  # an overflow is named by the spectrum
                self._K = self.F @ self.F.T
        return self._K

    @property
    def C(self) -> Array:
        """Weighted sum of y phi^T, (k, p)."""
        return self.T.T @ self.F

    @property
    def yy(self) -> Array:
        """Weighted sum of squared labels (k,)."""
        return namespace(self.T).sum(self.T * self.T, axis=0)

    @property
    def squares(self) -> Array:
        """The diagonal of G, the weighted sum of squares of each feature (p,)."""
        return namespace(self.F).sum(self.F * self.F, axis=0)

    @property
    def trace(self) -> float:
        """The trace of G, the weighted sum of squared features."""
        size = norm(self.F)
        return size * size

    @property
    def sum_phi(self) -> Array:
        """Weighted sum of the features (p,)."""
        return self.F.T @ self.root * (0.0 if self.about_mean else 1.0)

    @property
    def sum_y(self) -> Array:
        """Weighted sum of the labels (k,)."""
        return self.T.T @ self.root * (0.0 if self.about_mean else 1.0)

    @property
    def mean_phi(self) -> Array:
        """The weighted mean of the features (p,)."""
        return self.sum_phi / self.weight

    @property
    def mean_y(self) -> Array:
        """The weighted mean of the labels (k,)."""
        return self.sum_y / self.weight

    def apply_gram(self, X: Array) -> Array:
        """Return ``X G`` (q, p) for ``X`` (q, p), as (X F^T) F in 4 n p q flops."""
        return (as_matrix(X, "X", columns=self.p) @ self.F.T) @ self.F

    def centred(self) -> DualStatistics:
        """Return the statistics of ``Phi - mean``, ``Y - mean``: ridge regression with an unpenalised intercept (T12).

        Notes
        -----
        *Cost.* A copy of the rows. *Numerics.* The mean is taken away before anything is squared. What its rounding
        leaves is taken away too, because ridge = 0 would divide by that.
        """
        result = DualStatistics.__new__(DualStatistics)
        result.__dict__.update(self.__dict__, about_mean=True, _K=None, _inner=None, _spectrum=None)
        if self.about_mean:
            return result
        root = self.root[:, None]
        result.F, result.T = self.F - root * self.mean_phi, self.T - root * self.mean_y
        result.F = result.F - root * ((result.F.T @ self.root) / self.weight)
        result.T = result.T - root * ((result.T.T @ self.root) / self.weight)
        return result

    def on_host(self) -> DualStatistics:
        """Return the same rows in numpy arrays, or these where they are."""
        if isinstance(self.F, np.ndarray):
            return self
        result = DualStatistics.__new__(DualStatistics)
        arrays = {name: to_numpy(getattr(self, name)) for name in ("F", "T", "Y", "root")}
        result.__dict__.update(self.__dict__ | arrays, _K=None, _inner=None, _spectrum=None)
        return result

    def inner_spectrum(self) -> GramSpectrum:
        """Return the eigendecomposition of K, which is kept; O(n^3) once."""
        if self._inner is None:
            if not bool(namespace(self.K).all(namespace(self.K).isfinite(self.K))):
                raise ValueError("inner products are not finite: features overflow when squared; scale them down")
            self._inner = eigendecomposition(self.K)
        return self._inner

    def spectrum(self) -> GramSpectrum:
        """Return the eigenvalues (r,) of G that are not 0, and their eigenvectors (p, r), by one SVD of the rows.

        Notes
        -----
        *Cost.* O(n^2 p) once. *Numerics.* Nothing is squared before the decomposition.
        """
        if self._spectrum is None:
            svd = thin_svd(self.F.T, rcond=0.0)  # LAPACK is faster with the transpose
            self._spectrum = GramSpectrum(svd.s**2, svd.U)
        return self._spectrum

    def largest_eigenvalue(self) -> float:
        """Return the largest eigenvalue of G, which is that of K."""
        return float(self.inner_spectrum().values[0])

    def weights_by_svd(self, ridge: float) -> Array:
        """Return W (k, p) by an SVD of the rows; for ridge = 0 the minimum-norm solution at the numerical rank."""
        ridge = as_ridge(ridge)
        svd = thin_svd(self.F.T, rcond=None if ridge == 0.0 else 0.0)
        gain = 1.0 / svd.s if ridge == 0.0 else svd.s / (svd.s**2 + ridge)
        return ((svd.Vt @ self.T).T * gain) @ svd.U.T

    def weights(self, ridge: float) -> Array:
        r"""Return W (k, p), refined by residuals of the data.

            A_(j+1) = A_j + (K~ + ridge I)^-1 (T - F W_j^T - ridge A_j),    W_j = A_j^T F

        Raises
        ------
        ValueError
            ``ridge`` is 0 or less.
        DivergenceError
            The inner products have lost what the ridge leaves, and an SVD of the features has not.

        Notes
        -----
        *Cost.* A Cholesky factor takes n^3 / 3 flops, unless the spectrum is at hand, and each of one or two steps 4 n
        p k.
        *Numerics.* The error is eps cond_eff, as for an SVD, while sqrt(n) eps cond_eff^2 is below 1.
        """
        ridge = as_ridge(ridge)
        if ridge == 0.0:
            raise ValueError("the dual needs ridge > 0, got 0.0; take solver='svd', which decides the rank")
        solve = self._solver(ridge)
        A = solve(self.T)
        unit, xp = math.sqrt(self.n) * _EPS, namespace(self.K)
        rate = unit * (float(xp.linalg.trace(self.K)) / ridge + 1.0)  # the share of the error that a step may leave

        def change(W: Array) -> Array:
            nonlocal A
            step = solve(self.T - self.F @ W.T - ridge * A)
            A = A + step
            return step.T @ self.F

        refined = refine(
            A.T @ self.F, change, goal=unit, enough=math.sqrt(unit * rate), contraction=rate, instead="svd"
        )
        return refined.weights

    def path(self, ridges: Sequence[float] | np.ndarray) -> Array:
        """Return the weights (L, k, p) for all ``ridges``, from one eigendecomposition of K."""
        self.inner_spectrum()
        return namespace(self.F).stack([self.weights(ridge) for ridge in ridges])

    def _solver(self, ridge: float) -> Solve:
        if self._inner is not None:
            U, values = self._inner.vectors, self._inner.values + ridge
            return lambda B: U @ ((U.T @ B) / values[:, None])
        xp = namespace(self.K)
        eye = xp.eye(self.n, dtype=self.K.dtype, device=device_of(self.K))
        try:
            return CholeskyFactor(self.K + ridge * eye).solve
        except ValueError as error:
            raise DivergenceError(f"the dual needs a Cholesky factor: {error}, or solver='svd'") from error

    def left_out(self, ridges: Sequence[float] | np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        r"""Return the predictions (b, L, k) for ``rows`` (all of them) by models without each, for all ridges.

            residual = a_i / d_i,    a = (K + ridge I)^-1 T,    d = diag (K + ridge I)^-1  (- w / (sum w ridge))

        with the last term for an intercept. Of a sample of weight w > 1 one copy is left out and w - 1 stay:

            residual = sqrt(w) a_i / ((w - 1) / ridge + d_i)

        Notes
        -----
        *Cost.* One eigendecomposition, then 2 n k flops for each sample and ridge.
        """
        U, Y, root = (to_numpy(A) for A in (self.inner_spectrum().vectors, self.Y, self.root))
        shrunk, scale, constant = self._shrunk(ridges)
        path = (shrunk[:, :, None] * (U.T @ to_numpy(self.T))[:, None, :]).reshape(self.n, -1)
        rows = np.arange(self.n) if rows is None else rows
        found = np.empty((len(rows), shrunk.shape[1], self.k))
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            part, r = U[some], root[some][:, None]
            with np.errstate(over="ignore"):  # a copy stays, at a ridge of 1e-300: nothing is left to predict
                left = (part * part) @ shrunk - constant * r * r / self.weight + np.maximum(r * r - 1.0, 0.0) / scale
            residual = (part @ path).reshape(len(some), -1, self.k) * np.where(r > 1.0, r, 1.0 / r)[:, :, None]
            found[start : start + len(some)] = Y[some][:, None, :] - residual / left[:, :, None]
        return found

    def gcv(self, ridges: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the scores of generalised cross-validation (L,), see :func:`analytic_dd.ridge.gcv.gcv_scores`."""
        spectrum = self.inner_spectrum()
        rank = min(spectrum.rank, self.n - self.about_mean)
        energy = ((to_numpy(spectrum.vectors).T @ to_numpy(self.T)) ** 2).sum(axis=1)
        # about the mean the last eigenvector of full rank is the constant, along which labels have nothing
        full = rank == self.n - self.about_mean
        unexplained = 0.0 if full else float(energy[rank:].sum())
        return gcv_scores(
            to_numpy(spectrum.values)[:rank],
            energy[:rank],
            unexplained,
            np.array([as_ridge(ridge) for ridge in ridges]),
            n=self.weight,
            free=self.weight - rank - self.about_mean,
            k=self.k,
            interpolates=full and self.weight == self.n,
        )

    def _shrunk(self, ridges: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return ridge / (eigenvalue + ridge) (n, L), the factor of each ridge (L,), and the share of 1 1^T / n in it.

        Eigenvalues that are rounding of 0 count as 0. The factor divides, so that no square of a ridge of 1e-300
        underflows.
        """
        spectrum = self.inner_spectrum()
        values, rank = to_numpy(spectrum.values).copy(), min(spectrum.rank, self.n - self.about_mean)
        values[rank:] = 0.0
        grid = np.array([as_ridge(ridge) for ridge in ridges])
        shrunk = grid / (values[:, None] + grid)
        alone = self.about_mean and rank == self.n - 1
        if alone:  # the constant is the last eigenvector, and is taken away exactly
            shrunk[-1] = 0.0
        scale = shrunk.max(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)  # one sample about its own mean leaves nothing
        return shrunk / scale, scale, 1.0 if self.about_mean and not alone else 0.0


def _stacked(blocks: Iterable[tuple[Array, ...]], n: int) -> tuple[Array, ...]:
    """Copy blocks of n rows in all into one array for each of their members."""
    parts: list[tuple[Array, ...]] = []
    whole: tuple[np.ndarray, ...] | None = None
    done = 0
    for block in blocks:
        rows = int(block[0].shape[0])
        if isinstance(block[0], np.ndarray):
            if whole is None:
                whole = tuple(np.empty((n, *A.shape[1:])) for A in block)
            for target, A in zip(whole, block, strict=True):
                target[done : done + rows] = A[: max(0, n - done)]
        else:
            xp = namespace(block[0])
            parts.append(tuple(xp.asarray(in_double(A), copy=True) for A in block))
        done += rows
    if done != n or n < 1:
        raise ShapeError(f"the blocks must have {n} samples in all, at least 1, got {done}")
    if whole is not None:
        return whole
    return tuple(namespace(parts[0][0]).concat([part[i] for part in parts], axis=0) for i in range(len(parts[0])))
