"""Controls: plain sets that a method must beat, scored like any other set.

A set has inputs (m, d), normalised by the channel moments of the training part, channels last, and class-major one-hot
labels (m, k). Beating random samples proves little, and the class means are the control that matters.
"""

from __future__ import annotations

import warnings

import numpy as np

from analytic_dd.baselines.bench.coresets import CORESETS, coreset_rows
from analytic_dd.data import Dataset, normalised
from analytic_dd.errors import unknown_word
from analytic_dd.labels import one_hot

__all__ = ["CONTROLS", "ControlSet", "control_set", "k_means", "means_of_parts", "random_real"]

ControlSet = tuple[np.ndarray, np.ndarray]  # inputs (m, d) and labels (m, k)

CONTROLS = ("random", "class_mean", "k_means", *CORESETS, "full")


def control_set(name: str, dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return a control by its name in ``CONTROLS``; ``full`` is the whole training part in its order.

    Examples
    --------
    >>> from analytic_dd import data
    >>> inputs, labels = control_set("class_mean", data.load("digits"), 2, seed=0)
    >>> inputs.shape, labels.argmax(axis=1)[:4].tolist()
    ((20, 64), [0, 0, 1, 1])
    """
    if name == "full":
        return _inputs(dataset, dataset.x_train), one_hot(dataset.y_train, len(dataset.classes))
    if name in CORESETS:
        rows = coreset_rows(name, dataset, points_per_class, seed=seed)
        return _inputs(dataset, dataset.x_train[rows]), _labels(dataset, points_per_class)
    makers = {"random": random_real, "class_mean": means_of_parts, "k_means": k_means}
    if name not in makers:
        raise ValueError(unknown_word("control", name, CONTROLS))
    return makers[name](dataset, points_per_class, seed=seed)


def random_real(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return random training samples of each class; a class with fewer repeats some."""
    rng = np.random.default_rng([seed, 3])
    m = points_per_class
    rows = [rng.choice(members, size=m, replace=m > len(members)) for members in _members(dataset, m)]
    return _inputs(dataset, dataset.x_train[np.concatenate(rows)]), _labels(dataset, points_per_class)


def means_of_parts(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return the class means, or for several points a class the means of so many random parts, equal to one sample."""
    rng, means = np.random.default_rng([seed, 4]), []
    for members in _members(dataset, points_per_class):
        parts = np.array_split(rng.permutation(members), points_per_class)
        means += [dataset.x_train[part if len(part) else members].mean(axis=0, dtype=np.float64) for part in parts]
    return _inputs(dataset, np.stack(means)), _labels(dataset, points_per_class)


def k_means(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return the centres of k-means clusters of each class (Lloyd's algorithm from one k-means++ start, in float64).

    A class with fewer different samples repeats centres.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rng, centres = np.random.default_rng([seed, 5]), []
    for members in _members(dataset, points_per_class):
        X = _inputs(dataset, dataset.x_train[members])
        clusters = KMeans(min(points_per_class, len(X)), n_init=1, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():  # where samples are fewer than clusters, centres coincide as said above
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = clusters.fit(X).cluster_centers_
        centres.append(np.resize(found, (points_per_class, X.shape[1])))
    return np.concatenate(centres), _labels(dataset, points_per_class)


def _members(dataset: Dataset, points_per_class: int) -> list[np.ndarray]:
    if points_per_class < 1:
        raise ValueError(f"points_per_class must be >= 1, got {points_per_class}")
    return [np.flatnonzero(dataset.y_train == label) for label in range(len(dataset.classes))]


def _inputs(dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """Normalise samples in the data's units by the channel moments of the training part."""
    return normalised(np.asarray(x, dtype=np.float64), *dataset.statistics())


def _labels(dataset: Dataset, points_per_class: int) -> np.ndarray:
    k = len(dataset.classes)
    return np.asarray(one_hot(np.repeat(np.arange(k), points_per_class), k))
