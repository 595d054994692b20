"""The choice of the ridge: leave-one-out, GCV or validation over a grid, all from one eigendecomposition (T13)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_matrix, in_double, namespace, to_numpy
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.left_out import LeftOut, right_decisions

__all__ = [
    "CRITERIA",
    "RidgeChoice",
    "choose_by_gcv",
    "choose_ridge",
    "leave_one_out_scores",
    "ridge_grid",
    "select_ridge",
    "validation_scores",
]

CRITERIA = ("loo", "gcv", "validation")
Blocks = Iterable[tuple[Array, ...]]  # (Phi, Y) or (Phi, Y, sample weights)


@dataclass(frozen=True)
class RidgeChoice:
    """The chosen ridge and how it was chosen.

    Attributes
    ----------
    ridge : float
        Absolute.
    ridges, scores : (L,) arrays
        The grid, ascending, and the score of each: accuracy (a fraction) or mean squared error.
    criterion : str
        ``"loo"``, ``"gcv"`` or ``"validation"``.
    scoring : str
        ``"accuracy"`` (largest wins) or ``"squared_error"`` (smallest wins); a tie goes to the larger ridge.
    samples : int
        Number of samples that were scored.
    """

    ridge: float
    ridges: np.ndarray
    scores: np.ndarray
    criterion: str
    scoring: str
    samples: int

    @property
    def at_edge(self) -> bool:
        """Whether the choice is an end of the grid, so that a wider grid might do better."""
        return len(self.ridges) > 1 and self.ridge in (self.ridges[0], self.ridges[-1])


def ridge_grid(statistics: Sums | DualStatistics, *, lowest: float = 1e-10, count: int = 21) -> np.ndarray:
    """Return ``count`` ridges from ``lowest * s_1^2`` to ``s_1^2``, evenly on a log scale (two a decade by default)."""
    largest = statistics.largest_eigenvalue()
    return (largest if largest > 0.0 else 1.0) * np.geomspace(lowest, 1.0, count)


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

    so (1 - h_i) times the prediction without sample i is  W phi - h_i y, which decides as that prediction does. Of a
    sample of weight w the part u = min(w, 1) is left out (h_i becomes u h_i) and its score counts w times: an integer
    weight is then the same as so many copies of the sample.

    Theorem: T13, T12 (weights).

    Parameters
    ----------
    statistics : Sums
        Sums over *all* samples.
    blocks : iterable of (Phi, Y) or (Phi, Y, sample_weight)
        Samples to score, (b, p) and (b, k), and their weights (b,) where ``statistics`` has such; a subset costs less
        than all.
    ridges : sequence of float
        Each > 0.
    scoring : {"accuracy", "squared_error"}
    intercept : bool
        Whether the model has an unpenalised intercept.
    exact : callable, optional
        For accuracy: the features in ``blocks`` were rounded to float32, and ``exact(positions)`` gives those of some
        samples again, by their places in ``blocks`` as a whole. Decisions are those of the exact features.
    centred : Sums, optional
        ``statistics.centred()`` where it is at hand; its eigendecomposition is not made again.

    Returns
    -------
    scores : (L,) array
        Fraction of right decisions (argmax), or mean over samples and outputs of the squared residual.
    samples : int
        Those of weight > 0.

    Notes
    -----
    *Cost.* One product (b, p) by (p, p) a block, 2 p^2 flops a sample, whatever the number of ridges; by accuracy most
    of it in float32 and only where it can decide (:class:`analytic_dd.ridge.left_out.LeftOut`).
    """
    _check_scoring(scoring)
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
            total += _sum_of_scores(to_numpy(predictions / (1.0 - h)[:, :, None]), to_numpy(Y), scoring, counts)
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
    """Score every ridge on the samples in ``blocks``, which are *not* among those in ``statistics``; see above."""
    _check_scoring(scoring)
    mean, mean_y = statistics.mean_phi, statistics.mean_y
    about_mean = statistics.centred() if intercept and centred is None else centred
    path = (statistics if about_mean is None else about_mean).path(ridges)
    total, samples = np.zeros(len(ridges)), 0
    for Phi, Y in blocks:
        Phi, Y = in_double(Phi), in_double(Y)
        F, offset = (Phi - mean, mean_y) if intercept else (Phi, 0.0)
        fitted = np.stack([to_numpy(F @ path[i, ...].T + offset) for i in range(len(ridges))], axis=1)
        total += _sum_of_scores(fitted, to_numpy(Y), scoring)
        samples += int(Phi.shape[0])
    return total / samples / (1 if scoring == "accuracy" else statistics.k), samples


