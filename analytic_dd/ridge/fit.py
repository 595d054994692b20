"""Ridge regression on a stream from the first block to the weights, by sums for n >= p and by rows for n < p (T13)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analytic_dd.arrays import Array, as_ridge
from analytic_dd.errors import DivergenceError
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.linalg.linear_model import LinearModel
from analytic_dd.linalg.threads import one_thread
from analytic_dd.linalg.thresholds import LIMITS
from analytic_dd.ridge.choice import RidgeChoice, choose_ridge
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.provisional import AboutProvisionalMean
from analytic_dd.ridge.solver_choice import choose_solver, require_solver
from analytic_dd.ridge.stream_weights import stream_weights

__all__ = ["FittedWeights", "SampleBlocks", "fit_weights", "require_scale"]

_KEPT_BYTES = 128 * 2**20  # features of samples for leave-one-out are kept up to this size
_SCORED_ROWS = 1024  # samples that are scored at a time

Statistics = Sums | DualStatistics
Timed = Callable[[str], AbstractContextManager[None]]


class SampleBlocks(Protocol):
    """A stream of blocks of (Phi, Y) or (Phi, Y, sample_weight) that can be read again.

    A call without ``rows`` gives all samples, always in the same order; with ``rows`` it gives those samples in that
    order. A block need not outlive the request for the next. ``stage`` says in one word what the pass is for.
    """

    def __call__(self, rows: np.ndarray | None = None, /, *, stage: str = "") -> Iterable[tuple[Array, ...]]: ...


@dataclass(frozen=True)
class FittedWeights(LinearModel):
    """Ridge regression ``weights`` (k, p) and ``intercept`` (k,) or None, and what they were computed from.

    Attributes
    ----------
    ridge : float
    choice : RidgeChoice or None
        How the ridge was chosen, or None where it was given.
    solver : {"gram", "refined", "tsqr", "dual", "svd"}
    reason : str
        Why this solver, in one line.
    passes : int
        Number of passes over the data after the first.
    statistics : Sums or DualStatistics
        Statistics of all samples, not centred.
    centred : Sums or DualStatistics
        The statistics of which the weights are the solution: ``statistics.centred()`` for a model with an intercept,
        and ``statistics`` for others.
    """

    ridge: float
    choice: RidgeChoice | None
    solver: str
    reason: str
    passes: int
    statistics: Statistics
    centred: Statistics


def fit_weights(
    blocks: SampleBlocks | None = None,
    *,
    n: int = 0,
    p: int = 0,
    k: int = 0,
    ridge: float | str = "loo",
    scoring: str = "squared_error",
    intercept: bool = False,
    solver: str = "auto",
    max_samples: int = 10_000,
    rng: np.random.Generator | None = None,
    statistics: Statistics | GramStatistics | None = None,
    timed: Timed | None = None,
) -> FittedWeights:
    r"""Fit ridge regression on a stream, with the choice of the ridge.

        W = sum_i w_i (y_i - mean_y) (phi_i - mean)^T (G + ridge I)^-1,    b = mean_y - W mean   with an intercept.

    For n >= p the sums G (p, p) are kept, and for n < p the n rows (:class:`DualStatistics`), so that nothing of size
    (p, p) is formed.

    Theorem: T13, T12 (weights, intercept).

    Parameters
    ----------
    blocks : SampleBlocks, optional
        ``blocks()`` gives the samples, and ``blocks(rows)`` some of them again for leave-one-out. Without it the model
        is that of ``statistics`` alone.
    n, p, k : int
        Numbers of samples, features and outputs, which ``statistics`` say where they are given.
    ridge : float, "loo" or "gcv"
        The absolute ridge, or how to choose it (:func:`select_ridge`).
    scoring : {"squared_error", "accuracy"}
        The score of leave-one-out.
    intercept : bool
        Whether to fit an unpenalised intercept (T12).
    solver : {"auto", "svd", "gram", "dual", "tsqr", "refined"}
        From sums ``auto`` is the choice of :func:`choose_solver`; from rows it takes inner products with refinement, or
        an SVD where these fail and at ridge = 0. ``dual`` and ``svd`` keep the rows whatever n, ``gram`` and
        ``refined`` the sums.
    max_samples : int
        Largest number of samples that leave-one-out scores; ``rng`` draws them.
    rng : numpy.random.Generator, optional
        It is required where leave-one-out has more samples than that.
    statistics : Sums or DualStatistics, optional
        Statistics of all samples, with which there is no first pass.
    timed : callable, optional
        ``timed(name)`` is a context manager that is entered for "gram", "eigendecomposition", "choice" and "solve".

    Returns
    -------
    FittedWeights

    Raises
    ------
    ValueError
        Options are unknown, features are zero or constant, or the weights underflow at the ridge.
    DivergenceError
        Refinement, as ``solver="refined"`` or ``"dual"`` asked for, does not converge.

    Notes
    -----
    *Cost.* Sums or inner products take n p min(n, p) flops, and the eigendecomposition for a choice O(min(n, p)^3).
    Memory holds a block and 2 p^2 numbers, or n p and n^2 for n < p (twice n p with an intercept or weights).
    *Numerics.* ``reason`` predicts the relative error of W from sums; from rows it is that of an SVD.

    Examples
    --------
    >>> import numpy as np
    >>> Phi, Y = np.array([[3.0, 4.0]]), np.array([[1.0]])
    >>> def blocks(rows=None, /, *, stage=""):
    ...     yield (Phi, Y) if rows is None else (Phi[rows], Y[rows])
    >>> found = fit_weights(blocks, n=1, p=2, k=1, ridge=25.0)
    >>> found.weights, found.solver
    (array([[0.06, 0.08]]), 'dual')
    >>> fit_weights(blocks, n=1, p=2, k=1, ridge="aic")
    Traceback (most recent call last):
        ...
    ValueError: ridge must be loo, gcv or a number >= 0, got 'aic'
    """
    timed = timed or (lambda name: nullcontext())
    statistics = statistics.sums() if isinstance(statistics, GramStatistics) else statistics
    if statistics is not None:
        n, p, k = statistics.n, statistics.p, statistics.k
    _require_options(blocks, ridge, solver, statistics, n, rng, max_samples)
    kept: tuple[np.ndarray, ...] | None = None
    if intercept and statistics is None and blocks is not None and not _by_rows(solver, n, p):
        blocks = AboutProvisionalMean(blocks, labels=scoring == "squared_error")
    if statistics is None and blocks is not None and _by_rows(solver, n, p):
        with timed("gram"):
            statistics = DualStatistics.of(blocks(stage="gram"), n=n)
    count = statistics.n if isinstance(statistics, DualStatistics) else n  # a sample of weight 0 has no row
    drawn = np.arange(count) if rng is None or ridge != "loo" else np.sort(rng.permutation(count)[:max_samples])
    if statistics is None and blocks is not None:
        keep = drawn if ridge == "loo" else drawn[:0]
        dtype = np.float32 if scoring == "accuracy" else np.float64
        statistics, kept = _sums(blocks(stage="gram"), p, k, keep, dtype, timed)
    assert statistics is not None  # one of the two is given
    centred = statistics.centred() if intercept else None
    fitted = statistics if centred is None else centred
    whole = statistics
    if isinstance(blocks, AboutProvisionalMean) and isinstance(statistics, Sums):
        whole = blocks.undone(statistics)
    require_scale(whole, fitted, ridge, rows=whole is not statistics or isinstance(fitted, DualStatistics))
    choice = None
    with one_thread(min(n, p) <= LIMITS.one_thread):
        if isinstance(ridge, str):
            with timed("eigendecomposition"):
                fitted.largest_eigenvalue()
            with timed("choice"):
                choice = _chosen(statistics, centred, ridge, scoring, blocks, drawn, kept)
            del kept
        value = as_ridge(ridge) if choice is None else choice.ridge  # type: ignore[arg-type]
        with timed("solve"):
            W, name, reason, passes = _solved(statistics, centred, blocks, value, solver)
            b = whole.mean_y - W @ whole.mean_phi if intercept else None
    return FittedWeights(W, b, value, choice, name, reason, passes, whole, whole if centred is None else fitted)


def _require_options(
    blocks: SampleBlocks | None,
    ridge: float | str,
    solver: str,
    statistics: Statistics | None,
    n: int,
    rng: object,
    max_samples: int,
) -> None:
    if isinstance(ridge, str) and ridge not in ("loo", "gcv"):
        raise ValueError(f"ridge must be loo, gcv or a number >= 0, got {ridge!r}")
    if not isinstance(ridge, str):
        as_ridge(ridge)
    if statistics is None and blocks is None:
        raise ValueError("there are neither samples nor sums; give blocks, or statistics")
    if isinstance(statistics, DualStatistics):
        require_solver(solver, ("auto", "svd", "dual", "tsqr"))
    elif statistics is not None:
        require_solver(solver, ("auto", "gram", "refined", "tsqr") if blocks is not None else ("auto", "gram"))
        if blocks is None and ridge == "loo":
            raise ValueError("ridge 'loo' reads samples, and there are sums only; take 'gcv' or a number")
    require_solver(solver)
    if ridge == "loo" and n > max_samples and rng is None:
        raise ValueError(f"{n} samples: leave-one-out draws {max_samples} of them and needs rng=default_rng(seed)")


def _by_rows(solver: str, n: int, p: int) -> bool:
    """Whether to keep the n rows in place of the sums (p, p)."""
    return solver in ("dual", "svd") or (n < p and solver in ("auto", "tsqr"))


def _sums(
    blocks: Iterable[tuple[Array, ...]], p: int, k: int, scored: np.ndarray, dtype: type, timed: Timed
) -> tuple[Sums, tuple[np.ndarray, ...] | None]:
    """Return sums over (Phi, Y, *weights), and the rows of the ``scored`` samples unless they would take too much.

    Rows that are kept need not be mapped again for leave-one-out, which saves a sixth of the time of the features. With
    features in float32 only the few samples that it cannot decide are mapped again.
    """
    statistics = GramStatistics(p, k)
    kept: tuple[np.ndarray, ...] | None = None
    done = 0
    for Phi, *others in blocks:
        with timed("gram"):
            statistics.update(Phi, others[0], sample_weight=others[1] if len(others) > 1 else None)
        if done == 0 and isinstance(Phi, np.ndarray) and np.dtype(dtype).itemsize * p * len(scored) <= _KEPT_BYTES:
            shapes = [(len(scored), *A.shape[1:]) for A in (Phi, *others)]
            kept = (np.empty(shapes[0], dtype), *(np.empty(shape) for shape in shapes[1:]))
        first, last = np.searchsorted(scored, [done, done + len(Phi)])
        if kept is not None:
            with np.errstate(over="ignore"):  # float32 cannot decide what is beyond it
                for whole, A in zip(kept, (Phi, *others), strict=True):
                    whole[first:last] = A[scored[first:last] - done]
        done += len(Phi)
        del Phi, others  # before the next block is made
    return statistics.sums(), kept


def _chosen(
    statistics: Statistics,
    centred: Statistics | None,
    criterion: str,
    scoring: str,
    blocks: SampleBlocks | None,
    drawn: np.ndarray,
    kept: tuple[np.ndarray, ...] | None,
) -> RidgeChoice:
    how = functools.partial(choose_ridge, statistics, centred, criterion=criterion, scoring=scoring)
    if criterion == "gcv":
        return how()
    if isinstance(statistics, DualStatistics):
        return how(rows=drawn)
    assert blocks is not None  # sums alone have no samples to leave out
    if kept is None:
        return how(blocks=_pieces(blocks(drawn, stage="leave-one-out")))
    return how(blocks=_pieces([kept]), exact=_mapped_again(blocks, drawn) if scoring == "accuracy" else None)


def _mapped_again(blocks: SampleBlocks, drawn: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that gives the exact features of some of the scored samples."""

    def exact(places: np.ndarray) -> np.ndarray:
        return np.concatenate([np.array(Phi, dtype=np.float64) for Phi, *_ in blocks(drawn[places])])

    return exact


