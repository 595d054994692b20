"""From weights to distilled inputs: a construction in feature space, then the exact pre-image (T8)."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from analytic_dd.distill.affine import affine_features, affine_minimal_features
from analytic_dd.distill.circles import circle_features
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs, InvertibleMap
from analytic_dd.distill.exact import distill_features, free_matrix
from analytic_dd.distill.few import few_features
from analytic_dd.distill.intercept import add_intercept
from analytic_dd.distill.minimal import minimal_features
from analytic_dd.distill.near_copies import near_copies
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References
from analytic_dd.distill.several_ridges import SeveralRidges, several_ridges_features
from analytic_dd.errors import InfeasibleError
from analytic_dd.features.ranges import affine_direction
from analytic_dd.features.scaling import largest_scale
from analytic_dd.labels import centred_one_hot, labels_for, one_hot, repeated_classes
from analytic_dd.linalg import Sums, pseudo_inverse

__all__ = ["DistilledInputs", "InvertibleMap", "construct", "distill_inputs"]


def construct(
    W: np.ndarray,
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    statistics: Sums | None = None,
    references: np.ndarray | None = None,
    about_mean: bool = False,
) -> DistilledFeatures:
    """Build the features that ``recipe`` asks for; no feature map is involved.

    Parameters
    ----------
    W : (k, p) array
        Weights to reproduce.
    recipe : Recipe
    rng : numpy.random.Generator
        Draws what the theorem leaves free.
    statistics : Sums, optional
        Of the original data, about their mean for a model with an intercept: the metric of ``mode="few"``, the typical
        size of a feature vector, and what a set for several ridges is made from.
    references : (m, p) array, optional
        Features of real samples, for ``init="real"``.
    about_mean : bool
        Whether an intercept is added afterwards, so that labels count about their mean only. Rows of W that sum to 0
        (classes) then take one-hot labels less 1/k, which leave the direction free in which one-hot labels would make
        a set of lower rank: rounding in a nonlinear map would fill it, and ridge 0 divide by that.
    """
    k = W.shape[0]
    if recipe.ridges:
        return several_ridges_features(_required(statistics), recipe.ridges)
    m = recipe.size(k)
    if recipe.mode == "few":
        return few_features(W, m, metric=None if statistics is None else np.array(statistics.G))
    if recipe.labels == "learned":
        typical = 1.0 if statistics is None else math.sqrt(float(np.trace(statistics.G)) / statistics.weight) or 1.0
        return minimal_features(W, ridge=recipe.ridge, points=m, scale=typical, rng=rng)
    Ys = _fixed_labels(recipe, k, m)
    if recipe.labels == "one-hot" and _about_mean(W, about_mean):
        Ys = Ys - 1.0 / k
    free = None
    if _is_free(W, recipe, about_mean):
        # (Phi^+)^T is the target whose features are Phi: the published choice for sets that start at real samples
        free = free_matrix(W, Ys, rng=rng) if references is None else pseudo_inverse(references).T
    return distill_features(W, Ys, ridge=recipe.ridge, free=free, root=recipe.root)


def _is_free(W: np.ndarray, recipe: Recipe, about_mean: bool) -> bool:
    """Whether fixed labels of more rows than their rank leave features to choose (T1, T2)."""
    k, fixed = W.shape[0], recipe.mode == "exact" and recipe.labels != "learned" and not recipe.ridges
    return fixed and recipe.size(k) > k - (recipe.labels == "centred" or _about_mean(W, about_mean))


def _required(statistics: Sums | None) -> Sums:
    if statistics is None:
        raise ValueError("a set for several ridges needs the sums of the data, got none; pass statistics=")
    return statistics


def _about_mean(W: np.ndarray, about_mean: bool) -> bool:
    """Whether labels count about their mean, and the rows of W sum to 0 to rounding as those of classes do."""
    return about_mean and bool(
        np.linalg.norm(W.sum(axis=0)) <= W.shape[0] * np.finfo(np.float64).eps * np.linalg.norm(W)
    )


def _fixed_labels(recipe: Recipe, k: int, m: int) -> np.ndarray:
    if recipe.labels == "centred":  # k - 1 of the centred rows span them all (T5)
        return np.asarray(centred_one_hot(repeated_classes(k - 1, m), k))
    return np.asarray(one_hot(repeated_classes(k, m), k))


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
    fixed = recipe.labels != "learned"
    what = "sin/cos features" if on_circles else "features B x + c that leave out 0"
    refused = {  # what is asked for: what to do
        "an unpenalised intercept": "leave it out (--intercept)",
        f"mode {recipe.mode!r}": "use mode 'exact'",
        "a set for several ridges": "give one ridge",
        "fixed labels": "use labels 'learned' (--labels learned)",
        f"fixed labels at distilled ridge {recipe.ridge:.3g}": "use labels 'learned' (--labels learned), or ridge 0",
    }
    asked = intercept, recipe.mode != "exact", bool(recipe.ridges), fixed and on_circles, fixed and recipe.ridge > 0.0
    for wrong, (name, remedy) in zip(asked, refused.items(), strict=True):
        if wrong:
            theorem = "T8a" if on_circles else "T8e"
            raise InfeasibleError(
                f"{theorem}: there is no construction for {name} with {what}; {remedy}",
                theorem=theorem,
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
    statistics: Sums | None = None,
    references: np.ndarray | References | None = None,
    intercept: np.ndarray | None = None,
    centre: np.ndarray | None = None,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> DistilledInputs:
    """Distil ``W`` into inputs of ``feature_map``: construct, scale into its range, take the exact pre-image.

    Theorem: T8; the constructions are those of :func:`construct`, and of :func:`near_copies` for realistic modes.

    Parameters
    ----------
    W : (k, p) array
    feature_map : InvertibleMap
        See :class:`analytic_dd.features.FeatureMap`.
    recipe : Recipe
    rng : numpy.random.Generator
    statistics : Sums, optional
    references : (m, d) array or References, optional
        Real inputs; with ``init="real"`` the pre-images nearest to them are taken. Modes "nearest" and "one-image"
        need them.
    intercept : (k,) array, optional
        Unpenalised intercept to reproduce: one point more (T12), but for realistic modes, whose points carry it.
    centre : (p,) array, optional
        Mean of the features of the data, which the new features have too before they are scaled; with an intercept.
    box : (lower, upper), optional
        Range of the pixels in units of inputs (see :func:`pixel_box`), for ``recipe.box``.

    Raises
    ------
    InfeasibleError, RangeError
        No exact set of this kind exists; the message has the number and the remedy.
    """
    given = References(references) if isinstance(references, np.ndarray) else references
    if recipe.realistic:
        return near_copies(W, feature_map, recipe, given, intercept=intercept, box=box)
    near = given.inputs if given is not None and recipe.init == "real" else None
    started, weights, b = time.perf_counter(), W, intercept
    constrained = construct_in_range(W, feature_map, recipe, rng=rng, intercept=intercept is not None)
    if constrained is not None:
        built = constrained
    else:
        real = None if near is None else feature_map(near)
        built = construct(W, recipe, rng=rng, statistics=statistics, references=real, about_mean=intercept is not None)
        weights = _reproduced(W, built, recipe)
        if intercept is not None:
            assert centre is not None
            b = intercept + (W - weights) @ centre
            built = add_intercept(built, weights, b, centre=centre)
    constructed = time.perf_counter()
    c = 1.0
    if constrained is None and isinstance(built, SeveralRidges) and centre is not None:
        c, built = _scaled_about(centre, feature_map, built)
    elif constrained is None:
        c = feature_map.scale_into_range(built.features)
        built = built if c == 1.0 else built.scaled(c)
        if b is not None:  # T12 about the mean c mu: the intercept is no part of what T4' scales
            built = replace(built, labels=built.labels + (1.0 - c) * b)
    if near is not None and near.shape[0] != len(built):
        near = None  # an added intercept makes one point more than there are references
    inputs = feature_map.preimage(built.features, near=near)
    one_to_one = getattr(feature_map, "kind", "bijective") == "bijective"  # then no pre-image is nearer than another
    free = constrained is None and _is_free(W, recipe, intercept is not None)
    actual = feature_map(inputs)
    polished = recipe.labels == "learned" and recipe.mode == "exact" and intercept is None and not recipe.ridges
    labels = labels_for(actual, W, ridge=built.ridge) if polished else built.labels
    path = built.weights if isinstance(built, SeveralRidges) else None
    return DistilledInputs(
        inputs=inputs,
        distilled=replace(built, features=actual, labels=labels),
        scale=c,
        polished=polished,
        seconds={"construction": constructed - started, "preimage": time.perf_counter() - constructed},
        weights=weights,
        intercept=b,
        path=path,
        init_used=given is not None and (free or (near is not None and not one_to_one)),
        path_intercepts=None if path is None or b is None else b + (weights - path) @ centre,
    )


def _scaled_about(
    centre: np.ndarray, feature_map: InvertibleMap, built: SeveralRidges
) -> tuple[float, DistilledFeatures]:
    """Scale the deviations from the mean into the range (T4'): with the mean of the data every intercept stays."""
    deviations = built.features - centre

    def fits(c: float) -> bool:
        return feature_map.scale_into_range(centre + c * deviations) == 1.0

    c, mean_y = largest_scale(fits), built.labels.mean(axis=0)
    scaled = built.scaled(c)
    return c, replace(scaled, features=centre + c * deviations, labels=mean_y + c * (built.labels - mean_y))


def _reproduced(W: np.ndarray, built: DistilledFeatures, recipe: Recipe) -> np.ndarray:
    """What a set without an intercept reproduces: W, its part that few points keep (T7), or that of the first ridge."""
    if recipe.mode == "few":
        return np.asarray(built.labels.T @ (built.labels @ W))
    return np.asarray(built.weights[0]) if isinstance(built, SeveralRidges) else W
