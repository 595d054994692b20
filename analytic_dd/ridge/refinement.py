"""Iterative refinement of W: rounded products of the samples solve, the samples say what is left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from analytic_dd.arrays import Array, as_ridge, norm
from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import Sums
from analytic_dd.ridge.stream import SampleStream

__all__ = ["RefinedWeights", "refine", "refine_weights"]

_MOST_STEPS = 10


@dataclass(frozen=True)
class RefinedWeights:
    """Weights after refinement.

    Attributes
    ----------
    weights : (k, p) array
    steps : tuple of float
        |W_(j+1) - W_j| / |W|, a pass over the data each.
    contraction : float
        The last ratio of two steps; the factor assumed before, where there was one step only.
    """

    weights: Array
    steps: tuple[float, ...]
    contraction: float


def refine_weights(
    statistics: Sums,
    stream: SampleStream,
    ridge: float,
    *,
    target: float,
    contraction: float = 1.0,
) -> RefinedWeights:
    r"""Solve with the factor of ``G + ridge I`` and correct by residuals of the data until the error is at ``target``.

        W_(j+1) = W_j + (sum (y - W_j phi) phi^T - ridge W_j) (G~ + ridge I)^-1

    G~ is rounded: its error decides how fast this converges, not where to (the corrected seminormal equations; Bjorck
    1987).

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums
    stream : SampleStream
        The same samples, centred in the same way.
    ridge : float
    target : float
        Relative error of W; below that of TSQR nothing is gained. Steps go on to a tenth of it where they can.
    contraction : float
        Factor of a step, where it is known before (:attr:`SolverChoice.contraction`): saves the pass that measures it.

    Raises
    ------
    DivergenceError
        A step that is not at most half of the one before, before the target is reached; no Cholesky factor.

    Notes
    -----
    *Cost.* One Cholesky factor; a pass and 4 n p k flops a step, one or two as a rule. *Numerics.* The error reached
    is that of TSQR while sqrt(p) eps cond_eff^2 + gram_error / (s_p^2 + ridge) is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> Phi = np.array([[1.0, 1.0], [1e-6, 0.0], [0.0, 1e-6]])
    >>> Y = Phi @ np.array([[2.0], [3.0]])
    >>> from analytic_dd.linalg import GramStatistics
    >>> sums = GramStatistics(2, 1).update(Phi, Y)
    >>> W = refine_weights(sums, SampleStream([(Phi, Y)]), 0.0, target=1e-9).weights
    >>> bool(np.abs(sums.weights(0.0) - [2, 3]).max() > 1e-7), bool(np.abs(W - [2, 3]).max() < 1e-9)
    (True, True)
    """
    ridge = as_ridge(ridge)
    try:
        factor = statistics.factor(ridge)
    except ValueError as error:
        raise DivergenceError(f"refinement needs a Cholesky factor: {error}, or solver='tsqr'") from error
    W = factor.solve(statistics.C.T).T

    def change(W: Array) -> Array:
        return factor.solve(stream.residual(W, ridge).T).T

    return refine(W, change, goal=0.1 * target, enough=target, contraction=contraction)


def refine(
    W: Array,
    change: Callable[[Array], Array],
    *,
    goal: float,
    enough: float,
    contraction: float,
    instead: str = "tsqr",
) -> RefinedWeights:
    """Add ``change(W)`` to W until what the next change is predicted to be, relative to W, is at most ``goal``.

    Parameters
    ----------
    W : (k, p) array
    change : callable
        The correction of W by the samples, computed with rounded products.
    goal : float
    enough : float
        A step at which steps may stop to shrink.
    contraction : float
        Factor of a step that is assumed until two steps show it.
    instead : str
        The solver that the message names.

    Raises
    ------
    DivergenceError
        A step that is not at most half of the one before, above ``enough``; ten of them.
    """
    steps: list[float] = []
    while len(steps) < _MOST_STEPS:
        move = change(W)
        W = W + move
        steps.append(norm(move) / (norm(W) or 1.0))
        if len(steps) > 1:
            contraction = steps[-1] / steps[-2] if steps[-2] > 0.0 else 0.0
        stalled = len(steps) > 1 and contraction > 0.5
        if contraction * steps[-1] <= goal or (stalled and steps[-1] <= enough):
            return RefinedWeights(W, tuple(steps), contraction)
        if stalled or not math.isfinite(steps[-1]):
            break
    raise DivergenceError(
        f"refinement stands at steps of {steps[-1]:.2g} of |W| after {len(steps)} (factor {contraction:.2g} a step), "
        f"and {enough:.2g} is wanted; take solver={instead!r}, or a larger ridge"
    )
