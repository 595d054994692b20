"""From the original model to distilled inputs, with the real samples that take part (T8)."""

from __future__ import annotations

import math

import numpy as np

from analytic_dd.arrays import Array
from analytic_dd.data import Dataset
from analytic_dd.distill.box import pixel_box
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.inputs import distill_inputs
from analytic_dd.distill.original import (
    LOO_SAMPLES,
    OriginalModel,
    Progress,
    Stages,
    fit_original,
    model_from_statistics,
    require_scale,
)
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References, choose_rows
from analytic_dd.errors import DataError

__all__ = [
    "LOO_SAMPLES",
    "OriginalModel",
    "Progress",
    "Stages",
    "choose_references",
    "distill_model",
    "fit_original",
    "given_references",
    "model_from_statistics",
    "sample_rows",
]


def distill_model(
    model: OriginalModel,
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    references: Array | References | None = None,
    stages: Stages | None = None,
) -> DistilledInputs:
    """Distil a fitted model into inputs of its feature map, as ``recipe`` says.

    Theorem: T8; with an intercept one point more (T12), but for realistic modes.

    Parameters
    ----------
    model : OriginalModel
    recipe : Recipe
    rng : numpy.random.Generator
    references : (m, d) array or References, optional
        Normalised inputs, see :func:`choose_references`; fixed labels of a nearest set need their classes too.
    stages : Stages, optional
        Receives times.
    """

    statistics = model.statistics if model.intercept is None else model.statistics.centred()
    if recipe.ridges:
        require_scale(model.statistics, statistics, max(recipe.ridges))
    result = distill_inputs(
        model.weights,
        model.feature_map,
        recipe,
        rng=rng,
        statistics=statistics,
        references=references,
        intercept=model.intercept,
        centre=None if model.intercept is None else model.statistics.mean_phi,
        box=_box(model) if recipe.box else None,
    )
    if stages is not None:
        for name, value in result.seconds.items():
            stages.seconds[name] = stages.seconds.get(name, 0.0) + value
    return result


def _box(model: OriginalModel) -> tuple[np.ndarray, np.ndarray]:
    return pixel_box(*model.value_range, mean=model.mean, std=model.std, d=model.weights.shape[1])


def choose_references(
    model: OriginalModel, dataset: Dataset, recipe: Recipe, *, rng: np.random.Generator
) -> References:
    """Choose the training samples that a set is to be near, by ``recipe.references``; of any class for one image.

    k-means compares normalised pixels, herding features; see :func:`choose_rows`.
    """
    k = len(dataset.classes)
    m, y = recipe.size(k), dataset.y_train
    if recipe.mode == "one-image":
        y, k = np.zeros_like(y), 1

    def samples(rows: np.ndarray) -> np.ndarray:
        X = model.inputs_of(dataset, rows)[0]
        return np.asarray(model.feature_map(X)) if recipe.references == "herding" else X

    rows = choose_rows(recipe.references, y, m, k=k, rng=rng, samples=samples)
    X, classes = model.inputs_of(dataset, rows)
    return References(X, classes, rows)


def given_references(
    model: OriginalModel, dataset: Dataset, images: np.ndarray, *, classes: np.ndarray | None = None
) -> References:
    """Take references from images in the data's units, (m, *image_shape) or (m, d), and indices of their classes.

    Raises
    ------
    DataError
        Images of another size, none, NaN, or other than one class for each.
    """
    size, k = dataset.d, len(dataset.classes)
    if images.ndim < 2 or len(images) == 0 or math.prod(images.shape[1:]) != size:
        raise DataError(
            f"references must be images of shape {dataset.image_shape}, at least one, got an array of shape "
            f"{images.shape}; reshape it"
        )
    x = images.reshape(len(images), size).astype(np.float64)
    if not np.all(np.isfinite(x)):
        raise DataError("references must be finite, got NaN or infinity; drop those images")
    X = ((x.reshape(-1, len(model.mean)) - model.mean) / model.std).reshape(len(x), size)
    if classes is None:
        return References(X)
    y = np.asarray(classes)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or not np.all((y >= 0) & (y < k)):
        raise DataError(
            f"classes of references must be {len(x)} indices 0 .. {k - 1}, got dtype {y.dtype} of shape {y.shape}"
        )
    return References(X, y.astype(np.int64))


def sample_rows(dataset: Dataset, m: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return indices of m real training samples, as evenly over the classes as possible, class-major, drawn by rng."""
    return choose_rows("random", dataset.y_train, m, k=len(dataset.classes), rng=rng)
