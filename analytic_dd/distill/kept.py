"""Constructions that keep more of the data than one model: gradients, trajectories, later data, every penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from analytic_dd.arrays import eps_of
from analytic_dd.distill.column_space import ColumnSpace, model_space, orthonormal_columns, residual_of_model
from analytic_dd.distill.construction import option, register, whole_number
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.future import future_points
from analytic_dd.distill.lift import OfAllRanks
from analytic_dd.distill.problem import Problem
from analytic_dd.distill.spanning import describe
from analytic_dd.distill.sufficient import sufficient_set
from analytic_dd.distill.trajectory import bound_of_blocks, distances, fewest_points, krylov
from analytic_dd.linalg import thin_svd

__all__ = ["Future", "Gradients", "Sufficient", "Trajectory"]


_STEPS = 100_000  # some seconds


def _positive(name: str, value: Any) -> None:
    if value is not None and not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be finite and > 0, got {value}")


def _measurable(name: str, value: Any) -> None:
    whole_number(name, value)
    if value is not None and value > _STEPS:
        raise ValueError(f"{name} must be at most {_STEPS:,}, since each is taken and measured, got {value:,}")


@dataclass(frozen=True)
class TrajectoryFeatures(DistilledFeatures):
    """A set for the steps of a descent, and how far its steps are from those on the data.

    Some W_t on the data are kept, so that who has the set alone can compare its steps with them.
    """

    step: float = 0.0  # on the set: 1 / |G|_2 of the data, over c^2 for features times c (T4')
    steps_at: tuple[int, ...] = ()  # t of the weights that are kept
    descent: Any = field(default=None, repr=False)  # (S, k, p): these W_t of the data
    output_error: float = 0.0  # of these, the largest |W_t^s - W_t| of an output relative to the largest |W_t| of it
    steps_error: float = 0.0  # largest |W_t^s - W_t| relative to the largest |W_t|, for steps of 1 / |G|_2, as measured
    steps_bound: float = 0.0  # what T19d allows; 0 for a complete set

    def diagnostics(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values."""
        names = ("steps_error", "steps_bound", "step", "steps_at", "output_error")
        return super().diagnostics() | {name: getattr(self, name) for name in names}

    def scaled(self, c: float) -> TrajectoryFeatures:
        """Return features and labels times c: the same weights by steps over c^2."""
        features, labels, ridge = c * self.features, c * self.labels, c * c * self.ridge
        return replace(self, features=features, labels=labels, ridge=ridge, step=self.step / c**2)

    def in_outputs(self, units: np.ndarray) -> TrajectoryFeatures:
        """Return the set of outputs times ``units`` (k,)."""
        return replace(self, labels=self.labels * units, descent=self.descent * units[:, None])


@dataclass(frozen=True)
class FutureFeatures(DistilledFeatures):
    """A set for every future in a subspace of the features, with that subspace."""

    subspace: Any = field(default=None, repr=False)  # (p, r), orthonormal columns


@dataclass(frozen=True)
class _Kept(OfAllRanks):
    """A set in the coordinates of the data, with the ridge of the original model: W is its model too."""

    def described(self, problem: Problem, Phis: np.ndarray, Ys: np.ndarray, theorem: str) -> DistilledFeatures:
        """Return the set with its condition; the rank is decided in silence, the certificate judges."""
        spectrum = thin_svd(Phis, rcond=max(Phis.shape) * eps_of(Phis))
        return describe(Phis, Ys, problem.ridge, theorem=theorem, spectrum=spectrum)

    def along(
        self, problem: Problem, space: ColumnSpace, residuals: list[np.ndarray], theorem: str
    ) -> DistilledFeatures:
        """Return the set whose residuals span the given ones and that at W."""
        every = [*residuals, residual_of_model(space, problem.W, problem.ridge)]
        V = orthonormal_columns(np.concatenate([E / (np.linalg.norm(E) or 1.0) for E in every], axis=1))
        return self.described(problem, *space.kept(V), theorem)