def _pieces(blocks: Iterable[tuple[Array, ...]]) -> Iterator[tuple[Array, ...]]:
    """Cut blocks into pieces of few rows, for which nothing of the size of the sums is made."""
    for block in blocks:
        for start in range(0, int(block[0].shape[0]), _SCORED_ROWS):
            yield tuple(A[start : start + _SCORED_ROWS, ...] for A in block)


def _solved(
    statistics: Statistics,
    centred: Statistics | None,
    blocks: SampleBlocks | None,
    ridge: float,
    solver: str,
) -> tuple[Array, str, str, int]:
    """Return W, the solver, the reason for it, and the number of passes over the data."""
    if isinstance(statistics, DualStatistics):
        assert centred is None or isinstance(centred, DualStatistics)
        return *_from_rows(statistics if centred is None else centred, ridge, solver), 0
    assert centred is None or isinstance(centred, Sums)
    if blocks is None:
        choice = choose_solver(statistics if centred is None else centred, ridge, solver="gram")
        reason = f"gram, as there are sums only: predicted error of W {choice.gram_error:.1e}"
        return choice.weights, "gram", reason, 0
    found = stream_weights(
        statistics,
        functools.partial(blocks, stage="refinement"),
        ridge=ridge,
        solver=solver,
        intercept=centred is not None,
        accept=LIMITS.accept,
        centred=centred,
    )
    return found.weights, found.solver, found.choice.reason, found.passes


