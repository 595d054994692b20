"""Gram matrix, Gram matrix with refinement, or TSQR: chosen by what each is predicted to lose (T13).

The words for solvers are here, and the numbers that decide in :mod:`analytic_dd.linalg.thresholds`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from analytic_dd.arrays import Array, as_ridge, namespace, norm
from analytic_dd.linalg import StreamingQR, Sums, thin_svd
from analytic_dd.linalg.thresholds import LIMITS

__all__ = ["SOLVERS", "SolverChoice", "choose_solver", "factor_error", "require_solver"]

_EPS = 2.0**-52
SOLVERS = {
    "auto": "the fastest that loses nothing",
    "svd": "an SVD of the features",
    "gram": "the sums alone",
    "dual": "inner products of the samples, refined",
    "tsqr": "the triangular factor of a stream, which for n < p are its rows",
    "refined": "the sums, refined by the samples",
}
_OF_SUMS = ("auto", "gram", "refined", "tsqr")


def require_solver(solver: str, allowed: Collection[str] = tuple(SOLVERS)) -> None:
    """Refuse a word that is no solver, or none for what is at hand.

    Examples
    --------
    >>> require_solver("qr")
    Traceback (most recent call last):
        ...
    ValueError: unknown solver 'qr'; choose from auto, svd, gram, dual, tsqr, refined
    """
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}; choose from {', '.join(SOLVERS)}")
    if solver not in allowed:
        raise ValueError(f"solver {solver!r} does not go with what is at hand; choose from {', '.join(allowed)}")


@dataclass(frozen=True)
class SolverChoice:
    """The solver and the relative errors of W (Frobenius) that were predicted.

    Attributes
    ----------
    solver : {"gram", "refined", "tsqr"}
        ``refined``: the Gram factor, and steps of iterative refinement with residuals from the data.
    condition : float
        cond_eff, as far as the Gram matrix resolves it.
    resolved : bool
        Whether it does: cond_eff below 1 / sqrt(p eps). If not, ``tsqr_error`` is a lower estimate.
    gram_error, tsqr_error : float
        Predicted for the sums alone, and for TSQR or refinement.
    contraction : float
        Factor by which a refinement step reduces the error of W.
    reason : str
        One line for the report.
    weights : (k, p) array
        W by the sums alone.
    """

    solver: str
    condition: float
    resolved: bool
    gram_error: float
    tsqr_error: float
    contraction: float
    reason: str
    weights: Array = field(repr=False, compare=False)


def choose_solver(statistics: Sums, ridge: float, *, solver: str = "auto", accept: float = 0.0) -> SolverChoice:
    r"""Choose how to compute W at one ridge.

    With K^2 = (s_1^2 + ridge) / (s_p^2 + ridge),  A^2 = s_1^2 + ridge,  y = |Y| / (A |W|)  and the residual
    r = sqrt(|Y - Phi W^T|^2 + ridge |W|^2) / (A |W|)  the relative errors of W are, to first order,

        Gram             u K^2 (1 + y t) + gram_error / (s_p^2 + ridge),    t = min(1, |Phi| / A)
        TSQR, refined    u (K (1 + y) + K^2 r)           u = sqrt(p) eps

    (backward errors eps |Phi|, eps |Y| in Wedin's bound for the rows [Phi; sqrt(ridge) I]; the term K^2 r is that of
    the problem, whatever the method). A step of refinement contracts by sqrt(p) eps K^2 + gram_error / (s_p^2 + ridge).

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums
        Centred where the model has an intercept.
    ridge : float
    solver : {"auto", "gram", "refined", "tsqr"}
        ``auto``: the sums alone where a second pass would not gain a factor of 2; else refinement where it contracts
        by 30 a step; else TSQR.
    accept : float
        A predicted error at which the sums alone are good enough, whatever a second pass would gain.

    Raises
    ------
    ValueError
        The solver is unknown.

    Notes
    -----
    *Cost.* Nothing where the spectrum is at hand; else one Cholesky factor and 30 steps of power iteration. A pass of
    refinement costs 4 n p k flops, TSQR 3 n (p + k)^2.

    Examples
    --------
    >>> import numpy as np
    >>> Phi = np.diag([1.0, 1e-3, 1e-8])
    >>> from analytic_dd.linalg import GramStatistics
    >>> sums = GramStatistics(3, 1).update(Phi, Phi @ np.ones((3, 1)))
    >>> [choose_solver(sums, ridge).solver for ridge in (1.0, 1e-8, 0.0)]
    ['gram', 'refined', 'tsqr']
    >>> choose_solver(sums, 1.0, solver="qr")
    Traceback (most recent call last):
        ...
    ValueError: unknown solver 'qr'; choose from auto, svd, gram, dual, tsqr, refined
    """
    ridge = as_ridge(ridge)
    require_solver(solver, _OF_SUMS)
    p = statistics.p
    largest, smallest, W = _solution(statistics, ridge)
    unit = math.sqrt(p) * _EPS
    floor = p * _EPS * largest  # an eigenvalue below this is rounding
    condition = math.sqrt(largest / max(smallest, floor))
    extra = statistics.gram_error / max(smallest, floor)
    y, r = _labels_and_residual(statistics, W, ridge, largest)
    resolved = smallest > floor
    size = math.sqrt(max(float(namespace(W).sum(namespace(W).linalg.diagonal(statistics.G))), 0.0))
    t = min(1.0, size / math.sqrt(largest)) if largest > 0.0 else 1.0  # C = Y^T Phi loses digits of Y, not of ridge I
    gram = unit * condition**2 * (1.0 + y * t) + extra if resolved else math.inf
    tsqr = unit * (condition * (1.0 + y) + condition**2 * r)
    contraction = unit * condition**2 + extra
    name = solver
    if solver == "auto":
        name = _cheapest(gram, tsqr, contraction if resolved else math.inf, accept)
    how = name if solver == "auto" else f"{name}, as asked"
    if resolved:
        text = f"predicted error of W {gram:.1e} by the Gram matrix, {tsqr:.1e} by TSQR (cond {condition:.1e})"
    else:
        text = f"the Gram matrix does not resolve a condition above {condition:.1e}"
    reason = f"{how}: {text}"
    return SolverChoice(name, condition, resolved, gram, tsqr, contraction, reason, W)


def factor_error(factor: StreamingQR, W: Array, ridge: float) -> tuple[float, float]:
    """Return cond_eff and the predicted relative error of ``W`` from a TSQR factor, which resolves any condition.

    Notes
    -----
    *Cost.* The singular values of a (p, p) matrix.
    """
    spectrum = thin_svd(factor.R[:, : factor.p], rcond=None if ridge == 0.0 else 0.0)
    smallest = spectrum.smallest if ridge == 0.0 or spectrum.rank == factor.p else 0.0
    condition = math.sqrt((spectrum.largest**2 + ridge) / (smallest**2 + ridge)) if spectrum.rank else 1.0
    size = math.sqrt(spectrum.largest**2 + ridge) * norm(W)
    if size == 0.0:
        return condition, 0.0
    T = factor.R[:, factor.p :]
    left = math.hypot(norm(T - factor.R[:, : factor.p] @ W.T), math.sqrt(ridge) * norm(W))
    y, r = norm(T) / size, left / size
    return condition, math.sqrt(factor.p) * _EPS * (condition * (1.0 + y) + condition**2 * r)


def _cheapest(gram: float, tsqr: float, contraction: float, accept: float) -> str:
    if math.isfinite(contraction) and gram <= max(LIMITS.gain * tsqr, accept):
        return "gram"
    return "refined" if contraction <= LIMITS.contraction else "tsqr"


def _solution(statistics: Sums, ridge: float) -> tuple[float, float, Array]:
    """Return the largest and smallest eigenvalue of G + ridge I, and W as the sums give it."""
    if not statistics.has_spectrum and ridge > 0.0:
        try:
            factor = statistics.factor(ridge)
        except ValueError:  # not definite in float64: the spectrum shows it
            pass
        else:
            return *factor.extremes(), factor.solve(statistics.C.T).T
    spectrum = statistics.spectrum()
    ends = float(spectrum.values[0]) + ridge, float(spectrum.values[-1]) + ridge
    return *ends, spectrum.weights(statistics.C, ridge)


def _labels_and_residual(statistics: Sums, W: Array, ridge: float, largest: float) -> tuple[float, float]:
    """|Y| and the residual of [Phi; sqrt(ridge) I] W^T = [Y; 0], both in units of sqrt(largest) |W|."""
    xp = namespace(W)
    squares = float(xp.sum(statistics.yy))
    size = math.sqrt(largest) * norm(W)
    if size == 0.0:
        return 0.0, 0.0
    left = squares - float(xp.sum(statistics.C * W))  # |Y - Phi W^T|^2 + ridge |W|^2 at the solution
    rounding = math.sqrt(statistics.p) * _EPS * (squares + largest * norm(W) ** 2)
    return math.sqrt(squares) / size, math.sqrt(max(left, rounding)) / size
