"""Exact sets whose labels are given: one-hot or centred, from noise or near real samples (T2, T3, T5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.distill.affine import affine_features
from analytic_dd.distill.construction import Sized, one_of, option, register, ridge
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.exact import distill_features, free_matrix
from analytic_dd.distill.hard_labels import hard_label_features
from analytic_dd.distill.lift import Lifted, no_construction
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.ranges import Affine, Circles
from analytic_dd.labels import centred_one_hot, one_hot, repeated_classes
from analytic_dd.linalg import pseudo_inverse, thin_svd

__all__ = ["Exact"]


@register
@dataclass(frozen=True)
class Exact(Sized, Lifted):
    """Points with fixed labels, on which ridge regression gives exactly W.

    Theorem: T2 (distilled ridge 0), T3 (above), T5 (centred labels), T8e (maps B x + c that leave out 0); T18d for
    softmax models, at a distilled ridge > 0, with copies where one copy of the points does not do.

    Attributes
    ----------
    points_per_class, points : int
        Centred labels name k - 1 classes, so they make (k - 1) * points_per_class points (T5).
    labels : {"one-hot", "centred"}
    distilled_ridge : float
        lambda_s, absolute.
    root : {"large", "small"}
        Which solution for a distilled ridge > 0 (T3).
    init : {"random", "real"}
        Where the freedom of more points than rank W is spent: at random, or near references.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> W = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> made = Exact(points_per_class=2).build(Problem(W, Identity(3), np.random.default_rng(0)))
    >>> made.inputs.shape, made.distilled.theorem
    ((4, 3), 'T2')
    """

    mode = "exact"
    summary = "fixed labels"
    losses = ("squared", "softmax")
    loss_labels = ("one-hot",)  # other labels are no probabilities

    labels: str = option(  # type: ignore[misc]
        "one-hot",
        "one-hot, centred or learned (default one-hot, learned for other modes)",
        check=one_of("one-hot", "centred", beside="; Minimal(...) learns them"),
        metavar="KIND",
    )
    distilled_ridge: float = option(0.0, "of the distilled set, absolute (default 0)", check=ridge, metavar="FLOAT")
    root: str = option(
        "large", "large or small, for a distilled ridge > 0", check=one_of("large", "small"), metavar="ROOT"
    )

    def size(self, k: int) -> int:
        """Return the number of points: k - 1 centred rows span all of them (T5)."""
        return self.points_per_class * (k - (self.labels == "centred")) if self.points is None else self.points

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T2 or T3; the free matrix is (near^+)^T where there are real samples.

        With an intercept, labels count about their mean only. Rows of W that sum to 0 (classes) then take one-hot
        labels less 1/k, which leave the direction free in which one-hot labels would make a set of lower rank:
        rounding in a nonlinear map would fill it, and ridge 0 divide by that.
        """
        W, Ys, free = problem.W, self._labels(problem.k), None
        if problem.loss != "squared":
            return self._of_softmax(problem, Ys)
        if self.labels == "one-hot" and problem.counts_about_the_mean:
            Ys = Ys - 1.0 / problem.k
        if self.leaves_free(problem):
            free = free_matrix(W, Ys, rng=problem.rng) if near is None else pseudo_inverse(near).T
        return distill_features(W, Ys, ridge=self.distilled_ridge, free=free, root=self.root)

    def _of_softmax(self, problem: Problem, Ys: np.ndarray) -> DistilledFeatures:
        """Return the set of T18d, all copies of it."""
        if self.distilled_ridge == 0.0:
            raise InfeasibleError(
                "T18e: one-hot labels of the softmax loss have no minimiser at distilled_ridge=0; use "
                "labels='learned', or a distilled ridge > 0",
                theorem="T18e",
                value=0.0,
                limit=0.0,
            )
        if problem.intercept is not None:
            raise ValueError(
                "one-hot labels of the softmax loss are for models without an intercept (T18d); use labels='learned'"
            )
        made = hard_label_features(problem.W, Ys, ridge=self.distilled_ridge)
        spectrum = thin_svd(made.features)
        return DistilledFeatures(
            made.features,
            made.labels,
            made.ridge,
            theorem="T18d",
            amplification=1.0 / (1.0 - made.contraction),
            condition=spectrum.condition,
        )

    def leaves_free(self, problem: Problem) -> bool:
        """Whether the labels have more rows than their rank (T1, T2)."""
        k = problem.k
        if problem.loss != "squared":
            return False
        return self.size(k) > k - (self.labels == "centred" or problem.counts_about_the_mean)

    def on_plane(self, problem: Problem, plane: Affine) -> DistilledFeatures:
        """Return the set of T8e at ridge 0: one-hot rows sum to 1, so that one more point with label 0 makes room."""
        if self.distilled_ridge > 0.0:
            what = f"fixed labels at distilled_ridge={self.distilled_ridge:.3g}"
            raise no_construction(what, plane, "use labels='learned', or distilled_ridge=0", self.distilled_ridge)
        Ys = self._labels(problem.k)
        try:
            return affine_features(problem.W, Ys, plane.B, plane.c, rng=problem.rng)
        except InfeasibleError as error:
            if error.theorem != "T8e":
                raise
            return affine_features(problem.W, np.vstack([Ys, np.zeros(problem.k)]), plane.B, plane.c, rng=problem.rng)

    def on_circles(self, problem: Problem, circles: Circles) -> DistilledFeatures:
        """Refuse: fixed labels leave no room on circles."""
        raise no_construction("fixed labels", circles, "use labels='learned'", self.distilled_ridge)

    def _labels(self, k: int) -> np.ndarray:
        m = self.size(k)
        if self.labels == "centred":
            return np.asarray(centred_one_hot(repeated_classes(k - 1, m), k))
        return np.asarray(one_hot(repeated_classes(k, m), k))

    @classmethod
    def meant_by(cls, words: Any) -> bool:
        """Whether mode exact is wanted with labels that are given."""
        return bool(words["mode"] == cls.mode and words.get("labels") != "learned" and not words.get("ridges"))
