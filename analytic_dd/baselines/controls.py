"""Controls: models fitted on as many random real samples, and on the class means; and the test accuracy of models.

Beating random samples proves little; the class means are the control that matters.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.distill.pipeline import OriginalModel, Progress, sample_rows
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

__all__ = ["Model", "accuracies_on_test", "agreement_with_original", "class_means", "control_models", "fitted"]

Model = tuple[np.ndarray, np.ndarray]  # weights (k, p) and intercept (k,)

_DRAWS = 5  # random real sets that the control averages over
_CONTROL_SAMPLES = 2_000  # training samples on which the ridge of a control is chosen, in its favour


def accuracies_on_test(
    dataset: Dataset, model: OriginalModel, models: Mapping[str, Model], *, progress: Progress | None = None
) -> dict[str, float]:
    """Return the fraction of right decisions of several models on the test part, in one pass over it."""
    stacked = np.concatenate([W for W, _ in models.values()])
    offsets = np.concatenate([b for _, b in models.values()])
    right, done = np.zeros(len(models)), 0
    for X, y in dataset.blocks("test", mean=model.mean, std=model.std):
        scores = (model.feature_map(X) @ stacked.T + offsets).reshape(len(y), len(models), -1)
        right += (scores.argmax(axis=2) == y[:, None]).sum(axis=0)
        done += len(y)
        if progress is not None:
            progress("evaluation", done, len(dataset.y_test))
    return {name: float(count) / done for name, count in zip(models, right, strict=True)}


def agreement_with_original(
    dataset: Dataset, model: OriginalModel, models: Mapping[str, Model], *, seed: int
) -> tuple[dict[str, float], str, int]:
    """Return the fraction of samples on which each model decides as the original one, the part, and the count.

    The part is the test part; 2,000 random training samples where there is none.
    """
    part, order = "test", None
    if not len(dataset.y_test):
        rng = np.random.default_rng([seed, 2])
        part, order = "train", np.sort(rng.permutation(len(dataset.y_train))[:_CONTROL_SAMPLES])
    b = np.zeros(len(model.weights)) if model.intercept is None else model.intercept
    same, done = np.zeros(len(models)), 0
    for X, _ in dataset.blocks(part, mean=model.mean, std=model.std, order=order):
        Phi = model.feature_map(X)
        original = (Phi @ model.weights.T + b).argmax(axis=1)
        same += [np.sum((Phi @ W.T + offset).argmax(axis=1) == original) for W, offset in models.values()]
        done += len(X)
    return {name: float(count) / done for name, count in zip(models, same, strict=True)}, part, done


def fitted(Phis: np.ndarray, Ys: np.ndarray, ridge: float, *, intercept: bool) -> Model:
    """Fit ridge regression as a user would, by the library's own solver."""
    if intercept:
        found = ridge_weights_with_intercept(Phis, Ys, ridge=ridge)
        return found.weights, found.intercept
    return ridge_weights(Phis, Ys, ridge=ridge), np.zeros(Ys.shape[1])


def control_models(dataset: Dataset, model: OriginalModel, m: int, *, seed: int) -> dict[str, Model]:
    """Fit ridge regression on m random real samples (several draws) and on the k class means.

    The ridge of each control is the best of a grid on a sample of the *training* data: the controls are not handicapped
    by a ridge that was chosen for n samples, and no test sample is seen.
    """
    k, rng = len(dataset.classes), np.random.default_rng([seed, 1])
    encode = centred_one_hot if model.label_kind == "centred" else one_hot
    means = class_means(dataset).reshape(k, -1)
    sets = {"class_mean": (_normalised(means, dataset, model), np.arange(k))}
    for draw in range(_DRAWS):
        X, y = model.inputs_of(dataset, sample_rows(dataset, m, rng=rng))
        sets[f"random {draw}"] = (X, y)
    order = np.sort(rng.permutation(len(dataset.y_train))[:_CONTROL_SAMPLES])
    X, y = model.inputs_of(dataset, order)
    Phi = model.feature_map(X)
    chosen: dict[str, Model] = {}
    for name, (Xs, ys) in sets.items():
        chosen[name] = _best_ridge(model.feature_map(Xs), encode(ys, k), Phi, y, intercept=model.intercept is not None)
    return chosen


def _best_ridge(Phis: np.ndarray, Ys: np.ndarray, Phi: np.ndarray, y: np.ndarray, *, intercept: bool) -> Model:
    best: tuple[float, Model] | None = None
    for ridge in float(np.sum(Phis**2)) * np.geomspace(1e-8, 1.0, 9):
        W, b = fitted(Phis, Ys, ridge, intercept=intercept)
        score = float(np.mean((Phi @ W.T + b).argmax(axis=1) == y))
        if best is None or score >= best[0]:
            best = (score, (W, b))
    assert best is not None
    return best[1]


def _normalised(rows: np.ndarray, dataset: Dataset, model: OriginalModel) -> np.ndarray:
    return np.asarray(((rows.reshape(-1, len(model.mean)) - model.mean) / model.std).reshape(rows.shape))


def class_means(dataset: Dataset) -> np.ndarray:
    """Return the mean training sample of each class (k, *image_shape), in the data's units; exact sums for bytes."""
    kinds = {"u1": np.uint32, "b1": np.uint32}  # 16 million bytes a sum before it could overflow, and fast
    dtype = kinds.get(dataset.x_train.dtype.str[1:], np.int64 if dataset.x_train.dtype.kind in "ui" else np.float64)
    members = (dataset.x_train[dataset.y_train == label] for label in range(len(dataset.classes)))
    return np.stack([rows.sum(axis=0, dtype=dtype) / len(rows) for rows in members])
