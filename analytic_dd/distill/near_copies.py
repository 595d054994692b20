"""Realistic sets in input space: near copies of references (T6, T6b, Box), or of one image (T9)."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np

from analytic_dd.distill.dependent_references import nearest_to_dependent
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs, InvertibleMap
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.distill.into_range import into_range
from analytic_dd.distill.nearest_with_intercept import nearest_with_intercept
from analytic_dd.distill.one_image import one_image_features
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References
from analytic_dd.errors import InfeasibleError, ShapeError
from analytic_dd.labels import centred_one_hot, labels_for, one_hot
from analytic_dd.linalg import row_basis

__all__ = ["near_copies"]


def near_copies(
    W: np.ndarray,
    feature_map: InvertibleMap,
    recipe: Recipe,
    references: References | None,
    *,
    intercept: np.ndarray | None = None,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> DistilledInputs:
    """Distil ``W`` into near copies of real samples, exact on the features of the inputs as they are.

    ``nearest``: the features nearest to those of the references, then the pre-images nearest to the references.
    ``one-image``: one reference and rank W copies of it. Learned labels are those of T4 on the features of the inputs.

    Theorem: T6, T6b, Box; T9; T12 with an intercept, without a point more.

    Parameters
    ----------
    W : (k, p) array
    feature_map : InvertibleMap
    recipe : Recipe
        Mode "nearest" or "one-image", labels, ridge, tau, box.
    references : References
        As many as points, at least rank W (one more with an intercept); one for "one-image".
    intercept : (k,) array, optional
        Unpenalised intercept to reproduce.
    box : (lower, upper), optional
        See :func:`analytic_dd.distill.box.pixel_box`; needed where ``recipe.box`` is set.

    Raises
    ------
    InfeasibleError, RangeError
        See :func:`nearest_to_dependent`, :func:`one_image_features`, :func:`into_range`.
    ValueError
        No references, fixed labels for references of unknown classes, numbers of points that do not fit.

    Examples
    --------
    >>> from analytic_dd.features import FullyConnected
    >>> from analytic_dd.ridge import ridge_weights
    >>> rng = np.random.default_rng(0)
    >>> W, phi, real = np.eye(2, 4), FullyConnected([5, 4], rng=0), References(rng.standard_normal((3, 5)))
    >>> built = near_copies(W, phi, Recipe(mode="nearest", ridge=0.1), real)
    >>> Ws = ridge_weights(phi(built.inputs), built.distilled.labels, ridge=0.1)
    >>> bool(np.allclose(Ws, W, atol=1e-12)), built.inputs.shape
    (True, (3, 5))
    >>> near_copies(W, phi, Recipe(mode="nearest"), None)
    Traceback (most recent call last):
        ...
    ValueError: mode 'nearest' needs references, got none; pass references=, real inputs (m, d)
    """
    if references is None:
        raise ValueError(f"mode {recipe.mode!r} needs references, got none; pass references=, real inputs (m, d)")
    if recipe.mode == "one-image":
        return _one_image(W, feature_map, recipe, references, intercept)
    return _nearest(W, feature_map, recipe, references, intercept, box)


def _one_image(
    W: np.ndarray, feature_map: InvertibleMap, recipe: Recipe, references: References, b: np.ndarray | None
) -> DistilledInputs:
    if len(references) != 1:
        raise ShapeError(f"mode 'one-image' takes one reference, got {len(references)}; pass one row")
    _require_points(recipe, len(row_basis(W)) + 1, len(W))
    started = time.perf_counter()
    x0 = references.inputs
    change = None if recipe.largest_change is None else recipe.largest_change * float(np.ptp(x0))
    built = one_image_features(W, feature_map, x0, ridge=recipe.ridge, largest_change=change)
    distilled: DistilledFeatures = built
    if b is not None:
        labels = labels_with_intercept(built.features, W, b, ridge=recipe.ridge)
        distilled = replace(built, labels=labels, theorem="T12 on T9")
    seconds = {"construction": time.perf_counter() - started, "preimage": 0.0}
    return DistilledInputs(built.inputs, distilled, 1.0, True, seconds, W, b, references=references)


def _require_points(recipe: Recipe, made: int, k: int) -> None:
    """The number of points follows from rank W; another that was asked for is refused, not ignored."""
    asked = recipe.points if recipe.points is not None else recipe.points_per_class * k
    if asked != made and (recipe.points is not None or recipe.points_per_class != 1):
        raise ValueError(
            f"one image and its near copies are rank W + 1 = {made} points (T9), got {asked} wanted; leave the number "
            "of points out (--points, --ipc)"
        )


def _nearest(
    W: np.ndarray,
    feature_map: InvertibleMap,
    recipe: Recipe,
    references: References,
    b: np.ndarray | None,
    box: tuple[np.ndarray, np.ndarray] | None,
) -> DistilledInputs:
    box = _required_box(recipe, feature_map, box)
    started = time.perf_counter()
    Phi_ref, Ys = feature_map(references.inputs), _fixed_labels(recipe, references, len(W))
    build = nearest_to_dependent if b is None else partial(nearest_with_intercept, b=b)
    built = build(W, Phi_ref, ridge=recipe.ridge, labels=Ys, tau=recipe.tau, box=box)
    constructed = time.perf_counter()
    near = references.inputs if len(built) == len(references) else None  # a box has one point more
    learned = Ys is None
    inputs, c = into_range(feature_map, built.features, near, by_rows=learned and b is None)
    actual = feature_map(inputs)
    if not learned:
        if b is not None and c.min() != 1.0:
            raise _no_scaling(float(c.min()))
        labels = c[:, None] * built.labels
    elif b is None:
        labels = labels_for(actual, W, ridge=recipe.ridge)
    else:
        labels = labels_with_intercept(actual, W, b, ridge=recipe.ridge)
    return DistilledInputs(
        inputs=inputs,
        distilled=replace(built, features=actual, labels=labels),
        scale=1.0 if learned else float(c[0]),
        polished=learned,
        seconds={"construction": constructed - started, "preimage": time.perf_counter() - constructed},
        weights=W,
        intercept=b,
        references=references,
        row_scale=(float(c.min()), float(c.max())) if learned else (1.0, 1.0),
    )


def _no_scaling(c: float) -> InfeasibleError:
    return InfeasibleError(
        f"T12: features scaled by {c:.3g} into the range of the map change the intercept of fixed labels; use labels "
        "'learned' (--labels learned)",
        theorem="T12",
        value=c,
        limit=1.0,
    )


def _fixed_labels(recipe: Recipe, references: References, k: int) -> np.ndarray | None:
    if recipe.labels == "learned":
        return None
    if references.classes is None:
        raise ValueError(
            f"labels {recipe.labels!r} need the classes of the references, got references alone; give their classes "
            "(y in an npz file) or use labels 'learned'"
        )
    return np.asarray((centred_one_hot if recipe.labels == "centred" else one_hot)(references.classes, k))


def _required_box(
    recipe: Recipe, feature_map: InvertibleMap, box: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if not recipe.box:
        return None
    if getattr(feature_map, "name", None) != "identity":
        name = getattr(feature_map, "name", type(feature_map).__name__)
        raise InfeasibleError(
            f"Box: features must be pixels for the points to be moved into the pixels' range, got {name}; use "
            "features 'identity', or leave out the box",
            theorem="Box",
            value=0.0,
            limit=1.0,
        )
    if box is None:
        raise ValueError("box needs the range of the pixels; pass box=(lower, upper), see pixel_box")
    return box
