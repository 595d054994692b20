"""From weights to distilled inputs: a construction in feature space, then the exact pre-image (T8)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.distill.affine import affine_direction, affine_features, affine_minimal_features
from analytic_dd.distill.circles import circle_features
from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.exact import distill_features, free_matrix
from analytic_dd.distill.few import few_features
from analytic_dd.distill.minimal import minimal_features
from analytic_dd.distill.recipe import Recipe
from analytic_dd.errors import InfeasibleError
from analytic_dd.labels import centred_one_hot, labels_for, one_hot, repeated_classes
from analytic_dd.linalg import GramStatistics, pseudo_inverse

__all__ = ["DistilledInputs", "InvertibleMap", "construct", "distill_inputs"]


class InvertibleMap(Protocol):
    """What a distillation asks of a feature map."""

    def __call__(self, X: Array) -> Array:
        """Features (n, p) of inputs (n, d)."""

    def preimage(self, Phi: Array, *, near: Array | None = None) -> Array:
        """Inputs with these features."""

    def scale_into_range(self, Phi: Array) -> float:
        """The factor c <= 1 that brings c Phi into the range."""


@dataclass(frozen=True)
class DistilledInputs:
    """A distilled set in input space.

    Attributes
    ----------
    inputs : (m, d) array
        The feature map's inputs: the exact set.
    distilled : DistilledFeatures
        Its features, labels, ridge and diagnostics, after scaling into the range of the map.
    scale : float
        c: features and labels were multiplied by it and the ridge by c^2 to fit the range (T4'); 1 for a linear range.
    polished : bool
        Whether learned labels were recomputed on the features of the inputs as they are (T4).
    seconds : dict
        Time of ``construction`` and ``preimage``.
    """

    inputs: Array
    distilled: DistilledFeatures
    scale: float
    polished: bool
    seconds: dict[str, float]


def construct(
    W: np.ndarray,
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    statistics: GramStatistics | None = None,
    references: np.ndarray | None = None,
) -> DistilledFeatures:
    """Build the features that ``recipe`` asks for; no feature map is involved.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce.
    recipe : Recipe
    rng : numpy.random.Generator
        Draws what the theorem leaves free.
    statistics : GramStatistics, optional
        Of the original data: the metric of ``mode="few"`` and the typical size of a feature vector.
    references : (m, p) array, optional
        Features of real samples, for ``init="real"``.
    """
    k = W.shape[0]
    m = recipe.size(k)
    if recipe.mode == "few":
        return few_features(W, m, metric=None if statistics is None else np.array(statistics.G))
    if recipe.labels == "learned":
        typical = 1.0 if statistics is None else math.sqrt(float(np.trace(statistics.G)) / statistics.n) or 1.0
        return minimal_features(W, ridge=recipe.ridge, points=m, scale=typical, rng=rng)
    Ys = _fixed_labels(recipe, k, m)
    free = None
    if m > k - (recipe.labels == "centred"):
        # (Phi^+)^T is the target whose features are Phi: the published choice for sets that start at real samples
        free = free_matrix(W, Ys, rng=rng) if references is None else pseudo_inverse(references).T
    return distill_features(W, Ys, ridge=recipe.ridge, free=free, root=recipe.root)


def _fixed_labels(recipe: Recipe, k: int, m: int) -> np.ndarray:
    if recipe.labels == "centred":  # k - 1 of the centred rows span them all (T5)
        return centred_one_hot(repeated_classes(k - 1, m), k)
    return one_hot(repeated_classes(k, m), k)


def construct_in_range(
    W: np.ndarray, feature_map: InvertibleMap, recipe: Recipe, *, rng: np.random.Generator, intercept: bool
) -> DistilledFeatures | None:
    """Build the features where the range of the map is no box and no subspace, or return None where it is one.

    Theorem: T8e (affine maps whose range leaves out 0), T8a (sin/cos features, a product of circles).

    Raises
    ------
    InfeasibleError
        What these theorems leave out: fixed labels with a ridge (affine) or at all (circles), an unpenalised
        intercept, fewer points than rank W.
    """
    affine = feature_map.affine() if hasattr(feature_map, "affine") else None
    on_circles = getattr(feature_map, "form", None) == "sincos"
    if not on_circles and (affine is None or affine_direction(*affine) is None):
        return None
    learned = recipe.labels == "learned"
    if intercept or recipe.mode != "exact" or (not learned and (on_circles or recipe.ridge > 0.0)):
        theorem = "T8a: sin/cos features have exact sets" if on_circles else "T8e: features B x + c have exact sets"
        where = "" if on_circles else ", and for fixed labels at distilled ridge 0"
        raise InfeasibleError(
            f"{theorem} for learned labels at any ridge{where}, without an intercept; use labels 'learned' "
            "(--labels learned)",
            theorem=theorem[:3],
            value=recipe.ridge,
            limit=0.0,
        )
    if on_circles:
        return circle_features(W, feature_map.radius, ridge=recipe.ridge)  # type: ignore[attr-defined]
    assert affine is not None
    return _construct_affine(W, recipe, *affine, rng=rng)


def _construct_affine(
    W: np.ndarray, recipe: Recipe, B: np.ndarray, c: np.ndarray, *, rng: np.random.Generator
) -> DistilledFeatures:
    k = W.shape[0]
    if recipe.labels == "learned":
        return affine_minimal_features(W, B, c, ridge=recipe.ridge)
    Ys = _fixed_labels(recipe, k, recipe.size(k))
    try:
        return affine_features(W, Ys, B, c, rng=rng)
    except InfeasibleError as error:  # one-hot rows sum to 1; one more point with label 0 makes room (k + 1)
        if error.theorem != "T8e":
            raise
        return affine_features(W, np.vstack([Ys, np.zeros(k)]), B, c, rng=rng)


def distill_inputs(
    W: np.ndarray,
    feature_map: InvertibleMap,
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    statistics: GramStatistics | None = None,
    references: np.ndarray | None = None,
    refine: Callable[[DistilledFeatures], DistilledFeatures] | None = None,
) -> DistilledInputs:
    """Distil ``W`` into inputs of ``feature_map``: construct, scale into its range, take the exact pre-image.

    Theorem: T8; the constructions are those of :func:`construct`.

    Parameters
    ----------
    W : (k, p) array
    feature_map : InvertibleMap
        See :class:`analytic_dd.features.FeatureMap`.
    recipe : Recipe
    rng : numpy.random.Generator
    statistics : GramStatistics, optional
    references : (m, d) array, optional
        Real inputs; used with ``init="real"``: the pre-images nearest to them are taken.
    refine : callable, optional
        Applied to the features before the pre-image (an added intercept, T12).

    Raises
    ------
    InfeasibleError, RangeError
        No exact set of this kind exists; the message has the number and the remedy.
    """
    near = references if recipe.init == "real" else None
    started = time.perf_counter()
    constrained = construct_in_range(W, feature_map, recipe, rng=rng, intercept=refine is not None)
    if constrained is not None:
        built = constrained
    else:
        real = None if near is None else feature_map(near)
        built = construct(W, recipe, rng=rng, statistics=statistics, references=real)
        built = built if refine is None else refine(built)
    constructed = time.perf_counter()
    c = 1.0 if constrained is not None else feature_map.scale_into_range(built.features)
    if c != 1.0:
        built = replace(built, features=c * built.features, labels=c * built.labels, ridge=c * c * built.ridge)
    if near is not None and near.shape[0] != len(built):
        near = None  # an added intercept makes one point more than there are references
    inputs = feature_map.preimage(built.features, near=near)
    actual = feature_map(inputs)
    polished = recipe.labels == "learned" and recipe.mode == "exact" and refine is None
    labels = labels_for(actual, W, ridge=built.ridge) if polished else built.labels
    return DistilledInputs(
        inputs=inputs,
        distilled=replace(built, features=actual, labels=labels),
        scale=c,
        polished=polished,
        seconds={"construction": constructed - started, "preimage": time.perf_counter() - constructed},
    )
