"""The score of every ridge: leave-one-out, validation and generalised cross-validation (T13)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from analytic_dd.arrays import Array, in_double, namespace, to_numpy
from analytic_dd.linalg import Sums
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.gcv import gcv_scores
from analytic_dd.ridge.left_out import LeftOut, right_decisions

__all__ = ["Blocks", "gcv_of_sums", "leave_one_out_scores", "left_out_scores", "require_scoring", "validation_scores"]

Blocks = Iterable[tuple[Array, ...]]  # (Phi, Y) or (Phi, Y, sample weights)


def leave_one_out_scores(
    statistics: Sums,
    blocks: Blocks,
    ridges: Sequence[float] | np.ndarray,
    *,
    scoring: str,
    intercept: bool = False,
    exact: Callable[[np.ndarray], np.ndarray] | None = None,
    centred: Sums | None = None,
) -> tuple[np.ndarray, int]:
    r"""Score every ridge by leave-one-out over the samples in ``blocks``, which are among those in ``statistics``.

        residual without sample i = e_i / (1 - h_i),   e = y - W phi,   h_i = phi^T (G + ridge I)^-1 phi  (+ 1/n)

    so that W phi - h_i y, which is (1 - h_i) times the prediction without sample i, decides as that prediction does. Of
    a sample of weight w the part u = min(w, 1) is left out (h_i becomes u h_i) and the score counts w times, so that an
    integer weight is the same as so many copies of the sample.

    Theorem: T13, T12 (weights).

    Parameters
    ----------
    statistics : Sums
        Sums over *all* samples.
    blocks : iterable of (Phi, Y) or (Phi, Y, sample_weight)
        Samples to score, (b, p) and (b, k), with weights (b,) where ``statistics`` has weights. They may be some of
        all.
    ridges : sequence of float
        Positive ridges.
    scoring : {"accuracy", "squared_error"}
    intercept : bool
        Whether the model has an unpenalised intercept.
    exact : callable, optional
        With it, the features in ``blocks`` were rounded to float32, and ``exact(positions)`` gives those of some
        samples again, by their places in ``blocks`` as a whole. Decisions are those of the exact features.
    centred : Sums, optional
        ``statistics.centred()`` where it is at hand with its eigendecomposition.

    Returns
    -------
    scores : (L,) array
        Fraction of right decisions (argmax), or mean over samples and outputs of the squared residual.
    samples : int
        Number of samples of weight > 0.

    Notes
    -----
    *Cost.* One product (b, p) by (p, p) for each block, 2 p^2 flops for each sample, whatever the number of ridges. By
    accuracy most of it is in float32, and only where it can decide (:class:`analytic_dd.ridge.left_out.LeftOut`).
    """
    require_scoring(scoring)
    about_mean = (statistics.centred() if centred is None else centred) if intercept else None
    left = LeftOut(statistics, ridges, centred=about_mean)
    total, weight, samples, place = np.zeros(len(ridges)), 0.0, 0, 0
    for Phi, Y, *given in blocks:
        again = None if exact is None else functools.partial(_shifted, exact, place)
        place += int(Phi.shape[0])
        Phi, Y = Phi if again is not None and scoring == "accuracy" else in_double(Phi), in_double(Y)
        w = in_double(given[0]) if given else None
        part = None if w is None else namespace(w).where(w < 1.0, w, 1.0)
        counts = None if w is None else to_numpy(w)
        if scoring == "accuracy":
            total += _weighted_sum(left.right(Phi, Y, part, again), counts)
        else:
            predictions, h = left.predictions(Phi, Y, part)
            total += sum_of_scores(to_numpy(predictions / (1.0 - h)[:, :, None]), to_numpy(Y), scoring, counts)
        weight += Phi.shape[0] if counts is None else float(counts.sum())
        samples += int(Phi.shape[0]) if counts is None else int(np.sum(counts > 0.0))
    return total / weight / (1 if scoring == "accuracy" else statistics.k), samples


def validation_scores(
    statistics: Sums | DualStatistics,
    blocks: Blocks,
    ridges: Sequence[float] | np.ndarray,
    *,
    scoring: str,
    intercept: bool = False,
    centred: Sums | DualStatistics | None = None,
) -> tuple[np.ndarray, int]:
    """Score every ridge on the samples in ``blocks``, which are *not* among those in ``statistics``."""
    require_scoring(scoring)
    mean, mean_y = statistics.mean_phi, statistics.mean_y
    about_mean = statistics.centred() if intercept and centred is None else centred
    path = (statistics if about_mean is None else about_mean).path(ridges)
    total, samples = np.zeros(len(ridges)), 0
    for Phi, Y in blocks:
        Phi, Y = in_double(Phi), in_double(Y)
        F, offset = (Phi - mean, mean_y) if intercept else (Phi, 0.0)
        fitted = np.stack([to_numpy(F @ path[i, ...].T + offset) for i in range(len(ridges))], axis=1)
        total += sum_of_scores(fitted, to_numpy(Y), scoring)
        samples += int(Phi.shape[0])
    return total / samples / (1 if scoring == "accuracy" else statistics.k), samples


def gcv_of_sums(statistics: Sums, ridges: np.ndarray, *, intercept: bool) -> np.ndarray:
    """Return the scores of generalised cross-validation (L,) from sums, centred where there is an intercept."""
    spectrum, n = statistics.spectrum(), statistics.weight
    rank = spectrum.rank
    values = to_numpy(spectrum.values)[:rank]
    energy = to_numpy((statistics.C @ spectrum.vectors) ** 2).sum(axis=0)[:rank] / values
    unexplained = max(float(to_numpy(statistics.yy).sum()) - float(np.sum(energy)), 0.0)
    return gcv_scores(values, energy, unexplained, ridges, n=n, free=n - rank - intercept, k=statistics.k)


def left_out_scores(
    dual: DualStatistics, grid: np.ndarray, rows: np.ndarray | None, scoring: str
) -> tuple[np.ndarray, int]:
    """Score every ridge by leave-one-out over ``rows`` of the samples, or all, from inner products."""
    rows = np.arange(dual.n) if rows is None else rows
    counts = to_numpy(dual.root)[rows] ** 2
    scores = sum_of_scores(dual.left_out(grid, rows), to_numpy(dual.Y)[rows], scoring, counts) / counts.sum()
    return scores / (1 if scoring == "accuracy" else dual.k), len(rows)


def sum_of_scores(fitted: np.ndarray, Y: np.ndarray, scoring: str, weights: np.ndarray | None = None) -> np.ndarray:
    """Return for each ridge the sum over samples of the scores of ``fitted`` (b, L, k) against ``Y`` (b, k)."""
    if scoring == "squared_error":
        return _weighted_sum(((fitted - Y[:, None, :]) ** 2).sum(axis=2), weights)
    return _weighted_sum(right_decisions(fitted, Y), weights)


def _weighted_sum(scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.asarray(scores.sum(axis=0) if weights is None else weights @ scores)


def _shifted(exact: Callable[[np.ndarray], np.ndarray], place: int, rows: np.ndarray) -> np.ndarray:
    return exact(place + rows)


def require_scoring(scoring: str) -> None:
    if scoring not in ("accuracy", "squared_error"):
        raise ValueError(f"unknown scoring {scoring!r}; choose accuracy (classes) or squared_error (regression)")
