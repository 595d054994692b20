"""What a distilled set is compared with: the same kind of model on as many random real samples and on the class means.

Beating random samples proves little; the class means are the control that matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.data.samples import balanced_rows
from analytic_dd.judge.accuracy import Model, OriginalLike, fitted
from analytic_dd.labels import centred_one_hot, one_hot

__all__ = ["best_ridge", "control_models", "right_with_intercept"]

_DRAWS = 5  # random real sets that the control averages over
_SAMPLES = 2_000  # training samples on which the ridge of a control is chosen, in its favour


def control_models(dataset: Dataset, model: OriginalLike, m: int, *, seed: int) -> dict[str, Model]:
    """Fit models of the original's loss to m random real samples (several draws) and to the k class means.

    The ridge of each control is the best of a grid on a sample of the *training* data: the controls are not handicapped
    by a ridge that was chosen for n samples, and no test sample is seen.
    """
    k, rng = len(dataset.classes), np.random.default_rng([seed, 1])
    encode = centred_one_hot if model.label_kind == "centred" else one_hot
    means = dataset.class_means().reshape(k, -1)
    sets = {"class_mean": (_normalised(means, dataset, model), np.arange(k))}
    for draw in range(_DRAWS):
        X, y = model.inputs_of(dataset, balanced_rows(dataset.y_train, m, k=k, rng=rng))
        sets[f"random {draw}"] = (X, y)
    order = np.sort(rng.permutation(len(dataset.y_train))[:_SAMPLES])
    X, y = model.inputs_of(dataset, order)
    Phi = model.feature_map(X)
    how: dict[str, Any] = {"intercept": model.intercept is not None, "loss": model.loss}
    return {name: best_ridge(model.feature_map(Xs), encode(ys, k), Phi, y, **how) for name, (Xs, ys) in sets.items()}


def best_ridge(
    Phis: np.ndarray, Ys: np.ndarray, Phi: np.ndarray, y: np.ndarray, *, intercept: bool, loss: str = "squared"
) -> Model:
    """Fit the model with the ridge of a grid that decides best on other *training* samples (Phi, y).

    Of equally good ridges the largest is taken.
    """
    ridges = float(np.sum(Phis**2)) * np.geomspace(1e-8, 1.0, 9)

    def score(decided: np.ndarray) -> float:
        return float(np.mean(decided == y))

    if loss == "squared":
        scores = [score(decided) for decided in _decided(Phis, Ys, Phi, ridges, intercept)]
        ridge = max(zip(scores, ridges, strict=True))[1]
        return fitted(Phis, Ys, float(ridge), intercept=intercept)
    models = [fitted(Phis, Ys, float(ridge), intercept=intercept, loss=loss) for ridge in ridges]
    scores = [score((Phi @ W.T + b).argmax(axis=1)) for W, b in models]
    return models[max(range(len(models)), key=lambda i: (scores[i], i))]


def _decided(
    Phis: np.ndarray, Ys: np.ndarray, Phi: np.ndarray, ridges: np.ndarray, intercept: bool
) -> Iterator[np.ndarray]:
    r"""Decide the rows of ``Phi`` for every ridge, from one eigendecomposition U s U^T of the smaller Gram matrix.

        Phi Phis^T U (s + ridge)^-1 U^T Ys    (m <= p),        Phi U (s + ridge)^-1 U^T Phis^T Ys    (m > p)

    *Numerics.* Ridges are at least 1e-8 of the sum of s, so that what is lost by squaring decides nothing.
    """
    mean, offset = (Phis.mean(axis=0), Ys.mean(axis=0)) if intercept else (0.0, 0.0)
    F, T, samples = Phis - mean, Ys - offset, Phi - mean
    dual = len(F) <= F.shape[1]
    s, U = np.linalg.eigh(F @ F.T if dual else F.T @ F)
    left, right = (samples @ (F.T @ U), U.T @ T) if dual else (samples @ U, U.T @ (F.T @ T))
    for ridge in ridges:
        with np.errstate(invalid="ignore", divide="ignore"):  # features that are all 0 decide nothing
            yield ((left / (s + ridge)) @ right + offset).argmax(axis=1)


def _normalised(rows: np.ndarray, dataset: Dataset, model: OriginalLike) -> np.ndarray:
    return np.asarray(((rows.reshape(-1, len(model.mean)) - model.mean) / model.std).reshape(rows.shape))


def right_with_intercept(Phi: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Return how many samples ridge regression on one-hot labels decides rightly, without and with an intercept.

    Each has the ridge that is best for it.
    """
    y = labels.argmax(axis=1)
    found = [best_ridge(Phi, labels, Phi, y, intercept=given) for given in (False, True)]
    plain, better = (int(np.sum((Phi @ W.T + b).argmax(axis=1) == y)) for W, b in found)
    return plain, better