def _gcv_scores(statistics: Sums, ridges: np.ndarray, *, intercept: bool) -> np.ndarray:
    """n |Y - H Y|^2 / (n - trace H)^2 / k a ridge, from the sums alone; the intercept adds 1 1^T / n to H.

    The part of Y outside the range of Phi is common to all ridges; what a ridge adds to it is a sum of squares, so a
    small score is not a difference of large numbers. NaN where n - trace H is rounding.
    """
    spectrum, n = statistics.spectrum(), statistics.weight
    rank = spectrum.rank
    values = to_numpy(spectrum.values)[:rank]
    energy = to_numpy((statistics.C @ spectrum.vectors) ** 2).sum(axis=0)[:rank] / values
    unexplained = max(float(to_numpy(statistics.yy).sum()) - float(np.sum(energy)), 0.0)
    shrunk = ridges[:, None] / (values + ridges[:, None])  # (L, rank)
    left = (n - rank - intercept) + shrunk.sum(axis=1)
    left = np.where(left > n * np.finfo(np.float64).eps, left, np.nan)
    return np.asarray(n * (unexplained + (shrunk**2) @ energy) / left**2 / statistics.k)


def choose_by_gcv(statistics: Sums, *, intercept: bool = False) -> RidgeChoice:
    """Choose the ridge by generalised cross-validation from the sums alone: no sample is read again.

    ``statistics`` are not centred; the score is the squared error, of classes too.
    """
    return choose_ridge(statistics, statistics.centred() if intercept else None, criterion="gcv")


def choose_ridge(
    statistics: Sums | DualStatistics,
    centred: Sums | DualStatistics | None = None,
    *,
    criterion: str,
    ridges: Sequence[float] | np.ndarray | None = None,
    scoring: str = "squared_error",
    blocks: Blocks | None = None,
    rows: np.ndarray | None = None,
    exact: Callable[[np.ndarray], np.ndarray] | None = None,
) -> RidgeChoice:
    r"""Choose the ridge of a model whose sums, or rows, are at hand: what :func:`select_ridge` and fitting call.

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums or DualStatistics
        Of the training data, not centred.
    centred : the same, optional
        ``statistics.centred()``, for a model with an intercept; its eigendecomposition serves the weights too.
    criterion : {"loo", "gcv", "validation"}
    ridges, scoring
        See :func:`select_ridge`.
    blocks : iterable of (Phi, Y) or (Phi, Y, sample_weight), optional
        Samples to score: training samples for ``loo`` from sums, held-out ones for ``validation``.
    rows : (b,) integer array, optional
        Samples to score by ``loo`` from rows; default all.
    exact : callable, optional
        See :func:`leave_one_out_scores`.
    """
    _check_scoring(scoring)
    if criterion not in CRITERIA:
        raise ValueError(f"unknown criterion {criterion!r}; choose from {', '.join(CRITERIA)}")
    fitted = statistics if centred is None else centred
    grid = _grid(ridges, fitted)
    if criterion == "gcv":
        scoring, samples = "squared_error", statistics.n
        if isinstance(fitted, DualStatistics):
            scores = fitted.gcv(grid)
        else:
            scores = _gcv_scores(fitted, grid, intercept=centred is not None)
    elif criterion == "loo" and isinstance(fitted, DualStatistics):
        scores, samples = _left_out_rows(fitted, grid, rows, scoring)
    else:
        options: dict[str, Any] = {"scoring": scoring, "intercept": centred is not None, "centred": centred}
        score = validation_scores
        if criterion == "loo":
            score, options["exact"] = leave_one_out_scores, exact  # type: ignore[assignment]
        scores, samples = score(statistics, () if blocks is None else blocks, grid, **options)
    return choose(grid, scores, criterion=criterion, scoring=scoring, samples=samples)


def _left_out_rows(
    dual: DualStatistics, grid: np.ndarray, rows: np.ndarray | None, scoring: str
) -> tuple[np.ndarray, int]:
    rows = np.arange(dual.n) if rows is None else rows
    counts = to_numpy(dual.root)[rows] ** 2
    scores = _sum_of_scores(dual.left_out(grid, rows), to_numpy(dual.Y)[rows], scoring, counts) / counts.sum()
    return scores / (1 if scoring == "accuracy" else dual.k), len(rows)