@register
@dataclass(frozen=True)
class Gradients(_Kept):
    """A set with the gradients of the data at 0 and at W: gradient matching at the start and at the end.

    Theorem: T20a.

    Examples
    --------
    >>> from analytic_dd.features import Identity
    >>> from analytic_dd.linalg import GramStatistics
    >>> rng = np.random.default_rng(0)
    >>> sums = GramStatistics(5, 2).update(rng.standard_normal((20, 5)), rng.standard_normal((20, 2)))
    >>> problem = Problem(sums.weights(1.0), Identity(5), rng, sums=sums, ridge=1.0)
    >>> Gradients().build(problem).inputs.shape
    (4, 5)
    """

    mode = "gradients"
    summary = "the gradients of the data at 0 and at W"

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T20a."""
        space = model_space(problem.sums, problem.W, problem.ridge, unresolved=True)
        return self.along(problem, space, [-space.labels], "T20a")


@register
@dataclass(frozen=True)
class Trajectory(_Kept):
    """A set on which gradient descent from 0 takes the steps it takes on the data, and ends at the same W.

    Theorem: T19a, and T20a at W: (steps + 1) k points at most; T19d with a tolerance.

    Attributes
    ----------
    steps : int
        T; any step sizes, weight decay and momentum.
    tolerance : float or None
        As few points as keep T steps of 1 / |G|_2 to this error, relative to the largest |W_t|.
    """

    mode = "trajectory"
    summary = "the same steps of gradient descent as on the data"

    steps: int = option(10, "steps of gradient descent from 0 (default 10)", check=_measurable, metavar="T")
    tolerance: float | None = option(
        None, "as few points as keep the steps to this relative error (T19d)", check=_positive, metavar="TOL"
    )

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T19a, or of T19d, measured."""
        zero = 0.0 * problem.W
        space = model_space(problem.sums, problem.W, problem.ridge, unresolved=True)
        V = krylov(space.s**2, -space.labels, self.steps)
        m = V.shape[1] if self.tolerance is None else fewest_points(space, V, zero, self.steps, self.tolerance)
        at_model = residual_of_model(space, problem.W, problem.ridge)
        kept = np.concatenate([V[:, :m], at_model / (np.linalg.norm(at_model) or 1.0)], axis=1)
        kept = orthonormal_columns(kept)
        at = tuple(sorted({1, math.isqrt(self.steps), self.steps}))
        travelled, error, passed = distances(space, kept, zero, self.steps, at=at)
        lengths, away = (np.linalg.norm(np.array(each), axis=2) for each in zip(*passed, strict=True))
        complete = m == V.shape[1]
        built = self.described(problem, *space.kept(kept), "T19a" if complete else "T19d")
        bound = 0.0 if complete else bound_of_blocks(space, zero, self.steps, m // problem.k)
        values = {each.name: getattr(built, each.name) for each in fields(built)}
        return TrajectoryFeatures(
            **values,
            step=1.0 / float(space.s[0]) ** 2,
            steps_at=at,
            descent=np.array([w @ space.Vt for w, _ in passed]),
            output_error=float(np.max(away.max(axis=0) / np.maximum(lengths.max(axis=0), np.finfo(float).tiny))),
            steps_error=error / travelled,
            steps_bound=bound / travelled,
        )

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Return how far the steps on the set are from those on the data, beside the bound."""
        found = content["diagnostics"]
        error, bound = found["steps_error"], found["steps_bound"]
        allowed = "rounding, T19a" if bound == 0.0 else f"the bound of T19d is {bound:.1e}"
        said = f"  {self.steps} steps of 1 / |G| from 0: |W_t^s - W_t| at most {error:.1e} of the way ({allowed})"
        of_file = content["steps_found"]
        at = ", ".join(map(str, of_file["at"]))
        return [said, f"  steps {at} of the stored set: at most {of_file['error']:.1e} of the way of an output"]


@register
@dataclass(frozen=True)
class Future(_Kept):
    """A memory of the data for samples that come later, whose features lie in the leading directions of these.

    Theorem: T23b. The set keeps the subspace, so that :func:`analytic_dd.update` adds and forgets samples.

    Attributes
    ----------
    dimensions : int
        r: how many of the leading eigenvectors of G the later samples may use.
    """

    mode = "future"
    summary = "a memory that stays exact when data come later"

    dimensions: int = option(
        10, "leading directions of the data that later samples lie in (default 10)", check=whole_number, metavar="R"
    )

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T23b."""
        if problem.intercept is not None:
            raise ValueError("mode='future' is for models without an intercept: later data move the mean; leave it out")
        space = model_space(problem.sums, problem.W, problem.ridge)
        r = min(self.dimensions, len(space.s))
        V, gain = space.Vt[:r].T, 1.0 / (space.s[:r] ** 2 + problem.ridge)
        Phis, Ys = future_points(problem.W, V * gain, V * (space.s[:r] ** 2 * gain), problem.ridge)
        built = self.described(problem, Phis, Ys, "T23b")
        return FutureFeatures(**{each.name: getattr(built, each.name) for each in fields(built)}, subspace=V)


@register
@dataclass(frozen=True)
class Sufficient(_Kept):
    """A set with the squared-loss objective of the data at every W, so with the same model for every penalty.

    Theorem: T25.
    """

    mode = "sufficient"
    summary = "every penalty and every choice of features"

    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set of T25."""
        space: Any = model_space(problem.sums, problem.W, problem.ridge)
        whole = sufficient_set(problem.sums)
        beside = whole.labels[len(space.s) :]  # what labels have outside of the features: at most one row
        Phis = np.concatenate([space.features, np.zeros((len(beside), space.p))])
        return self.described(problem, Phis, np.concatenate([space.labels, beside]), "T25")
