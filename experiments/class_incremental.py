r"""Classes that come two at a time: a memory of some points against replay of as many real images (T23).

Five tasks of two classes, one after the other; the images of a task are gone when the next begins. The model is ridge
regression on random Fourier features. Compared, after the last task, on the test part:

    everything      trained on all images at once
    partial_fit     the sums of all features so far are the memory: exactly the model of everything
    r directions    ``future_set`` after the first task on the r leading directions of its features, then ``update`` by
                    each task, whose features are projected on them: r points and at most 10 more
    the same, all   trained on the first task and on the projected features of all later ones at once: what the row
                    above must be equal to
    replay          as many real images as that memory has points, equally many of each class seen so far, with which
                    each task is trained together; an image stands for as many of its class as there were

Run: python experiments/class_incremental.py [--quick]
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import records

from analytic_dd import GramStatistics, RidgeDistiller, data, future_set, update
from analytic_dd.data import Dataset
from analytic_dd.model import DatasetSource, build_map
from analytic_dd.ridge import ridge_weights

TASKS = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
RIDGE = 100.0
FEATURES = {"MNIST": "rff:p=784", "digits": "rff:p=64"}
DIRECTIONS = {"MNIST": (50, 100, 200, 400, 784), "digits": (10, 64)}


def mapped(dataset: Dataset, seed: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the map, and features and classes of the training and the test part."""
    source = DatasetSource(dataset)
    phi = build_map(FEATURES[dataset.name], source, rng=np.random.default_rng(seed))
    parts = [
        np.concatenate([phi(X) for X, _ in dataset.blocks(part, mean=source.mean, std=source.std)])
        for part in ("train", "test")
    ]
    return phi, parts[0], dataset.y_train, parts[1], dataset.y_test


def one_hot(y: np.ndarray, k: int) -> np.ndarray:
    """Return labels of the first k classes."""
    return np.eye(10)[y][:, :k]


def by_points(Phi: np.ndarray, y: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the weights of the memory, those of all its samples at once, and its points after the last task."""
    first = np.isin(y, TASKS[0])
    V = np.linalg.eigh(Phi[first].T @ Phi[first])[1][:, -r:]
    memory: Any = future_set((Phi[first], one_hot(y[first], 2)), V, ridge=RIDGE)
    sums = GramStatistics(Phi.shape[1], 10).update(Phi[first], one_hot(y[first], 10))
    for pair in TASKS[1:]:
        now = np.isin(y, pair)
        new = (Phi[now] @ V) @ V.T
        memory = update(memory, new, one_hot(y[now], max(pair) + 1))
        sums.update(new, one_hot(y[now], 10))
    return memory.weights, sums.sums().weights(RIDGE), len(memory)


def by_replay(Phi: np.ndarray, y: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return the weights after the last task, trained with a buffer of m images of the classes before."""
    kept = np.zeros(0, dtype=np.int64)
    W = np.zeros((10, Phi.shape[1]))
    for done, pair in enumerate(TASKS, start=1):
        rows = np.concatenate([kept, np.flatnonzero(np.isin(y, pair))])
        root = np.ones((len(rows), 1))
        for label in np.unique(y[kept]):
            root[: len(kept)][y[kept] == label] = np.sqrt(np.sum(y == label) / np.sum(y[kept] == label))
        W = ridge_weights(root * Phi[rows], root * one_hot(y[rows], 10), ridge=RIDGE)
        seen = [label for one in TASKS[:done] for label in one]
        sizes = [m // len(seen) + (place < m % len(seen)) for place in range(len(seen))]
        found = [rng.permutation(rows[y[rows] == label])[:size] for label, size in zip(seen, sizes, strict=True)]
        kept = np.concatenate(found)
    return W


def by_parts(phi: Any, dataset: Dataset) -> tuple[np.ndarray, float]:
    """Return the weights of ``RidgeDistiller.partial_fit`` task by task, and the seconds of all calls."""
    mean, std = dataset.statistics()
    model = RidgeDistiller(phi, ridge=RIDGE, random_state=0)
    started = time.perf_counter()
    for pair in TASKS:
        rows = np.flatnonzero(np.isin(dataset.y_train, pair))
        X = np.concatenate([X for X, _ in dataset.blocks("train", mean=mean, std=std, order=rows)])
        model.partial_fit(X, dataset.y_train[rows], classes=range(10))
    return model.coef_, time.perf_counter() - started


def main() -> None:
    """Run all memories and record their accuracies."""
    options = records.parser(__doc__ or "").parse_args()
    dataset = data.load("digits" if options.quick else "mnist", offline=True)
    phi, Phi, y, Phit, yt = mapped(dataset, options.seed)

    def accuracy(W: np.ndarray) -> float:
        return float(np.mean((Phit @ W.T).argmax(axis=1) == yt))

    whole = ridge_weights(Phi, one_hot(y, 10), ridge=RIDGE)
    parts, seconds = by_parts(phi, dataset)

    def away(W: np.ndarray, wanted: np.ndarray) -> float:
        return float(np.linalg.norm(W - wanted) / np.linalg.norm(wanted))

    rows: list[dict[str, Any]] = []
    for r in DIRECTIONS[dataset.name]:
        W, wanted, points = by_points(Phi, y, r)
        scores = [accuracy(by_replay(Phi, y, points, np.random.default_rng([options.seed, i]))) for i in range(3)]
        row = {"data": dataset.name, "p": Phi.shape[1], "directions": r, "points": points, "accuracy": accuracy(W)}
        row |= {"accuracy_at_once": accuracy(wanted), "error": away(W, wanted), "replay": float(np.mean(scores))}
        row |= {"everything": accuracy(whole), "partial_fit": accuracy(parts), "partial_fit_error": away(parts, whole)}
        row |= {"partial_fit_seconds": seconds, "replay_std": float(np.std(scores, ddof=1))}
        rows.append(row)
        print(
            f"{dataset.name}, r = {r}: {points} points {row['accuracy']:.4f} (at once {row['accuracy_at_once']:.4f}, "
            f"W off by {row['error']:.1e}), replay of as many {row['replay']:.4f}, everything {row['everything']:.4f}, "
            f"partial_fit off by {row['partial_fit_error']:.1e}",
            flush=True,
        )
    records.record_run(options, "class_incremental", rows)


if __name__ == "__main__":
    main()
