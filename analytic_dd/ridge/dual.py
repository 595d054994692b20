"""Ridge regression by the inner products of n < p samples: nothing of size (p, p) is formed (T13)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_ridge, in_double, namespace, norm, to_numpy
from analytic_dd.errors import DivergenceError, ShapeError
from analytic_dd.linalg import CholeskyFactor, GramSpectrum, eigendecomposition

__all__ = ["DualStatistics"]

Solve = Callable[[Array], Array]

_EPS = 2.0**-52
_STEPS = 10
_ROWS = 1024


class DualStatistics:
    r"""Inner products of n samples, which all their ridge regressions depend on.

        K = Phi Phi^T,    W = Y^T (K + ridge I)^-1 Phi

    Theorem: T13.

    Parameters
    ----------
    Phi, Y : (n, p), (n, k) arrays
    intercept : bool
        Of the centred samples (T12).

    Attributes
    ----------
    K : (n, n) array
        Of the centred samples for an intercept.
    Y : (n, k) array

    Raises
    ------
    ShapeError, TypeError, ValueError
        Sizes that do not fit, integers, NaN.

    Notes
    -----
    *Cost.* n^2 p flops, memory n^2; with an intercept a copy of the samples.

    Examples
    --------
    >>> import numpy as np
    >>> DualStatistics(np.array([[3.0, 4.0]]), np.array([[1.0]])).weights(25.0)
    array([[0.06, 0.08]])
    """

    def __init__(self, Phi: Array, Y: Array, *, intercept: bool = False) -> None:
        Phi, Y = as_matrices(Phi=Phi, Y=Y)
        if Phi.shape[0] != Y.shape[0]:
            raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
        self.intercept, self.n, self.k = intercept, int(Phi.shape[0]), int(Y.shape[1])
        self._Phi, self.Y = in_double(Phi), in_double(Y)
        self._centred = self.Y
        if intercept:
            xp = namespace(Phi)
            self._Phi = self._Phi - xp.mean(self._Phi, axis=0)
            self._centred = self.Y - xp.mean(self.Y, axis=0)
        self.K: Array = self._Phi @ self._Phi.T
        self._spectrum: GramSpectrum | None = None

    def spectrum(self) -> GramSpectrum:
        """Return the eigendecomposition of K: O(n^3) once."""
        if self._spectrum is None:
            if not bool(namespace(self.K).all(namespace(self.K).isfinite(self.K))):
                raise ValueError("inner products are not finite: features overflow when squared; scale them down")
            self._spectrum = eigendecomposition(self.K)
        return self._spectrum

    def weights(self, ridge: float) -> Array:
        r"""Return W (k, p), refined by residuals of the data.

            A_(j+1) = A_j + (K~ + ridge I)^-1 (Y - Phi W_j^T - ridge A_j),    W_j = A_j^T Phi

        Raises
        ------
        ValueError
            ``ridge`` is 0 or less.
        DivergenceError
            The inner products have lost what the ridge leaves: an SVD of the features has not.

        Notes
        -----
        *Cost.* A Cholesky factor, n^3 / 3 flops, or the spectrum where it is at hand; 4 n p k flops a step, one or two
        as a rule. *Numerics.* eps cond_eff, as an SVD, while sqrt(n) eps cond_eff^2 is below 1.
        """
        ridge = as_ridge(ridge)
        if ridge == 0.0:
            raise ValueError("the dual needs ridge > 0, got 0.0; take solver='svd', which decides the rank")
        solve = self._solver(ridge)
        A = solve(self._centred)
        W = A.T @ self._Phi
        unit, xp = math.sqrt(self.n) * _EPS, namespace(self.K)
        rate = unit * (float(xp.linalg.trace(self.K)) / ridge + 1.0)  # the most that a step can leave of the error
        worst = math.sqrt(unit * rate)
        steps: list[float] = []
        while len(steps) < _STEPS:
            change = solve(self._centred - self._Phi @ W.T - ridge * A)
            A, move = A + change, change.T @ self._Phi
            W = W + move
            steps.append(norm(move) / (norm(W) or 1.0))
            if len(steps) > 1:
                rate = steps[-1] / steps[-2] if steps[-2] > 0.0 else 0.0
            stalled = len(steps) > 1 and rate > 0.5
            if rate * steps[-1] <= unit or (stalled and steps[-1] <= worst):
                return W
            if stalled or not math.isfinite(steps[-1]):
                break
        raise DivergenceError(
            f"refinement of the dual stands at steps of {steps[-1]:.2g} of |W| after {len(steps)}; take solver='svd', "
            "or a larger ridge"
        )

    def _solver(self, ridge: float) -> Solve:
        if self._spectrum is not None:
            U, values = self._spectrum.vectors, self._spectrum.values + ridge
            return lambda B: U @ ((U.T @ B) / values[:, None])
        xp = namespace(self.K)
        eye = xp.eye(self.n, dtype=self.K.dtype, device=getattr(self.K, "device", None))
        try:
            return CholeskyFactor(self.K + ridge * eye).solve
        except ValueError as error:
            raise DivergenceError(f"the dual needs a Cholesky factor: {error}, or solver='svd'") from error

    def left_out(self, ridges: Sequence[float] | np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        r"""Return the predictions (b, L, k) for ``rows`` (all of them) by models without each, for all ridges.

            residual = a_i / d_i,    a = (K + ridge I)^-1 Y,    d = diag (K + ridge I)^-1  (- 1 / (n ridge))

        the last term with an intercept.

        Notes
        -----
        *Cost.* One eigendecomposition, then 2 n k flops a sample and ridge.
        """
        U, Y = to_numpy(self.spectrum().vectors), to_numpy(self.Y)
        shrunk, constant = self._shrunk(ridges)
        rotated = U.T @ to_numpy(self._centred)
        path = (shrunk[:, :, None] * rotated[:, None, :]).reshape(self.n, -1)
        rows = np.arange(self.n) if rows is None else rows
        found = np.empty((len(rows), shrunk.shape[1], self.k))
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            part = U[some]
            residual = (part @ path).reshape(len(some), -1, self.k)
            left = (part * part) @ shrunk - constant / self.n
            found[start : start + len(some)] = Y[some][:, None, :] - residual / left[:, :, None]
        return found

    def gcv(self, ridges: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return n |Y - H Y|^2 / (n - trace H)^2 / k for each ridge (L,); the intercept adds 1 1^T / n to H."""
        shrunk, constant = self._shrunk(ridges)
        energy = (to_numpy(self.spectrum().vectors).T @ to_numpy(self._centred)) ** 2
        left = shrunk.sum(axis=0) - constant
        return np.asarray(self.n * (energy.sum(axis=1) @ shrunk**2) / left**2 / self.k)

    def _shrunk(self, ridges: Sequence[float] | np.ndarray) -> tuple[np.ndarray, float]:
        """Return ridge / (eigenvalue + ridge) (n, L), up to a factor a ridge, and how much of 1 1^T / n is in it still.

        Eigenvalues that are rounding of 0 count as 0. The factor keeps a ridge of 1e-300 from underflow when squared.
        """
        spectrum = self.spectrum()
        values, rank = to_numpy(spectrum.values).copy(), min(spectrum.rank, self.n - self.intercept)
        values[rank:] = 0.0
        grid = np.array([as_ridge(ridge) for ridge in ridges])
        shrunk = grid / (values[:, None] + grid)
        alone = self.intercept and rank == self.n - 1
        if alone:  # the constant is the last eigenvector: taken away exactly
            shrunk[-1] = 0.0
        return shrunk / shrunk.max(axis=0), 1.0 if self.intercept and not alone else 0.0
