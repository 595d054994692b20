"""Controls: models fitted on as many random real samples, and on the class means; and the test accuracy of models.

Beating random samples proves little; the class means are the control that matters. For the one protocol the controls
are also sets like any other: inputs (m, d), normalised by the channel moments of the training part, channels last, and
one-hot labels (m, k), class-major.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.distill.pipeline import OriginalModel, Progress, sample_rows
from analytic_dd.labels import centred_one_hot, one_hot
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

__all__ = [
    "CONTROLS",
    "ControlSet",
    "Model",
    "accuracies_on_test",
    "agreement_with_original",
    "best_ridge",
    "class_means",
    "control_models",
    "control_set",
    "fitted",
    "full_set",
    "k_means",
    "means_of_parts",
    "optimised_real",
    "random_real",
]

Model = tuple[np.ndarray, np.ndarray]  # weights (k, p) and intercept (k,)
ControlSet = tuple[np.ndarray, np.ndarray]  # inputs (m, d) and labels (m, k)

CONTROLS = ("random", "class_mean", "k_means", "full")

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
        chosen[name] = best_ridge(model.feature_map(Xs), encode(ys, k), Phi, y, intercept=model.intercept is not None)
    return chosen


def best_ridge(Phis: np.ndarray, Ys: np.ndarray, Phi: np.ndarray, y: np.ndarray, *, intercept: bool) -> Model:
    """Fit ridge regression with the ridge of a grid that decides best on other *training* samples (Phi, y)."""
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


def control_set(name: str, dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return a control by its name in ``CONTROLS``; ``full`` has all points, whatever ``points_per_class``.

    Examples
    --------
    >>> from analytic_dd import data
    >>> inputs, labels = control_set("class_mean", data.load("digits"), 2, seed=0)
    >>> inputs.shape, labels.argmax(axis=1)[:4].tolist()
    ((20, 64), [0, 0, 1, 1])
    """
    if name == "full":
        return full_set(dataset)
    makers = {"random": random_real, "class_mean": means_of_parts, "k_means": k_means}
    if name not in makers:
        raise ValueError(f"unknown control {name!r}; choose from {', '.join(CONTROLS)}")
    return makers[name](dataset, points_per_class, seed=seed)


def random_real(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return random training samples of each class; a class with fewer repeats some.

    *Cost.* The samples that are drawn.
    """
    rng = np.random.default_rng([seed, 3])
    rows = [_drawn(members, points_per_class, rng) for members in _members(dataset, points_per_class)]
    return _inputs(dataset, dataset.x_train[np.concatenate(rows)]), _labels(dataset, points_per_class)


def means_of_parts(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return the class means; for several points a class, the means of as many random parts of it, equal to one sample.

    *Cost.* One pass over the data.
    """
    rng, means = np.random.default_rng([seed, 4]), []
    for members in _members(dataset, points_per_class):
        parts = np.array_split(rng.permutation(members), points_per_class)
        means += [dataset.x_train[part if len(part) else members].mean(axis=0, dtype=np.float64) for part in parts]
    return _inputs(dataset, np.stack(means)), _labels(dataset, points_per_class)


def k_means(dataset: Dataset, points_per_class: int, *, seed: int) -> ControlSet:
    """Return the centres of k-means clusters of each class; a class with fewer different samples repeats centres.

    *Cost.* Lloyd's algorithm from one k-means++ start on all samples of a class, in float64.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rng, centres = np.random.default_rng([seed, 5]), []
    for members in _members(dataset, points_per_class):
        X = _inputs(dataset, dataset.x_train[members])
        clusters = KMeans(min(points_per_class, len(X)), n_init=1, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():  # of fewer different samples than clusters: centres coincide, as said above
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = clusters.fit(X).cluster_centers_
        centres.append(np.resize(found, (points_per_class, X.shape[1])))
    return np.concatenate(centres), _labels(dataset, points_per_class)


def full_set(dataset: Dataset) -> ControlSet:
    """Return the whole training part in its order: not a small set, but what there is to reach."""
    return _inputs(dataset, dataset.x_train), one_hot(dataset.y_train, len(dataset.classes))


def optimised_real(
    dataset: Dataset,
    points_per_class: int,
    *,
    seed: int,
    score: Callable[[ControlSet, ControlSet], float],
    draws: int = 50,
    kept: float = 0.2,
    validation: int = 2_000,
) -> list[ControlSet]:
    """Return the best of many random real sets, chosen on a validation part of the *training* samples.

    Parameters
    ----------
    score : callable
        ``score(set, validation set)``, larger is better: a test score would be a choice on the test set.
    draws : int
        Random sets.
    kept : float
        The fraction of them that is returned, the best first; at least one.
    validation : int
        Training samples to score on; at most half of each class, and no set has one of them.

    Returns
    -------
    list of (inputs, labels)

    References
    ----------
    Wang, Zhu, Torralba, Efros, "Dataset distillation", arXiv:1811.10959, 2018: the best 20 % of random draws.
    """
    if draws < 1 or not 0.0 < kept <= 1.0:
        raise ValueError(f"draws must be at least 1 and kept in (0, 1], got {draws} and {kept}")
    rng, k = np.random.default_rng([seed, 6]), len(dataset.classes)
    shuffled = [rng.permutation(members) for members in _members(dataset, points_per_class)]
    aside = [members[: min(len(members) // 2, -(-validation // k))] for members in shuffled]
    rest = [members[len(part) :] for members, part in zip(shuffled, aside, strict=True)]
    rows = np.concatenate(aside)
    if not len(rows):
        raise ValueError("no class has two samples, so none can be set aside for validation; use random_real")
    held = _inputs(dataset, dataset.x_train[rows]), one_hot(dataset.y_train[rows], k)
    sets = []
    for _ in range(draws):
        chosen = np.concatenate([_drawn(members, points_per_class, rng) for members in rest])
        sets.append((_inputs(dataset, dataset.x_train[chosen]), _labels(dataset, points_per_class)))
    scores = [score(one, held) for one in sets]
    best = sorted(range(draws), key=lambda draw: -scores[draw])[: max(1, round(kept * draws))]
    return [sets[draw] for draw in best]


def _members(dataset: Dataset, points_per_class: int) -> list[np.ndarray]:
    if points_per_class < 1:
        raise ValueError(f"points_per_class must be >= 1, got {points_per_class}")
    return [np.flatnonzero(dataset.y_train == label) for label in range(len(dataset.classes))]


def _drawn(members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(members, size=count, replace=count > len(members))


def _inputs(dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """Normalise samples in the data's units by the channel moments of the training part."""
    mean, std = dataset.statistics()
    rows = np.asarray(x, dtype=np.float64).reshape(-1, len(mean))
    return np.asarray(((rows - mean) / std).reshape(len(x), dataset.d))


def _labels(dataset: Dataset, points_per_class: int) -> np.ndarray:
    k = len(dataset.classes)
    return np.asarray(one_hot(np.repeat(np.arange(k), points_per_class), k))
