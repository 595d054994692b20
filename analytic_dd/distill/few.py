"""Fewer points than rank W: not exact, but as near as any set of that size and any labels can be (T7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import Array, as_matrices, as_matrix, namespace, norm
from analytic_dd.distill.construction import one_of, option, register, whole_number
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.lift import Lifted
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import ShapeError
from analytic_dd.linalg import eigh, svd, thin_svd

__all__ = ["Few", "few_features"]


def few_features(W: Array, m: int, *, metric: Array | Callable[[Array], Array] | None = None) -> DistilledFeatures:
    r"""Build the best set of ``m`` points:  min |(W_s - W) S^(1/2)| over all features and labels.

        U = leading m eigenvectors of W S W^T,   Ys = U^T,   Phis = ((U^T W)^+)^T,   ridge 0,
        W_s = U U^T W,   error^2 = sum of the other eigenvalues.

    Theorem: T7.

    Parameters
    ----------
    W : (k, p) array
    m : int
        Number of points, 1 to k.
    metric : (p, p) array or callable, optional
        S, positive semi-definite, or what gives  X S  for X (k, p); I by default. With S = Phi^T Phi the error is that
        of the predictions on the data; with S = Phi^T Phi + ridge I the result is reduced-rank ridge regression.

    Returns
    -------
    DistilledFeatures
        ``relative_error`` is |(W_s - W) S^(1/2)| / |W S^(1/2)|, the optimum.

    Raises
    ------
    ShapeError, ValueError
        ``m`` outside 1 .. k; a metric of another size.

    Notes
    -----
    *Cost.* O(k p^2) for the metric, O(k^3 + k^2 p) otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> distilled = few_features(np.diag([3.0, 4.0]), 1)  # keeps the direction of weight 4
    >>> distilled.labels.round(12) ** 2, round(distilled.relative_error, 12)
    (array([[0., 1.]]), 0.6)
    """
    as_matrix(W, "W")
    k, p = W.shape
    if not 1 <= m <= k:
        raise ShapeError(
            f"m must lie in 1 .. {k}, the number of rows of W, got {m}; distill_features makes sets of more"
        )
    if metric is not None and not callable(metric):
        as_matrix(metric, "metric", rows=p, columns=p)
        W, metric = as_matrices(W=W, metric=metric)
    U, s = _leading(W, metric)
    target = thin_svd(U[:, :m].T @ W)
    Phis = (target.U / target.s) @ target.Vt
    total = norm(s)
    lost = norm(s[m:]) / total if total > 0.0 and m < s.shape[0] else 0.0
    return DistilledFeatures(Phis, U[:, :m].T, 0.0, "T7", target.condition, target.condition, relative_error=lost)


def _leading(W: Array, S: Array | Callable[[Array], Array] | None) -> tuple[Array, Array]:
    """Return eigenvectors of W S W^T, leading first, with the square roots of the eigenvalues."""
    xp = namespace(W)
    if S is None:
        U, s, _ = svd(W, full=W.shape[0] > W.shape[1])  # no product is squared
        return U, s
    S_product = (S(W) if callable(S) else W @ S) @ W.T
    values, vectors = eigh((S_product + S_product.T) / 2.0)
    values = xp.flip(values, axis=0)
    return xp.flip(vectors, axis=1), xp.sqrt(xp.where(values > 0.0, values, 0.0 * values))


@register
@dataclass(frozen=True)
class Few(Lifted):
    """The best set of fewer points than rank W: not exact, but no set of that size comes nearer.

    Theorem: T7, in the metric of the predictions on the data.

    Attributes
    ----------
    points : int
        Fewer than rank W.
    labels : {"learned", "centred"}
        ``centred``: learned labels of a model that is trained on centred ones.
    """

    mode = "few"
    summary = "the best set of fewer points than rank W"
    recovered = "refitted weights differ from the part of W that so few points keep (T7) by"

    points: int | None = option(None, "total number of points", check=whole_number, metavar="M")
    labels: str = option(  # type: ignore[misc]
        "learned", "learned, or centred: those of a model trained on centred labels", check=one_of("learned", "centred")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points is None:
            raise ValueError("a set of fewer points than rank W needs their number, got none; give points=M")

    def size(self, k: int) -> int:
        """Return the number of points."""
        assert self.points is not None
        return self.points

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T7."""
        metric = None if problem.sums is None else problem.sums.apply_gram
        return few_features(problem.W, self.size(problem.k), metric=metric)

    def reproduced(self, problem: Problem, built: DistilledFeatures) -> np.ndarray:
        """Return U U^T W, the part of W that so few points keep."""
        return np.asarray(built.labels.T @ (built.labels @ problem.W))

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Say by how much W itself and its predictions are missed."""
        return [
            f"  W itself is missed by {content['error_to_original']:.2g}, its predictions on the data by "
            f"{content['diagnostics']['relative_error']:.2g}: no {content['points']} points come nearer"
        ]
