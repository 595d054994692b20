"""Labels that follow from the points, for any loss and with or without an intercept (T4, T12, T18a)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import numpy as np

from analytic_dd.distill.distilled import DistilledFeatures
from analytic_dd.distill.intercept import labels_with_intercept
from analytic_dd.labels import glm_labels, labels_for

__all__ = ["learned_labels", "with_learned_labels"]

Built = TypeVar("Built", bound=DistilledFeatures)


def learned_labels(
    Phis: np.ndarray, W: np.ndarray, b: np.ndarray | None, *, ridge: float, loss: str = "squared"
) -> np.ndarray:
    """Return the labels (m, k) with which the points ``Phis`` (m, p) have the model (W, b) of a loss.

    They have the part of W that lies in their row space.

    Theorem: T4, T12 with an intercept, T18a for other losses than the squared one.

    Examples
    --------
    >>> learned_labels(np.array([[2.0]]), np.array([[1.0], [-1.0]]), None, ridge=0.0, loss="softmax").round(3)
    array([[0.982, 0.018]])
    """
    if loss != "squared":
        return np.asarray(glm_labels(Phis, W, loss=loss, ridge=ridge, intercept=b, tolerance=math.inf).labels)
    if b is None:
        return np.asarray(labels_for(Phis, W, ridge=ridge))
    return np.asarray(labels_with_intercept(Phis, W, b, ridge=ridge))


def with_learned_labels(
    built: Built, Phis: np.ndarray, W: np.ndarray, b: np.ndarray | None, *, loss: str = "squared"
) -> Built:
    """Return the set with features ``Phis`` and the labels that follow from them.

    For a loss of probabilities or counts ``ridge_limit`` is the largest ridge at which the labels are such (T18b).
    """
    if loss == "squared":
        return replace(built, features=Phis, labels=learned_labels(Phis, W, b, ridge=built.ridge))
    made = glm_labels(Phis, W, loss=loss, ridge=built.ridge, intercept=b)
    theorem = "T18a" if built.theorem.endswith("T4") else f"T18a on {built.theorem}"
    return replace(built, features=Phis, labels=made.labels, ridge_limit=made.largest_ridge, theorem=theorem)
