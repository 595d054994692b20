"""W of a stream whose sums are at hand, by the solver that T13 chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from analytic_dd.arrays import Array, as_ridge
from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import StreamingQR, Sums
from analytic_dd.ridge.refinement import refine_weights
from analytic_dd.ridge.solver_choice import SolverChoice, choose_solver, factor_error
from analytic_dd.ridge.stream import Blocks, SampleStream

__all__ = ["StreamWeights", "stream_weights"]


@dataclass(frozen=True)
class StreamWeights:
    """Weights and how they were computed.

    Attributes
    ----------
    weights : (k, p) array
    solver : {"gram", "refined", "tsqr"}
    passes : int
        Number of passes over the data after the one that made the sums.
    choice : SolverChoice
        Predicted errors (after TSQR those of its factor, which resolves any condition); the reason is one line for the
        report.
    """

    weights: Array
    solver: str
    passes: int
    choice: SolverChoice


def stream_weights(
    statistics: Sums,
    blocks: Callable[[], Blocks] | Blocks,
    *,
    ridge: float,
    solver: str = "auto",
    intercept: bool = False,
    accept: float = 0.0,
    centred: Sums | None = None,
) -> StreamWeights:
    r"""Return ridge regression weights of a stream, as accurate as T13 allows.

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums
        Sums over the stream, not centred.
    blocks : callable or re-iterable of (Phi, Y) or (Phi, Y, sample_weight)
        The stream again; not read where the sums alone are accurate.
    ridge : float
    solver : {"auto", "gram", "refined", "tsqr"}
        See :func:`choose_solver`. For ``n < p`` TSQR keeps the n rows and takes their SVD: no (p, p) or (n, n) matrix.
    intercept : bool
        Weights of the centred data (T12); the intercept is ``mean_y - W mean_phi``.
    accept : float
        See :func:`choose_solver`.
    centred : Sums, optional
        ``statistics.centred()`` where it is at hand, with its eigendecomposition.

    Raises
    ------
    DivergenceError
        ``solver="refined"`` where it does not converge; ``auto`` goes on to TSQR and says so in ``choice.reason``.

    Examples
    --------
    >>> import numpy as np
    >>> Phi = np.array([[1.0, 1.0], [1e-9, 0.0], [0.0, 1e-9]])  # its Gram matrix is singular in float64
    >>> Y = Phi @ np.array([[2.0], [3.0]])
    >>> from analytic_dd.linalg import GramStatistics
    >>> found = stream_weights(GramStatistics(2, 1).update(Phi, Y), [(Phi, Y)], ridge=0.0)
    >>> found.solver, found.passes, found.weights.round(6)
    ('tsqr', 1, array([[2., 3.]]))
    """
    ridge = as_ridge(ridge)
    about_mean = statistics.centred() if centred is None and intercept else centred
    fitted = statistics if about_mean is None or not intercept else about_mean
    mean, mean_y = (statistics.mean_phi, statistics.mean_y) if intercept else (None, None)
    choice = choose_solver(fitted, ridge, solver=solver, accept=accept)
    if choice.solver == "gram":
        return StreamWeights(choice.weights, "gram", 0, choice)
    stream = SampleStream(blocks, mean=mean, mean_y=mean_y)
    if choice.solver == "refined":
        target = max(choice.tsqr_error, accept)
        try:
            refined = refine_weights(fitted, stream, ridge, target=target, contraction=choice.contraction)
            return StreamWeights(refined.weights, "refined", stream.passes, choice)
        except DivergenceError as error:
            if solver != "auto":
                raise
            choice = replace(choice, solver="tsqr", reason=f"tsqr, since {error}")
    factor = StreamingQR(statistics.p, statistics.k)
    for F, T in stream:
        factor.update(F, T)
    W = factor.weights(ridge)
    condition, predicted = factor_error(factor, W, ridge)
    if not choice.resolved:
        reason = f"{choice.reason}; predicted error of W {predicted:.1e} (cond {condition:.1e})"
        choice = replace(choice, condition=condition, tsqr_error=predicted, resolved=True, reason=reason)
    choice = replace(choice, condition=condition, tsqr_error=predicted)
    return StreamWeights(W, "tsqr", stream.passes, choice)
