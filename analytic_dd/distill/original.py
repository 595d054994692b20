"""The original model: ridge regression on a data set, a block of samples at a time, or from sums alone (T13)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytic_dd.arrays import as_weights, namespace, norm, to_numpy
from analytic_dd.data import Dataset, require_device
from analytic_dd.distill.distilled import InvertibleMap
from analytic_dd.distill.feature_stream import FeatureStream, Progress, Stages
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.linalg import ByteSums, GramStatistics, Sums
from analytic_dd.ridge import (
    RidgeChoice,
    choose_by_gcv,
    choose_solver,
    leave_one_out_scores,
    ridge_grid,
    stream_weights,
)
from analytic_dd.ridge.choice import choose

__all__ = [
    "LOO_SAMPLES",
    "OriginalModel",
    "Progress",
    "Stages",
    "fit_original",
    "has_no_mean",
    "model_from_statistics",
    "require_scale",
]

LOO_SAMPLES = 10_000  # leave-one-out is scored on at most this many samples, drawn at random

_ACCEPT = 1e-6  # predicted error of W at which a second pass over the data is not worth its time
_KEPT_BYTES = 128 * 2**20  # of float32 features of the samples that leave-one-out is scored on
_BYTE_ROWS = 8192
_LARGEST_RIDGE = 1e100  # times the trace of G: the squares of the weights are numbers still
_SCORED_ROWS = 1024  # in a block of samples that are scored: nothing of the size of the sums is touched for each


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
    statistics : Sums
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
    statistics: Sums
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
    device: str = "cpu",
    stages: Stages | None = None,
    progress: Progress | None = None,
) -> OriginalModel:
    """Fit ridge regression on the training part: one pass over the data, one Gram product, one eigendecomposition.

    Theorem: T13.

    Parameters
    ----------
    dataset : Dataset
    feature_map : InvertibleMap
    ridge : "loo", "gcv" or float
        Chosen by leave-one-out accuracy (ties to the larger ridge), by generalised cross-validation (squared error,
        from the sums), or given (absolute).
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
    device : str
        Where features, sums and weights are computed: ``cpu`` (numpy), or a device of torch; the model is on the host.
    stages, progress : optional
        Receive times and progress.

    Notes
    -----
    *Cost.* n p^2 flops for the sums, 9 p^3 for the eigendecomposition (a solve where the ridge is given), and for the
    choice 2 p^2 a scored sample. Memory: the stored bytes, 4 p^2 floats, one block; it does not grow with n.
    *Numerics.* The sums alone where the predicted error of W is below 1e-6, or a second pass would gain less than a
    factor of 2; else a second pass over the data, for iterative refinement or TSQR.
    """
    stages = Stages() if stages is None else stages
    if device != "cpu":
        require_device(device)
    with stages("normalisation"):
        mean, std = dataset.statistics() if moments is None else moments
    k = len(dataset.classes)
    encode = centred_one_hot if centred else one_hot

    weights = None if sample_weight is None else as_weights(sample_weight, len(dataset.y_train))
    scored = np.sort(rng.permutation(len(dataset.y_train))[:LOO_SAMPLES]) if ridge == "loo" else np.zeros(0, np.int64)

    stream = FeatureStream(
        dataset, feature_map, mean, std, encode(np.arange(k), k), weights, dtype, device, stages, progress
    )

    def exact(places: np.ndarray) -> np.ndarray:
        """Map some of the scored samples again: fewer than a block."""
        return np.concatenate([Phi for Phi, *_ in stream.blocks(scored[places])])

    of_bytes = dataset.x_train.dtype == np.uint8 and weights is None and dtype is np.float64 and stream.on_host
    if of_bytes and _is_identity(feature_map):
        with stages("gram"):
            statistics, kept = _sums_of_bytes(dataset, mean, std, lambda y: encode(y, k), progress), None
    else:
        statistics, kept = _sums(stream.blocks(stage="gram"), k, scored, stages)
    choice, fitted = None, statistics.centred() if intercept else statistics
    require_scale(statistics, fitted, ridge)
    if ridge == "loo":
        with stages("eigendecomposition"):
            grid = ridge_grid(fitted)
        with _rest_of("choice", stages):
            scores, samples = leave_one_out_scores(
                statistics,
                (stream.blocks(scored, stage="leave-one-out", most=_SCORED_ROWS) if kept is None else _pieces(kept)),
                grid,
                scoring="accuracy",
                intercept=intercept,
                exact=None if kept is None else exact,
            )
        del kept
        choice = choose(grid, scores, criterion="loo", scoring="accuracy", samples=samples)
    elif ridge == "gcv":
        with stages("eigendecomposition"):
            choice = choose_by_gcv(statistics, intercept=intercept)
    elif isinstance(ridge, str):
        raise ValueError(f"ridge must be 'loo', 'gcv' or a number >= 0, got {ridge!r}")
    value = choice.ridge if choice is not None else float(ridge)
    with _rest_of("solve", stages):
        found = stream_weights(
            statistics,
            lambda: stream.blocks(stage="refinement"),
            ridge=value,
            solver=solver,
            intercept=intercept,
            accept=_ACCEPT,
        )
    return _model(
        statistics.on_host(),
        to_numpy(found.weights),
        intercept=intercept,
        centred=centred,
        ridge=value,
        choice=choice,
        feature_map=feature_map,
        mean=mean,
        std=std,
        solver=found.solver,
        solver_reason=found.choice.reason + ("" if dtype is np.float64 else f"; of features in {np.dtype(dtype).name}"),
        value_range=dataset.value_range(),
    )


def _sums(
    blocks: Iterator[tuple[np.ndarray, ...]], k: int, scored: np.ndarray, stages: Stages
) -> tuple[Sums, tuple[np.ndarray, ...] | None]:
    """Sums over (Phi, Y, *weights), and these rows of the ``scored`` samples, or None where they would take too much.

    What is kept, with features in float32, need not be mapped again for leave-one-out, but for the few samples that
    float32 cannot decide: a sixth of the time of the features.
    """
    statistics: GramStatistics | None = None
    kept: tuple[np.ndarray, ...] | None = None
    done = 0
    for Phi, *others in blocks:
        with stages("gram"):
            statistics = GramStatistics(Phi.shape[1], k) if statistics is None else statistics
            statistics.update(Phi, others[0], sample_weight=others[1] if len(others) > 1 else None)
        if done == 0 and isinstance(Phi, np.ndarray) and 4 * Phi.shape[1] * len(scored) <= _KEPT_BYTES:
            shapes = [(len(scored), *A.shape[1:]) for A in (Phi, *others)]
            kept = (np.empty(shapes[0], np.float32), *(np.empty(shape) for shape in shapes[1:]))
        first, last = np.searchsorted(scored, [done, done + len(Phi)])
        if kept is not None:
            with np.errstate(over="ignore"):  # what is beyond float32 cannot be decided in it
                for whole, A in zip(kept, (Phi, *others), strict=True):
                    whole[first:last] = A[scored[first:last] - done]
        done += len(Phi)
        del Phi, others  # before the next block is made
    assert statistics is not None  # a Dataset has samples in every class
    return statistics.sums(), kept


def _pieces(kept: tuple[np.ndarray, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(kept[0]), _SCORED_ROWS):
        yield tuple(A[start : start + _SCORED_ROWS] for A in kept)


def _is_identity(feature_map: InvertibleMap) -> bool:
    return getattr(feature_map, "name", None) == "identity"


def _sums_of_bytes(
    dataset: Dataset,
    mean: np.ndarray,
    std: np.ndarray,
    encode: Callable[[np.ndarray], np.ndarray],
    progress: Progress | None,
) -> Sums:
    """Sums of normalised bytes from sums of the bytes, which are exact: no sample is normalised."""
    n, d, sums = len(dataset.y_train), dataset.d, None
    for start in range(0, n, _BYTE_ROWS):
        block = slice(start, start + _BYTE_ROWS)
        Y = encode(dataset.y_train[block])
        sums = ByteSums(d, Y.shape[1]) if sums is None else sums
        sums.update(dataset.x_train[block].reshape(-1, d), Y)
        if progress is not None:
            progress("gram", min(start + _BYTE_ROWS, n), n)
    assert sums is not None
    return sums.statistics(*(np.tile(v, d // len(v)) for v in (mean, std)))  # channels are last


def model_from_statistics(
    statistics: Sums,
    feature_map: InvertibleMap,
    *,
    mean: np.ndarray,
    std: np.ndarray,
    ridge: float | str = "gcv",
    centred: bool = False,
    intercept: bool = False,
) -> OriginalModel:
    """Return the model that sums determine: no sample is read.

    Theorem: T13.

    Parameters
    ----------
    statistics : Sums
        Of all the data; merged from shards, machines or parties.
    feature_map : InvertibleMap
        The map that they were made with.
    mean, std : (channels,) arrays
        The normalisation that they were made with.
    ridge : "gcv" or float
        Chosen by generalised cross-validation, or given (absolute).
    centred, intercept : bool
        As for :func:`fit_original`; whether the labels in the sums are centred.

    Raises
    ------
    ValueError
        ``ridge="loo"``, which needs the samples.
    """
    if isinstance(ridge, str) and ridge != "gcv":
        raise ValueError(f"without the samples the ridge is 'gcv' or a number >= 0, got {ridge!r}")
    fitted = statistics.centred() if intercept else statistics
    require_scale(statistics, fitted, ridge)
    choice = choose_by_gcv(statistics, intercept=intercept) if ridge == "gcv" else None
    value = choice.ridge if choice is not None else float(ridge)
    solver = choose_solver(fitted, value, solver="gram")
    return _model(
        statistics,
        to_numpy(fitted.weights(value)),
        intercept=intercept,
        centred=centred,
        ridge=value,
        choice=choice,
        feature_map=feature_map,
        mean=mean,
        std=std,
        solver="gram",
        solver_reason=f"gram, as there are sums only: predicted error of W {solver.gram_error:.1e}",
        value_range=(-math.inf, math.inf),
    )


def require_scale(statistics: Sums, fitted: Sums, ridge: float | str) -> None:
    """Refuse features of which nothing is left to fit, and a ridge at which the weights underflow.

    ``fitted`` are the sums about the mean for a model with an intercept, else the same as ``statistics``.
    """
    whole, trace = (float(namespace(sums.C).linalg.trace(sums.G)) for sums in (statistics, fitted))
    if not trace > 64.0 * np.finfo(np.float64).eps * (whole if fitted is not statistics else 0.0):
        what = "zero" if whole == 0.0 else "constant"
        raise ValueError(
            f"the features of all samples are {what}, or too small for their squares in float64: there is nothing to "
            "fit; look at the data and its scale"
        )
    if not isinstance(ridge, str) and float(ridge) > _LARGEST_RIDGE * trace:
        raise ValueError(
            f"ridge {float(ridge):.3g} is too large: the squared features add up to {trace:.3g}, and the weights would "
            "underflow; take a smaller one"
        )


def has_no_mean(statistics: Sums) -> bool:
    """Whether the features are centred but for rounding: one-hot labels then give the weights of centred ones (T5)."""
    xp = namespace(statistics.C)
    size = math.sqrt(statistics.weight * max(float(xp.linalg.trace(statistics.G)), 0.0))  # |sum of phi| <= size
    return bool(norm(statistics.sum_phi) <= 64.0 * np.finfo(np.float64).eps * size)


def _model(statistics: Sums, W: np.ndarray, *, intercept: bool, centred: bool, **facts: Any) -> OriginalModel:
    """Put the weights into the subspace where they are in exact arithmetic, and add the intercept."""
    feature_map = facts["feature_map"]
    if hasattr(feature_map, "project"):  # a linear map of fewer than p dimensions: W leaves them by rounding only (T8e)
        W = feature_map.project(W)
    if centred or intercept or has_no_mean(statistics):
        # Labels about their mean sum to 0, so the rows of W do in exact arithmetic: rank k - 1 (T5). Rounding would
        # leave a k-th singular value of 1e-12 for the construction to invert.
        W = W - W.mean(axis=0)
    b = to_numpy(statistics.mean_y) - W @ to_numpy(statistics.mean_phi) if intercept else None
    kind = "centred" if centred else "one-hot"
    return OriginalModel(weights=W, intercept=b, statistics=statistics, label_kind=kind, **facts)


@contextmanager
def _rest_of(name: str, stages: Stages) -> Iterator[None]:
    """Time a block under ``name`` less what its generators record under their own names."""
    before, started = sum(stages.seconds.values()), time.perf_counter()
    try:
        yield
    finally:
        nested = sum(stages.seconds.values()) - before
        stages.seconds[name] = stages.seconds.get(name, 0.0) + time.perf_counter() - started - nested