def _from_rows(rows: DualStatistics, ridge: float, solver: str) -> tuple[Array, str, str]:
    sizes = f"{rows.n} samples of {rows.p} features"
    if solver in ("svd", "tsqr"):
        return rows.weights_by_svd(ridge), "svd", f"svd, as asked: {sizes}"
    if solver == "auto" and ridge == 0.0:
        return rows.weights_by_svd(ridge), "svd", f"svd, since ridge 0 needs the rank: {sizes}"
    try:
        return rows.weights(ridge), "dual", f"dual{', as asked' if solver == 'dual' else ''}: {sizes}, refined"
    except DivergenceError as error:
        if solver == "dual":
            raise
        return rows.weights_by_svd(ridge), "svd", f"svd, since {error}"


class Traced(Protocol):
    """What knows the trace of a Gram matrix."""

    @property
    def trace(self) -> float:
        """The sum of the squared features."""


def require_scale(statistics: Traced, fitted: Traced, ridge: float | str, *, rows: bool = False) -> None:
    """Refuse features that leave nothing to fit, and a ridge at which the weights underflow.

    ``fitted`` are the statistics about the mean for a model with an intercept, and ``statistics`` for others; ``rows``
    says whether samples were centred before they were squared.
    """
    whole, trace = statistics.trace, fitted.trace
    rounding = 64.0 * np.finfo(np.float64).eps  # of the mean
    rounding = rounding**2 if rows else rounding
    least = max(rounding * (whole if fitted is not statistics else 0.0), LIMITS.least_trace)
    require_squares(whole)
    if not trace > least:
        what = "constant" if whole > LIMITS.least_trace else "zero or too small"
        raise ValueError(
            f"the features of all samples are {what}: their squares add up to {trace:.3g}, and float64 needs more than "
            f"{least:.3g}; look at the data and its scale"
        )
    if not isinstance(ridge, str) and float(ridge) > LIMITS.largest_ridge * trace:
        raise ValueError(
            f"ridge {float(ridge):.3g} is too large: the squared features add up to {trace:.3g}, and the weights would "
            "underflow; take a smaller one"
        )


def require_squares(total: float) -> None:
    """Refuse features whose squares, which add up to ``total``, are beyond what float64 can add and multiply."""
    if not total < LIMITS.largest_trace:
        raise ValueError(
            f"the squared features add up to {total:.3g}, beyond {LIMITS.largest_trace:.3g}; scale the features down"
        )
