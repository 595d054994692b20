"""Cross-validation by fold from sums: the model without a fold is that of the sums of all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytic_dd.arrays import as_ridge, namespace
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge.choice import Blocks, validation_scores

__all__ = ["fold_errors", "fold_scores"]


def fold_scores(
    folds: Sequence[GramStatistics],
    blocks: Sequence[Blocks],
    ridges: Sequence[float] | np.ndarray,
    *,
    scoring: str,
    intercept: bool = False,
) -> tuple[np.ndarray, int]:
    r"""Score every ridge by k-fold cross-validation, without another fit on the data.

    Theorem: T13. G and C without fold f are the sums over the other folds.

    Parameters
    ----------
    folds : sequence of GramStatistics
        One a fold, at least two; unchanged.
    blocks : sequence of iterables of (Phi, Y)
        The samples of each fold, in the order of ``folds``.
    ridges : sequence of float
    scoring : {"accuracy", "squared_error"}
    intercept : bool

    Returns
    -------
    scores : (L,) array
        Mean over all samples, as :func:`analytic_dd.ridge.leave_one_out_scores`.
    samples : int

    Notes
    -----
    *Cost.* An eigendecomposition (or a Cholesky factor a ridge) a fold; 2 n p k L flops to score. *Numerics.* The other
    folds are added, not subtracted from the total, so nothing cancels.

    Examples
    --------
    >>> Phi, Y = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [3.0]])
    >>> folds = [GramStatistics(1, 1).update(Phi[i : i + 1], Y[i : i + 1]) for i in range(3)]
    >>> parts = [[(Phi[i : i + 1], Y[i : i + 1])] for i in range(3)]
    >>> fold_scores(folds, parts, [0.0, 1.0], scoring="squared_error")[0].round(4).tolist()
    [0.0, 0.0961]
    """
    if len(blocks) != len(folds):
        raise ValueError(f"blocks are needed for each of the {len(folds)} folds, got {len(blocks)}")
    total, samples = np.zeros(len(ridges)), 0
    for rest, part in zip(_without_each(folds), blocks, strict=True):
        scores, count = validation_scores(rest, part, ridges, scoring=scoring, intercept=intercept)
        total, samples = total + count * scores, samples + count
    return total / samples, samples


def fold_errors(
    folds: Sequence[GramStatistics], ridges: Sequence[float] | np.ndarray, *, intercept: bool = False
) -> tuple[np.ndarray, float]:
    r"""Return the mean squared error of k-fold cross-validation, and the weight scored, from the sums alone.

        sum_i |y_i - W phi_i - b|^2 = tr(YY) - 2 <W, C> + <W G, W> + (terms of b)

    for parties that send sums and never data.

    Theorem: T13.

    Notes
    -----
    *Numerics.* The squares cancel: a relative error of the scores of eps |Y|^2 / |Y - Phi W^T|^2. :func:`fold_scores`
    has no such limit.
    """
    total, weight = np.zeros(len(ridges)), 0.0
    for rest, fold in zip(_without_each(folds), folds, strict=True):
        xp = namespace(fold.C)
        path = (rest.centred() if intercept else rest).path([as_ridge(ridge) for ridge in ridges])
        for index in range(len(ridges)):
            W = path[index, ...]
            squares = float(xp.sum(fold.yy)) - 2.0 * float(xp.sum(W * fold.C)) + float(xp.sum((W @ fold.G) * W))
            if intercept:
                b = rest.mean_y - W @ rest.mean_phi
                squares += float(xp.sum(b * (fold.weight * b - 2.0 * (fold.sum_y - W @ fold.sum_phi))))
            total[index] += squares
        weight += fold.weight
    return total / weight / folds[0].k, weight


def _without_each(folds: Sequence[GramStatistics]) -> list[GramStatistics]:
    """The sums of all folds but one, for each."""
    if len(folds) < 2:
        raise ValueError(f"cross-validation needs at least two folds, got {len(folds)}")
    rests = []
    for left_out in range(len(folds)):
        rest = GramStatistics(folds[0].p, folds[0].k)
        for index, fold in enumerate(folds):
            if index != left_out:
                rest.merge(fold)
        rests.append(rest)
    return rests
