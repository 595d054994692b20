r"""By how much ridge regression on the stored features misses the weights (T16), in singular coordinates.

With F = U diag(s) V^T, the residual r = Y - a F W^T and K_j = a s_j^2 + ridge, in units of
:mod:`analytic_dd.judge.units`:

    R2    = W (I - V V^T)                          what no labels could recover from these features
    delta = (s_j (U^T r)_j - ridge (W V)_j) / K_j  what these labels miss within their span
    |W_s - W|^2 = |R2|^2 + |delta|^2               (exact identity, for each output; the parts are orthogonal)

delta is solved for directly, from the small residual of the defining equation, so that an exact set shows an error of
rounding size instead of the difference of two large numbers. At ridge = 0 the model is that of the numerical rank of F,
cut where solvers cut: at max(m, p) eps. At ridge > 0 nothing is cut off: what rounding left in a null direction counts,
divided by the ridge.

This file is the judge. It shares no code with the constructions: they decompose the *target*; this decomposes the
stored features, and accepts a decomposition only after it has multiplied it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg as lapack

from analytic_dd.judge.units import Deviations, Regression

__all__ = ["Refit", "Spectrum", "decompose", "refit"]

_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 30.0  # times eps and the size: LAPACK's own test suite accepts as much


@dataclass(frozen=True)
class Spectrum:
    """A singular value decomposition F = U diag(s) V^T that was multiplied out again."""

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray

    @property
    def largest(self) -> float:
        """The largest singular value."""
        return float(self.s[0])

    def rank(self, eps: float) -> int:
        """Return the number of singular values above max(m, p) eps, relative to the largest."""
        return int(np.sum(self.s > self._cut(eps))) if self.largest > 0.0 else 0

    def is_doubtful(self, eps: float) -> bool:
        """Whether solvers may disagree about the rank.

        A singular value lies near their cut-off, above what the rounding of the entries leaves of a zero.
        """
        cut = self._cut(eps)
        low = min(4.0 * math.sqrt(len(self.s)) * eps * self.largest, cut / 2.0)
        return bool(np.any((self.s > low) & (self.s < 4.0 * cut)))

    def _cut(self, eps: float) -> float:
        return max(len(self.U), len(self.V)) * eps * self.largest


def decompose(F: np.ndarray) -> Spectrum:
    """Decompose F by a column-pivoted QR of F^T and the singular value decomposition of its triangular factor.

    Raises
    ------
    numpy.linalg.LinAlgError
        Neither of LAPACK's two algorithms gives factors whose product is F.
    """
    Q, R, pivots = lapack.qr(F.T, mode="economic", pivoting=True)
    L = np.empty((len(F), len(R)))
    L[pivots] = R.T
    for driver in ("gesdd", "gesvd"):
        try:
            U, s, Vt = lapack.svd(L, full_matrices=False, lapack_driver=driver)
        except np.linalg.LinAlgError:
            continue
        found = Spectrum(U, s, Q @ Vt.T)
        if _holds(found, F):
            return found
    raise np.linalg.LinAlgError(
        f"LAPACK gave no singular value decomposition of the stored features {F.shape}: its factors do not multiply to "
        "them; check the installation of scipy"
    )


def _holds(found: Spectrum, F: np.ndarray) -> bool:
    """Whether the factors are orthonormal and multiply to F, to rounding."""
    limit = _ROUNDING * _EPS * sum(F.shape)
    product = float(np.linalg.norm((found.U * found.s) @ found.V.T - F)) <= limit * float(np.linalg.norm(F))
    return product and all(np.linalg.norm(B.T @ B - np.eye(len(found.s))) <= limit for B in (found.U, found.V))


@dataclass(frozen=True)
class Refit:
    """W_s - W for each output, in two orthogonal parts, and its sensitivity to the rounding of the set."""

    missing: np.ndarray  # (k, p): -R2
    # (k, r): the rest in the coordinates of ``spectrum.V``; columns from ``rank`` on are out of the span as well
    delta: np.ndarray
    spectrum: Spectrum
    rank: int
    gain: float  # the largest s / (a s^2 + ridge): how far the weights move with the labels
    dual: np.ndarray  # (k,): norms of (a F F^T + ridge)^-1 Y, of Y - a F W^T and of a F W^T
    residual: np.ndarray
    predictions: np.ndarray


def refit(x: Regression, deviations: Deviations, *, eps: float) -> Refit:
    """Compare ridge regression on features and labels, about their means (T12), with the weights of ``x``.

    Theorem: T16, T15.

    Parameters
    ----------
    x : Regression
    deviations : Deviations
        Of ``x``.
    eps : float
        Of the dtype in which the features are stored: solvers cut ranks there.

    Notes
    -----
    *Cost.* A pivoted QR, an SVD of its triangular factor and eight products: a small multiple of the QR.
    """
    F, Y = deviations.features, deviations.labels
    found = decompose(F)
    rank = found.rank(eps)
    s, damped = found.s, x.share * found.s**2 + x.ridge
    predictions = x.share * (F @ x.weights.T)
    residual = Y - predictions
    projected, coordinates = found.U.T @ residual, x.weights @ found.V
    missing = coordinates @ found.V.T - x.weights
    if x.ridge > 0.0:
        pulled = s * projected.T - x.ridge * coordinates
        delta = pulled / damped
        kept = slice(None)
    else:
        kept = slice(rank)
        delta = -coordinates
        delta[:, kept] = projected[kept].T / s[kept]
    return Refit(
        missing=missing,
        delta=delta,
        spectrum=found,
        rank=rank,
        gain=float(np.max(s[kept] / damped[kept], initial=0.0)),
        dual=_dual(found, Y, damped, kept),
        residual=np.linalg.norm(residual, axis=0),
        predictions=np.linalg.norm(predictions, axis=0),
    )


def _dual(found: Spectrum, Y: np.ndarray, damped: np.ndarray, kept: slice) -> np.ndarray:
    """Norms of the dual coefficients; labels out of the span of the features are divided by the least damped square."""
    U, damped = found.U[:, kept], damped[kept]
    if not damped.size:
        return np.zeros(Y.shape[1])
    projected = U.T @ Y
    unseen = np.linalg.norm(Y - U @ projected, axis=0) if len(damped) < len(Y) else np.zeros(Y.shape[1])
    norms: np.ndarray = np.linalg.norm(projected / damped[:, None], axis=0) + unseen / damped.min()
    return norms
