"""The choice of the ridge by leave-one-out, GCV or validation over a grid, from one eigendecomposition (T13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_matrix, device_of, namespace
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.scores import (
    Blocks,
    gcv_of_sums,
    leave_one_out_scores,
    left_out_scores,
    require_scoring,
    validation_scores,
)

__all__ = [
    "RidgeChoice",
    "choose_ridge",
    "ridge_grid",
    "select_ridge",
]

_CRITERIA = ("loo", "gcv", "validation")


@dataclass(frozen=True)
class RidgeChoice:
    """The chosen ridge and how it was chosen.

    Attributes
    ----------
    ridge : float
        The absolute ridge.
    ridges, scores : (L,) arrays
        The ascending grid, and the accuracy (a fraction) or mean squared error of each.
    criterion : str
        ``"loo"``, ``"gcv"`` or ``"validation"``.
    scoring : str
        ``"accuracy"`` (the largest wins) or ``"squared_error"`` (the smallest wins); a tie goes to the larger ridge.
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
    r"""Choose the ridge of a model whose sums, or rows, are at hand; :func:`select_ridge` and fitting call it.

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums or DualStatistics
        Statistics of the training data, not centred.
    centred : the same, optional
        ``statistics.centred()`` for a model with an intercept; its eigendecomposition serves the weights too.
    criterion : {"loo", "gcv", "validation"}
    ridges, scoring
        See :func:`select_ridge`.
    blocks : iterable of (Phi, Y) or (Phi, Y, sample_weight), optional
        Samples to score, which are training samples for ``loo`` from sums and held-out ones for ``validation``.
    rows : (b,) integer array, optional
        Samples to score by ``loo`` from rows; all by default.
    exact : callable, optional
        See :func:`leave_one_out_scores`.
    """
    require_scoring(scoring)
    if criterion not in _CRITERIA:
        raise ValueError(f"unknown criterion {criterion!r}; choose from {', '.join(_CRITERIA)}")
    fitted = statistics if centred is None else centred
    grid = _grid(ridges, fitted)
    if criterion == "gcv":
        scoring, samples = "squared_error", statistics.n
        if isinstance(fitted, DualStatistics):
            scores = fitted.gcv(grid)
        else:
            scores = gcv_of_sums(fitted, grid, intercept=centred is not None)
    elif criterion == "loo" and isinstance(fitted, DualStatistics):
        scores, samples = left_out_scores(fitted, grid, rows, scoring)
    else:
        options: dict[str, Any] = {"scoring": scoring, "intercept": centred is not None, "centred": centred}
        score = validation_scores
        if criterion == "loo":
            score, options["exact"] = leave_one_out_scores, exact  # type: ignore[assignment]
        scores, samples = score(statistics, () if blocks is None else blocks, grid, **options)
    return choose(grid, scores, criterion=criterion, scoring=scoring, samples=samples)


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
        Grid of absolute ridges > 0; :func:`ridge_grid` by default.
    scoring : {"squared_error", "accuracy"}
        Accuracy is for classifiers, and the squared error for regressors.
    statistics : Sums or DualStatistics, optional
        Sums of the training data, or their rows, where they are at hand, not centred. Without an intercept they keep
        the eigendecomposition for the weights at the chosen ridge.
    validation : (Phi, Y), optional
        A held-out pair for ``criterion="validation"``.
    intercept : bool
        Whether the model has an unpenalised intercept.
    max_samples : int
        Largest number of samples that leave-one-out scores; ``rng`` draws them.
    rng : numpy.random.Generator, optional
        It is required for n > ``max_samples``.

    Returns
    -------
    RidgeChoice

    Raises
    ------
    ValueError
        Criterion or scoring are unknown, a ridge of the grid is <= 0, or the validation set is missing.

    Notes
    -----
    *Cost.* One Gram product, one eigendecomposition and 2 p^2 flops for each scored sample; the number of ridges hardly
    matters. For n < p inner products take n^2 p + O(n^3) flops.

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
    places = xp.asarray(rows, device=device_of(Phi))
    return xp.take(Phi, places, axis=0), xp.take(Y, places, axis=0)
