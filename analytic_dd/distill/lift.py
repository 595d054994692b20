"""From features to inputs: the range of the map, the exact pre-image, the labels of what came out (T8)."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from analytic_dd.distill.construction import Construction, one_of, option, reference_choice
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs
from analytic_dd.distill.intercept import add_intercept
from analytic_dd.distill.problem import Problem
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.ranges import Affine, Circles, Range, largest_scale

__all__ = ["Lifted", "OfAllRanks", "no_construction", "scaled_about"]


@dataclass(frozen=True)
class Lifted(Construction):
    """A construction in feature space, whose points come from the exact pre-image of the map.

    A subclass writes :meth:`features`, and what it can do where the range of the map is a plane that leaves out 0 or a
    product of circles.
    """

    by_preimages: ClassVar[bool] = True

    init: str = option(
        "random",
        "random or real: where the freedom that the theorem leaves is spent",
        check=one_of("random", "real"),
        metavar="INIT",
    )
    references: str = option(
        "random",
        "real samples to be near: random, k-means, herding, or images in a .npy or .npz (x, y) file",
        check=reference_choice,
        metavar="CHOICE|FILE",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.references != "random" and self.init != "real":
            which = "references" if self.references == "given" else f"references={self.references!r}"
            raise ValueError(
                f"{which} are for sets near real samples and for init='real', got init={self.init!r}; use "
                "Nearest(...), NearCopies(...) or OneImage(...), or init='real'"
            )

    @abstractmethod
    def size(self, k: int) -> int:
        """Return the number of points for k classes."""

    @abstractmethod
    def features(self, problem: Problem, near: np.ndarray | None) -> DistilledFeatures:
        """Return the set in feature space, without an intercept; ``near`` (m, p) are features of real samples."""

    def on_plane(self, problem: Problem, plane: Affine) -> DistilledFeatures:
        """Return the set where all features lie on a plane that leaves out 0 (T8e)."""
        raise no_construction(self.summary, plane, "use mode='exact'")

    def on_circles(self, problem: Problem, circles: Circles) -> DistilledFeatures:
        """Return the set where features are pairs on circles (T8a)."""
        raise no_construction(self.summary, circles, "use mode='exact'")

    def count(self, problem: Problem) -> int:
        """Return the number of points, for a model without an intercept."""
        return self.size(problem.k)

    def references_for(self, k: int) -> int:
        """Return one for each point where the freedom is spent on real samples."""
        return self.size(k) if self.init == "real" else 0

    def for_references(self, m: int, k: int) -> Construction:
        """Return the construction near ``m`` references that the caller gives: as many as points."""
        if self.size(k) != m:
            raise ValueError(
                f"as many points as references are made, got {m} references and {self.size(k)} points wanted"
            )
        return replace(self, references="given")

    def leaves_free(self, problem: Problem) -> bool:
        """Whether the theorem leaves features to choose."""
        return False

    def reproduced(self, problem: Problem, built: DistilledFeatures) -> np.ndarray:
        """Return the weights (k, p) that the set gives."""
        return problem.W

    def polishes(self, problem: Problem) -> bool:
        """Whether its labels follow from the features that the inputs have in the end (T4)."""
        return False

    def polished(self, problem: Problem, built: DistilledFeatures) -> DistilledFeatures:
        """Return the set, whose features are those of the inputs, with the labels that follow from these."""
        return built

    def into_range(
        self, problem: Problem, built: DistilledFeatures, b: np.ndarray | None
    ) -> tuple[float, DistilledFeatures]:
        """Scale features, labels and ridge into the range of the map (T4').

        The mean of the features becomes c mu; the intercept ``b`` is no part of what is scaled (T12). Of another loss
        than the squared one the features alone are scaled, and labels follow (T18a).
        """
        c = problem.feature_map.scale_into_range(built.features)
        if c == 1.0:
            return c, built
        if problem.loss != "squared":
            return 1.0, self._smaller(problem, built, c)
        scaled = built.scaled(c)
        return c, scaled if b is None else replace(scaled, labels=scaled.labels + (1.0 - c) * b)

    def build(self, problem: Problem) -> DistilledInputs:
        """Construct, scale into the range of the map, take the exact pre-image.

        Theorem: T8; with an intercept one point more (T12).
        """
        started, phi = time.perf_counter(), problem.feature_map
        near = problem.references.inputs if problem.references is not None and self.init == "real" else None
        special = self._in_special_range(problem)
        weights, b, c = problem.W, problem.intercept, 1.0
        if special is not None:
            built = special
            constructed = time.perf_counter()
        else:
            built = self.features(problem, None if near is None else phi(near))
            weights = self.reproduced(problem, built)
            built, b = _with_intercept(problem, built, weights)
            constructed = time.perf_counter()
            c, built = self.into_range(problem, built, b)
        if near is not None and near.shape[0] != len(built):
            near = None  # an added intercept makes one point more than there are references
        inputs = phi.preimage(built.features, near=near)
        actual = phi(inputs)
        free = special is None and self.leaves_free(problem)
        return DistilledInputs(
            inputs=inputs,
            distilled=self.polished(problem, replace(built, features=actual)),
            scale=c,
            polished=self.polishes(problem),
            seconds={"construction": constructed - started, "preimage": time.perf_counter() - constructed},
            weights=weights,
            intercept=b,
            # a one-to-one map has one pre-image, so no reference is nearer to it than another
            init_used=problem.references is not None and (free or (near is not None and phi.kind != "bijective")),
        )

    def _smaller(self, problem: Problem, built: DistilledFeatures, c: float) -> DistilledFeatures:
        if not self.polishes(problem):
            raise InfeasibleError(
                f"T18d: features with fixed labels of loss={problem.loss!r} have one size, and the range of "
                f"{problem.feature_map.name} holds {c:.3g} of it; use labels='learned', or features='identity'",
                theorem="T18d",
                value=c,
                limit=1.0,
            )
        return replace(built, features=c * built.features)

    def _in_special_range(self, problem: Problem) -> DistilledFeatures | None:
        """Build on a plane or on circles, or return None where the range is a subspace or a box."""
        where = problem.feature_map.range
        if not isinstance(where, (Affine, Circles)):
            return None
        if problem.intercept is not None:
            raise no_construction("an unpenalised intercept", where, "leave the intercept out")
        return self.on_plane(problem, where) if isinstance(where, Affine) else self.on_circles(problem, where)


@dataclass(frozen=True)
class OfAllRanks(Lifted):
    """A construction of as many points as the ranks of what it keeps."""

    def size(self, k: int) -> int:
        """Return k, the least."""
        return k

    def count(self, problem: Problem) -> int:
        """Return the number of points."""
        return len(self.features(problem, None))


def _with_intercept(
    problem: Problem, built: DistilledFeatures, weights: np.ndarray
) -> tuple[DistilledFeatures, np.ndarray | None]:
    """Return the set with the point more that an intercept takes (T12), and the intercept of its weights."""
    if problem.intercept is None:
        return built, None
    assert problem.centre is not None
    b = problem.intercept + (problem.W - weights) @ problem.centre
    return add_intercept(built, weights, b, centre=problem.centre), b


def no_construction(what: str, where: Range, remedy: str, value: float = 0.0) -> InfeasibleError:
    """Return the error for a construction that a plane or circles do not admit."""
    theorem, features = (
        ("T8e", "features B x + c that leave out 0") if isinstance(where, Affine) else ("T8a", "sin/cos features")
    )
    return InfeasibleError(
        f"{theorem}: there is no construction for {what} with {features}; {remedy}",
        theorem=theorem,
        value=value,
        limit=0.0,
    )


def scaled_about(centre: np.ndarray, problem: Problem, built: DistilledFeatures) -> tuple[float, DistilledFeatures]:
    """Scale the deviations from the mean into the range (T4'): with the mean of the data every intercept stays."""
    deviations = built.features - centre

    def fits(c: float) -> bool:
        return problem.feature_map.scale_into_range(centre + c * deviations) == 1.0

    c, mean_y = largest_scale(fits), built.labels.mean(axis=0)
    scaled = built.scaled(c)
    return c, replace(scaled, features=centre + c * deviations, labels=mean_y + c * (built.labels - mean_y))
