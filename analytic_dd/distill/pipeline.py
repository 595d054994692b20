"""The original model from a data set, a block of samples at a time (T13), then its distilled inputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from analytic_dd.arrays import Array, as_weights, to_numpy
from analytic_dd.data import Dataset
from analytic_dd.distill.box import pixel_box
from analytic_dd.distill.distilled import DistilledInputs, InvertibleMap
from analytic_dd.distill.inputs import distill_inputs
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References, choose_rows
from analytic_dd.errors import DataError
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import RidgeChoice, leave_one_out_scores, ridge_grid, stream_weights
from analytic_dd.ridge.choice import choose

__all__ = [
    "LOO_SAMPLES",
    "OriginalModel",
    "Stages",
    "choose_references",
    "distill_model",
    "fit_original",
    "given_references",
    "sample_rows",
]

LOO_SAMPLES = 10_000  # leave-one-out is scored on at most this many samples, drawn at random

_ACCEPT = 1e-9  # predicted error of W at which a second pass over the data is not worth its time
_BLOCK_BYTES = 32 * 2**20  # of float64 inputs

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass
class Stages:
    """Wall seconds by stage; a stage that is entered again adds up."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block under ``name``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class OriginalModel:
    """Ridge regression fitted on all the data, which a distilled set is to reproduce.

    Attributes
    ----------
    weights : (k, p) array
    intercept : (k,) array or None
    ridge : float
    choice : RidgeChoice or None
        How the ridge was chosen; None where it was given.
    feature_map : InvertibleMap
    mean, std : (channels,) arrays
        inputs = (x - mean) / std, in the data's units.
    statistics : GramStatistics
    label_kind : str
        ``"one-hot"`` or ``"centred"``: what the model was trained on.
    solver, solver_reason : str
        ``"gram"``, ``"refined"`` or ``"tsqr"`` (T13), and why in one line.
    value_range : (float, float)
        Of the pixels, in the data's units.
    """

    weights: np.ndarray
    intercept: np.ndarray | None
    ridge: float
    choice: RidgeChoice | None
    feature_map: InvertibleMap
    mean: np.ndarray
    std: np.ndarray
    statistics: GramStatistics
    label_kind: str
    solver: str
    solver_reason: str
    value_range: tuple[float, float]

    def inputs_of(self, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalised inputs (m, d) and classes (m,) of some training samples, in the order of ``rows``."""
        blocks = list(dataset.blocks("train", mean=self.mean, std=self.std, order=rows))
        return np.concatenate([X for X, _ in blocks]), np.concatenate([y for _, y in blocks])


def fit_original(
    dataset: Dataset,
    feature_map: InvertibleMap,
    *,
    ridge: float | str = "loo",
    centred: bool = False,
    intercept: bool = False,
    sample_weight: np.ndarray | None = None,
    rng: np.random.Generator,
    moments: tuple[np.ndarray, np.ndarray] | None = None,
    dtype: type = np.float64,
    solver: str = "auto",
    stages: Stages | None = None,
    progress: Progress | None = None,
) -> OriginalModel:
    """Fit ridge regression on the training part: one pass over the data, one Gram product, one eigendecomposition.

    Theorem: T13.

    Parameters
    ----------
    dataset : Dataset
    feature_map : InvertibleMap
    ridge : "loo" or float
        Chosen by leave-one-out accuracy (ties to the larger ridge), or given (absolute).
    centred : bool
        Train on one-hot labels minus 1/k (T5).
    intercept : bool
        Fit an unpenalised intercept (T12).
    sample_weight : (n,) float array, optional
        Weights >= 0 of the training samples: 2 counts as two copies (T12).
    rng : numpy.random.Generator
        Draws the samples that leave-one-out is scored on.
    moments : (mean, std), optional
        From :meth:`Dataset.statistics`, if at hand.
    dtype : numpy float type
        Arithmetic of the feature map; sums are float64 always.
    solver : {"auto", "gram", "refined", "tsqr"}
        By the predicted error of W (T13), see :func:`analytic_dd.ridge.choose_solver`; or as asked.
    stages, progress : optional
        Receive times and progress.

    Notes
    -----
    *Cost.* n p^2 flops for the sums, 9 p^3 for the eigendecomposition (a solve where the ridge is given), and for the
    choice 2 p^2 a scored sample. Memory: the stored bytes, 4 p^2 floats, one block; it does not grow with n.
    *Numerics.* The sums alone where the predicted error of W is below 1e-9, or a second pass would gain less than a
    factor of 5; else a second pass over the data, for iterative refinement or TSQR.
    """
    stages = Stages() if stages is None else stages
    with stages("normalisation"):
        mean, std = dataset.statistics() if moments is None else moments
    k = len(dataset.classes)
    encode = centred_one_hot if centred else one_hot

    # a block of fewer rows than columns would spend its time on the p^2 entries of the sum, not on the product
    rows = max(1, min(len(dataset.y_train), max(_BLOCK_BYTES // (8 * dataset.d), 2048)))

    weights = None if sample_weight is None else as_weights(sample_weight, len(dataset.y_train))

    def features(order: np.ndarray | None, stage: str) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield (Phi, Y), and the weights where there are any."""
        total = len(dataset.y_train) if order is None else len(order)
        given = weights if weights is None or order is None else weights[order]
        done = 0
        # The two arrays of ``reuse`` are enough: a block is given up when the next is asked for. (A thread that reads
        # ahead was slower: BLAS keeps both cores busy.)
        blocks = dataset.blocks("train", rows=rows, mean=mean, std=std, order=order, reuse=True)
        while True:
            with stages("normalisation"):
                block = next(blocks, None)
            if block is None:
                return
            X, y = block
            with stages("features"):
                Phi = feature_map(X.astype(dtype, copy=False))
            some = () if given is None else (given[done : done + len(y)],)
            yield Phi, encode(y, k, dtype=dtype), *some
            done += len(y)
            if progress is not None:
                progress(stage, done, total)

    statistics: GramStatistics | None = None
    for Phi, Y, *w in features(None, "gram"):
        with stages("gram"):
            statistics = GramStatistics(Phi.shape[1], k) if statistics is None else statistics
            statistics.update(Phi, Y, sample_weight=w[0] if w else None)
    assert statistics is not None  # a Dataset has samples in every class
    choice = None
    if ridge == "loo":
        with stages("eigendecomposition"):
            fitted = statistics.centred() if intercept else statistics
            grid = ridge_grid(fitted)
        order = np.sort(rng.permutation(len(dataset.y_train))[:LOO_SAMPLES])
        with _rest_of("choice", stages):
            scores, samples = leave_one_out_scores(
                statistics, features(order, "leave-one-out"), grid, scoring="accuracy", intercept=intercept
            )
        choice = choose(grid, scores, criterion="loo", scoring="accuracy", samples=samples)
    elif isinstance(ridge, str):
        raise ValueError(f"ridge must be 'loo' or a number >= 0, got {ridge!r}")
    value = choice.ridge if choice is not None else float(ridge)
    with _rest_of("solve", stages):
        found = stream_weights(
            statistics,
            lambda: features(None, "refinement"),
            ridge=value,
            solver=solver,
            intercept=intercept,
            accept=_ACCEPT,
        )
    W = to_numpy(found.weights)
    if hasattr(feature_map, "project"):  # a linear map of fewer than p dimensions: W leaves them by rounding only (T8e)
        W = feature_map.project(W)
    if centred or intercept:
        # Labels about their mean sum to 0, so the rows of W do in exact arithmetic: rank k - 1 (T5). Rounding would
        # leave a k-th singular value of 1e-12 for the construction to invert.
        W = W - W.mean(axis=0)
    b = statistics.mean_y - W @ statistics.mean_phi if intercept else None
    return OriginalModel(
        weights=W,
        intercept=b,
        ridge=value,
        choice=choice,
        feature_map=feature_map,
        mean=mean,
        std=std,
        statistics=statistics,
        label_kind="centred" if centred else "one-hot",
        solver=found.solver,
        solver_reason=found.choice.reason,
        value_range=dataset.value_range(),
    )


@contextmanager
def _rest_of(name: str, stages: Stages) -> Iterator[None]:
    """Time a block under ``name`` less what its generators record under their own names."""
    before, started = sum(stages.seconds.values()), time.perf_counter()
    try:
        yield
    finally:
        nested = sum(stages.seconds.values()) - before
        stages.seconds[name] = stages.seconds.get(name, 0.0) + time.perf_counter() - started - nested


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

    result = distill_inputs(
        model.weights,
        model.feature_map,
        recipe,
        rng=rng,
        statistics=model.statistics if model.intercept is None else model.statistics.centred(),
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