def _sum_of_scores(fitted: np.ndarray, Y: np.ndarray, scoring: str, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum over samples, for each ridge: fitted (b, L, k) against Y (b, k)."""
    if scoring == "squared_error":
        return _weighted_sum(((fitted - Y[:, None, :]) ** 2).sum(axis=2), weights)
    return _weighted_sum(right_decisions(fitted, Y), weights)


def _weighted_sum(scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.asarray(scores.sum(axis=0) if weights is None else weights @ scores)


def _shifted(exact: Callable[[np.ndarray], np.ndarray], place: int, rows: np.ndarray) -> np.ndarray:
    return exact(place + rows)


def _check_scoring(scoring: str) -> None:
    if scoring not in ("accuracy", "squared_error"):
        raise ValueError(f"unknown scoring {scoring!r}; choose accuracy (classes) or squared_error (regression)")


def choose(ridges: np.ndarray, scores: np.ndarray, *, criterion: str, scoring: str, samples: int) -> RidgeChoice:
    """Return the best ridge of a scored ascending grid; ties go to the larger ridge."""
    if not np.isfinite(scores).any():
        raise ValueError(
            f"no ridge of the grid ({ridges[0]:.3g} to {ridges[-1]:.3g}) gives a finite score; try larger ones"
        )
    best = np.nanmax(scores) if scoring == "accuracy" else np.nanmin(scores)
    index = int(np.flatnonzero(scores == best)[-1])
    return RidgeChoice(float(ridges[index]), ridges, scores, criterion, scoring, samples)


def select_ridge(
    Phi: Array,
    Y: Array,
    *,
    criterion: str = "loo",
    ridges: Sequence[float] | np.ndarray | None = None,
    scoring: str = "squared_error",
    statistics: Sums | DualStatistics | None = None,
    validation: tuple[Array, Array] | None = None,
    intercept: bool = False,
    max_samples: int = 10_000,
    rng: np.random.Generator | None = None,
) -> RidgeChoice:
    r"""Choose the ridge from a grid by leave-one-out, generalised cross-validation or a validation set.

    Theorem: T13.

    Parameters
    ----------
    Phi, Y : (n, p), (n, k) arrays
        Training features and labels.
    criterion : {"loo", "gcv", "validation"}
        ``gcv`` scores by squared error only.
    ridges : sequence of float, optional
        Grid of absolute ridges > 0; default :func:`ridge_grid`.
    scoring : {"squared_error", "accuracy"}
        A classifier is chosen by accuracy, a regressor by squared error.
    statistics : Sums or DualStatistics, optional
        Sums of the training data, or their rows, if at hand, not centred. Without an intercept they then have the
        eigendecomposition, which the weights at the chosen ridge need not make again.
    validation : (Phi, Y), optional
        Held-out pair, for ``criterion="validation"``.
    intercept : bool
        Whether the model has an unpenalised intercept.
    max_samples : int
        Leave-one-out scores at most this many, drawn by ``rng``.
    rng : numpy.random.Generator, optional
        Required when n > ``max_samples``.

    Returns
    -------
    RidgeChoice

    Raises
    ------
    ValueError
        Unknown criterion or scoring, a grid with a ridge <= 0, a validation set that is missing.

    Notes
    -----
    *Cost.* One Gram product, one eigendecomposition, 2 p^2 flops a scored sample; the number of ridges hardly matters.
    For n < p n^2 p + O(n^3) flops: by inner products.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Phi = rng.standard_normal((40, 3))
    >>> select_ridge(Phi, Phi @ np.ones((3, 1)), ridges=[1e-6, 1.0, 100.0]).ridge  # no noise: the least ridge
    1e-06
    """
    Phi, Y = as_matrices(Phi=Phi, Y=Y)
    if Phi.shape[0] != Y.shape[0]:
        raise ShapeError(f"Phi and Y must have the same number of rows, got {Phi.shape[0]} and {Y.shape[0]}")
    n, p = Phi.shape
    rows, blocks = None, None
    if statistics is None:
        statistics = DualStatistics(Phi, Y) if n < p else GramStatistics(p, Y.shape[1]).update(Phi, Y).sums()
    if criterion == "loo":
        rows = np.arange(n) if n <= max_samples else _drawn(n, max_samples, rng)
        blocks = [(Phi, Y) if n <= max_samples else _taken(rows, Phi, Y)]
    elif criterion == "validation":
        blocks = [_held_out(validation, p, Y.shape[1])]
    centred = statistics.centred() if intercept else None
    return choose_ridge(
        statistics, centred, criterion=criterion, ridges=ridges, scoring=scoring, blocks=blocks, rows=rows
    )


def _held_out(validation: tuple[Array, Array] | None, p: int, k: int) -> tuple[Array, Array]:
    if validation is None:
        raise ValueError("criterion 'validation' needs validation=(Phi, Y), samples that are not in the training set")
    Phi = as_matrix(validation[0], "validation Phi", columns=p)
    return Phi, as_matrix(validation[1], "validation Y", rows=Phi.shape[0], columns=k)


def _grid(ridges: Sequence[float] | np.ndarray | None, statistics: Sums | DualStatistics) -> np.ndarray:
    grid = ridge_grid(statistics) if ridges is None else np.sort(np.asarray(ridges, dtype=np.float64))
    if grid.size == 0 or not np.all(np.isfinite(grid) & (grid > 0.0)):
        raise ValueError(f"ridges must be a grid of finite numbers > 0, got {grid.tolist()}; fit ridge = 0 directly")
    return grid


def _drawn(n: int, count: int, rng: np.random.Generator | None) -> np.ndarray:
    if rng is None:
        raise ValueError(f"{n} samples: leave-one-out draws {count} of them and needs rng=default_rng(seed)")
    return np.sort(rng.permutation(n)[:count])


def _taken(rows: np.ndarray, Phi: Array, Y: Array) -> tuple[Array, Array]:
    xp = namespace(Phi)
    places = xp.asarray(rows, device=getattr(Phi, "device", None))
    return xp.take(Phi, places, axis=0), xp.take(Y, places, axis=0)
