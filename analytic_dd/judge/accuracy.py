"""How often models decide rightly, and how often they decide as the original model does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.data.normalisation import normalised
from analytic_dd.losses import as_loss, glm_weights
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

__all__ = [
    "Model",
    "OriginalLike",
    "accuracies_on_test",
    "agreement_with_original",
    "fitted",
    "r2_on_test",
]

Model = tuple[np.ndarray, np.ndarray]  # weights (k, p) and intercept (k,)

_SAMPLES = 2_000  # training samples to compare decisions on where there is no test part


class OriginalLike(Protocol):
    """What is asked of the original model: its normalisation, its feature map, its weights and the labels it saw."""

    @property
    def mean(self) -> np.ndarray:
        """Channel means (channels,), in the data's units."""

    @property
    def std(self) -> np.ndarray:
        """Channel deviations (channels,), in the data's units."""

    @property
    def feature_map(self) -> Callable[[np.ndarray], Any]:
        """Inputs (n, d) to features (n, p)."""

    @property
    def weights(self) -> np.ndarray:
        """W (k, p)."""

    @property
    def intercept(self) -> np.ndarray | None:
        """The intercept (k,), or None."""

    @property
    def label_kind(self) -> str:
        """``"one-hot"`` or ``"centred"``."""

    @property
    def loss(self) -> str:
        """What it minimises."""

    def inputs_of(self, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalised inputs (m, d) and classes (m,) of some training samples."""


def accuracies_on_test(
    dataset: Dataset,
    model: OriginalLike,
    models: Mapping[str, Model],
    *,
    progress: Callable[[str, int, int], None] | None = None,
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


def r2_on_test(x: np.ndarray, y: np.ndarray, model: OriginalLike, models: Mapping[str, Model]) -> dict[str, float]:
    """Return the coefficient of determination R2 of several models on test samples, the mean over the outputs.

        R2 = 1 - |y - mu(W phi(x) + b)|^2 / |y - mean y|^2,    mu the mean of the loss, mu(z) = z for squares

    Parameters
    ----------
    x : (n, d) array
        In the data's units.
    y : (n, k) array
    model : OriginalLike
    models : mapping of str to (weights, intercept)
        In the units of y.
    """
    Phi = np.asarray(model.feature_map(normalised(x, model.mean, model.std)))
    around = np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    varies = around > 0.0
    mean = as_loss(model.loss).mean
    return {
        name: float(np.mean(1.0 - np.sum((y - mean(Phi @ W.T + b)) ** 2, axis=0)[varies] / around[varies]))
        for name, (W, b) in models.items()
    }


def agreement_with_original(
    dataset: Dataset, model: OriginalLike, models: Mapping[str, Model], *, seed: int
) -> tuple[dict[str, float], str, int]:
    """Return the fraction of samples on which each model decides as the original one, the part, and the count.

    The part is the test part; 2,000 random training samples where there is none.
    """
    part, order = "test", None
    if not len(dataset.y_test):
        rng = np.random.default_rng([seed, 2])
        part, order = "train", np.sort(rng.permutation(len(dataset.y_train))[:_SAMPLES])
    b = np.zeros(len(model.weights)) if model.intercept is None else model.intercept
    same, done = np.zeros(len(models)), 0
    for X, _ in dataset.blocks(part, mean=model.mean, std=model.std, order=order):
        Phi = model.feature_map(X)
        original = (Phi @ model.weights.T + b).argmax(axis=1)
        same += [np.sum((Phi @ W.T + offset).argmax(axis=1) == original) for W, offset in models.values()]
        done += len(X)
    return {name: float(count) / done for name, count in zip(models, same, strict=True)}, part, done


def fitted(Phis: np.ndarray, Ys: np.ndarray, ridge: float, *, intercept: bool, loss: str = "squared") -> Model:
    """Fit ridge regression, or the model of another loss, as a user would, by the library's own solver."""
    if loss != "squared":
        model = glm_weights(Phis, Ys, loss=loss, ridge=ridge, intercept=intercept, any_labels=True)
        return model.weights, np.zeros(Ys.shape[1]) if model.intercept is None else model.intercept
    if intercept:
        found = ridge_weights_with_intercept(Phis, Ys, ridge=ridge)
        return found.weights, found.intercept
    return ridge_weights(Phis, Ys, ridge=ridge), np.zeros(Ys.shape[1])
