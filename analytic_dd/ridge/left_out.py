r"""Leave-one-out at every ridge from one eigendecomposition. Most decisions of classes are made in float32, safely.

    (1 - h) times the prediction without a sample = W phi - h y,    h = phi^T (G + ridge I)^-1 phi

Theorem: T13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analytic_dd.arrays import Array, as_ridge, namespace, to_numpy
from analytic_dd.linalg import Sums
from analytic_dd.ridge.between_ridges import Between, between

__all__ = ["LeftOut", "right_decisions"]

_UNIT = 2.0**-24  # unit round-off of float32
_PROBES = 32  # rows of a block whose float32 coordinates are compared with float64
_LEAST = 16  # fewer coordinates are not worth a product
_USEFUL = 0.25  # a bound on the leverage is of no use where its mean is larger
_SAFETY = 8.0  # so many times the largest error of the probes bounds the error of all rows
_BETWEEN = 1e-5  # relative error of models that follow from those at other ridges: as float32 leaves of long products
_MANY = 2e6  # entries of all models from which it takes longer to multiply them than to find which are needed


@dataclass(frozen=True)
class _Shared:
    """What the blocks of samples share."""

    between: Between  # the ridges whose models are multiplied out, and how those of the others follow
    models: np.ndarray  # (r, k c): of the c chosen ridges, classes first, in coordinates of the eigenvectors
    path: np.ndarray  # (p, k c): the same in features, in the dtype of the samples
    norms: np.ndarray  # (L,): the largest norm of a class's weights, at every ridge
    vectors: np.ndarray  # (p, r), (r, L) float32: eigenvectors and 1 / (s + ridge), for coordinates that are at most 1
    inverse: np.ndarray

    @property
    def reach(self) -> np.ndarray:
        """Norms (L,) of the terms that make the model at each ridge; their sum rounds."""
        return np.asarray(self.norms[self.between.chosen] @ np.abs(self.between.coefficients))

    def at_all(self, fitted: np.ndarray, k: int) -> np.ndarray:
        """Values (b, k c) at the chosen ridges, as values (b, k, L) at all."""
        few = fitted.reshape(len(fitted), k, -1)
        return few if self.between.all else few @ self.between.coefficients.astype(few.dtype)


class LeftOut:
    """The predictions without each sample and their decisions, for all ridges.

    Parameters
    ----------
    statistics : Sums
        Sums over all samples.
    ridges : sequence of float
    centred : Sums, optional
        The same sums about their mean, for a model with an intercept.
    """

    def __init__(
        self,
        statistics: Sums,
        ridges: Sequence[float] | np.ndarray,
        *,
        centred: Sums | None = None,
    ) -> None:
        intercept, fitted = centred is not None, statistics if centred is None else centred
        spectrum = fitted.spectrum()
        xp = namespace(spectrum.values)
        self.intercept, self.weight = intercept, statistics.weight
        self.mean, self.mean_y = statistics.mean_phi, statistics.mean_y
        rank = max(1, spectrum.rank)  # no sample has a part in null(G)
        self.values, self.vectors = spectrum.values[:rank], spectrum.vectors[:, :rank]
        inverse = [1.0 / (self.values + as_ridge(ridge)) for ridge in ridges]
        self.inverse = xp.stack(inverse, axis=1)
        projected = (fitted.C @ self.vectors).T
        self.W = xp.concat([projected * g[:, None] for g in inverse], axis=1)
        self._shared: _Shared | None = None
        self._leading = _leading(to_numpy(self.values) / self.weight, to_numpy(self.inverse)[-1].max())

    def predictions(self, Phi: Array, Y: Array, part: Array | None = None) -> tuple[Array, Array]:
        """Return (1 - h) times the predictions (b, L, k) without each sample, NaN at h = 1, and h (b, L).

        ``part`` (b,) is the share of a sample to leave out, which is its weight below 1.

        Notes
        -----
        *Cost.* 2 p^2 flops for each sample, whatever the number of ridges.
        """
        xp, L = namespace(self.values), self.inverse.shape[1]
        T = (Phi - self.mean if self.intercept else Phi) @ self.vectors
        fitted = xp.reshape(T @ self.W, (T.shape[0], L, -1)) + (self.mean_y if self.intercept else 0.0)
        T *= T  # in place, since fresh memory costs as much as the product
        h = xp.matmul(T, self.inverse) + (1.0 / self.weight if self.intercept else 0.0)
        h = h if part is None else part[:, None] * h
        # at h = 1 the ridge is too small to leave the sample out in float64
        return fitted - xp.where(h < 1.0, h, xp.nan)[:, :, None] * Y[:, None, :], h

    def right(
        self,
        Phi: Array,
        Y: Array,
        part: Array | None = None,
        exact: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        r"""Return which decisions (b, L) of :meth:`predictions` are right, for less work.

        With ``exact``, ``Phi`` was rounded to float32, and ``exact(rows)`` gives some rows again.

        Where one label is larger than all others, which are equal (classes), the decision is right if

            W phi of its class - the largest of the others > h (its label - the others')

        Since h >= 0, it is wrong where the left side is negative. It is right where that exceeds a bound on h from the
        coordinates along the first eigenvectors. For other rows h is computed in float32, with an error that is
        measured on some rows, and rows that this error could decide are computed again in float64. The same holds for
        the left side where ``Phi`` is in float32.

        Notes
        -----
        *Cost.* 2 p k L flops for each sample, and at most 2 p^2 in float32.
        """
        step = _step(Y) if isinstance(Phi, np.ndarray) else None
        if step is None:
            Phi = Phi if exact is None else exact(np.arange(len(Phi)))
            return right_decisions(to_numpy(self.predictions(Phi, Y, part)[0]), to_numpy(Y))
        F = Phi - self.mean if self.intercept else Phi
        size = _lengths(F)
        lost = np.zeros(len(F)) if exact is None else _rounded(size if F is Phi else _lengths(Phi), Phi.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            lead, rounding = self._lead(F, size, Y, lost)
            right = lead > 0.0
            open_rows = np.flatnonzero(~np.all(lead < -rounding, axis=1))
            if self._leading:
                bound = self._bound(F, size, open_rows, lost)
                bound = bound if part is None else bound * part[open_rows, None]
                sure = (lead - rounding)[open_rows] > bound * step[open_rows, None]
                wrong = lead[open_rows] < -rounding[open_rows]
                open_rows = open_rows[~np.all(sure & (bound < 1.0) | wrong, axis=1)]
            h, error = self._leverage(F, size, open_rows, lost)
            if part is not None:
                h, error = h * part[open_rows, None], error * part[open_rows, None]
            rest = lead[open_rows] - h * step[open_rows, None]
            doubt = rounding[open_rows] + error * step[open_rows, None]
            clear = (np.abs(rest) > doubt) & (h + error < 1.0) | (lead[open_rows] < -rounding[open_rows])
        right[open_rows] = rest > 0.0
        again = open_rows[~np.all(clear, axis=1)]
        if again.size:
            some = None if part is None else part[again]
            features = Phi[again] if exact is None else exact(again)
            right[again] = right_decisions(self.predictions(features, Y[again], some)[0], Y[again])
        return right

    def _lead(self, F: np.ndarray, size: np.ndarray, Y: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the fitted value of the true class less the largest of the others (b, L), and a bound on its error.

        ``lost`` (b,) bounds the norm of the error that the rows of ``F`` have already.
        """
        k = Y.shape[1]
        if self._shared is None or self._shared.path.dtype != F.dtype:
            self._shared = self._made(k, F.dtype)
        known = self._shared
        fitted = known.at_all(F @ known.path, k)
        unit, reach = 4.0 * F.shape[1] * 2.0**-52, size[:, None] * known.reach
        if F.dtype == np.float32:
            probes = _probes(len(F))
            off = np.abs(fitted[probes] - known.at_all(F[probes].astype(np.float64) @ self.vectors @ known.models, k))
            unit = _SAFETY * (_largest(off.max(axis=1), reach[probes]) + _UNIT)
        rounding = unit * (float(np.abs(Y).max()) + reach) + size[:, None] * (known.norms * known.between.error)
        if self.intercept:
            fitted = fitted + self.mean_y[:, None]
        rows, truth = np.arange(len(F)), Y.argmax(axis=1)
        own = fitted[rows, truth].copy()
        fitted[rows, truth] = -np.inf
        return own - fitted.max(axis=1), rounding + 2.0 * lost[:, None] * known.norms

    def _made(self, k: int, dtype: np.dtype) -> _Shared:
        """Return what all blocks of a dtype share."""
        r, L = len(self.values), self.inverse.shape[1]
        large = self.W.size >= _MANY
        few = between(self.values, self.inverse, tolerance=_BETWEEN) if large else Between.none(L)
        W = self.W.reshape(r, L, k)
        # classes before ridges, so that the maximum over classes runs along contiguous memory
        models = np.ascontiguousarray(W[:, few.chosen].transpose(0, 2, 1)).reshape(r, -1)
        scale = 1.0 / float(np.sqrt(self.values[0]))  # coordinates are then at most 1, whatever the units
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            path = self.vectors.astype(dtype, copy=False) @ models.astype(dtype, copy=False)
            V, g = (self.vectors * scale).astype(np.float32), (self.inverse / scale**2).astype(np.float32)
        norms = np.sqrt(np.einsum("rlk,rlk->lk", W, W).max(axis=1))
        return _Shared(few, models, path, norms, V, g)

    def _bound(self, F: np.ndarray, size: np.ndarray, rows: np.ndarray, lost: np.ndarray) -> np.ndarray:
        r"""Return a bound on h (r, L) of some rows, from m coordinates and the largest g of the rest.

        |phi|^2 = |t|^2 + |rest|^2, t the first m coordinates:  h <= sum_j g_j t_j^2 + g_max (|phi|^2 - |t|^2)
        """
        m = self._leading
        h, error, T, away = self._part_of_leverage(F, size, rows, lost, m)
        lengths = size[rows] / float(np.sqrt(self.values[0])) + away
        known = np.sqrt(np.einsum("ij,ij->i", T, T, dtype=np.float64)) * (1.0 - _UNIT) - away
        rest = lengths**2 - np.maximum(known, 0.0) ** 2
        assert self._shared is not None
        g = self._shared.inverse[-1].astype(np.float64) * (1.0 + _UNIT)
        return np.asarray(h + error + rest[:, None] * g + (1.0 / self.weight if self.intercept else 0.0))

    def _leverage(
        self, F: np.ndarray, size: np.ndarray, rows: np.ndarray, lost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Return h (r, L) of some rows by float32, and its error: |T~ - T| <= e gives 2 e sqrt(g h) + g e^2."""
        h, error, _, _ = self._part_of_leverage(F, size, rows, lost, len(self.values))
        return h + (1.0 / self.weight if self.intercept else 0.0), error

    def _part_of_leverage(
        self, F: np.ndarray, size: np.ndarray, rows: np.ndarray, lost: np.ndarray, m: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return h of the first m coordinates, its error, the coordinates (r, m) and the error of their norms (r,)."""
        assert self._shared is not None
        V, g = self._shared.vectors[:, :m], self._shared.inverse[:m]
        unit = float(np.sqrt(self.values[0]))
        T, probes = F[rows].astype(np.float32, copy=False) @ V, _probes(len(rows))
        exact = F[rows[probes]] @ self.vectors[:, :m] / unit
        relative = _largest(np.sqrt(((T[probes] - exact) ** 2).sum(axis=1)), size[rows[probes]] / unit)
        h = ((T * T) @ g).astype(np.float64)
        away = (_SAFETY * (relative + _UNIT) * size[rows] + lost[rows]) / unit
        e = np.sqrt(g.max(axis=0).astype(np.float64)) * away[:, None]
        error = 2.0 * e * np.sqrt(h) + e**2 + (len(g) + 4) * _UNIT * h
        return h, error, T, away


def _leading(values: np.ndarray, largest: float) -> int:
    """Return how many eigenvectors should bound h, or 0 where the bound is of no use to the mean sample.

    ``values`` are eigenvalues of G / n, the mean squares of coordinates; ``largest`` is the largest g of the last one.
    """
    for parts in (16, 8, 4):
        m = len(values) // parts
        if m >= _LEAST and float(values[m:].sum()) * largest <= _USEFUL:
            return m
    return 0


def _probes(count: int) -> slice:
    """Return evenly spaced rows among ``count``."""
    return slice(None, None, max(1, count // _PROBES))


def _largest(error: np.ndarray, scale: np.ndarray) -> float:
    """Return the largest relative error; an error of a scale 0 is infinite, and NaN is passed on."""
    with np.errstate(divide="ignore"):
        return float(np.max(np.where(error == 0.0, 0.0, error / scale), initial=0.0))


def _lengths(F: np.ndarray) -> np.ndarray:
    """Return the norms of rows in float64."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", F, F, dtype=np.float64)))


def _rounded(lengths: np.ndarray, p: int) -> np.ndarray:
    """Return a bound on the rounding to float32 of rows of these norms, half a unit or least number an entry."""
    return np.asarray(_UNIT * lengths + 2.0**-149 * np.sqrt(p))


def right_decisions(fitted: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return where ``fitted`` (b, L, k) is finite and largest in the place of the largest of ``Y`` (b, k)."""
    truth = Y.argmax(axis=1)[:, None]
    own = np.take_along_axis(fitted, truth[:, :, None], 2)[:, :, 0]
    return np.asarray((fitted.argmax(axis=2) == truth) & np.isfinite(own))


def _step(Y: np.ndarray) -> np.ndarray | None:
    """Return how far the largest label of a row exceeds the others (b,), or None where these are not equal."""
    if Y.shape[1] < 2 or not len(Y):
        return None
    highest, lowest = Y.max(axis=1), Y.min(axis=1)
    others = Y.shape[1] - 1
    if np.all((lowest[:, None] == Y).sum(axis=1) == others):
        return np.asarray(highest - lowest)
    return None
