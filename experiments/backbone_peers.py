"""Peers on a frozen network: what one and ten points a class keep of the linear probe on its features.

Every set is scored alike: ridge regression with an intercept on the features of its points, at the ridge of a grid that
decides most training samples rightly, on the test part.

    centroids   centres of k-means of the features of a class (its mean for one point): features, no images
    nearest     the real samples nearest to these
    random      real samples of each class, drawn
    lgm         linear gradient matching, by this package, for so many seconds

The exact sets of near copies on the same network are recorded by near_copies.py; ``tables`` puts them beside.

Run: python experiments/backbone_peers.py [--quick] [--budget SECONDS] [RUN ...]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import records
import recovery
from near_copies import RUNS, Run
from sklearn.cluster import KMeans

from analytic_dd.baselines import distill
from analytic_dd.data import Dataset
from analytic_dd.features import FeatureMap
from analytic_dd.judge.accuracy import Model, fitted
from analytic_dd.labels import one_hot
from analytic_dd.model.distillation import build_map, streams

RIDGES = 10.0 ** np.arange(-6.0, 2.0)  # of the mean square of a centred feature vector of the set
Points = tuple[np.ndarray, np.ndarray]  # features (m, p) and classes (m,)


def features(dataset: Dataset, phi: FeatureMap, split: str) -> np.ndarray:
    """Return the features (n, p) of a part, in float32."""
    mean, std = dataset.statistics()
    blocks = dataset.blocks(split, mean=mean, std=std)
    return np.concatenate([np.asarray(phi(X.astype(np.float32))) for X, _ in blocks])


def probe(Phis: np.ndarray, classes: np.ndarray, Phi: np.ndarray, y: np.ndarray, k: int) -> tuple[float, Model]:
    """Return the relative ridge at which ridge regression on a set decides most of (Phi, y) rightly, and the model."""
    Phis, labels = Phis.astype(np.float64), np.asarray(one_hot(classes, k))
    size = float(np.mean(np.sum((Phis - Phis.mean(axis=0)) ** 2, axis=1)))
    models = [(relative, fitted(Phis, labels, relative * size, intercept=True)) for relative in RIDGES]
    return max(models, key=lambda found: accuracy(found[1], Phi, y))


def accuracy(model: Model, Phi: np.ndarray, y: np.ndarray) -> float:
    """Return the share of samples that a model decides rightly."""
    W, b = model
    return float(np.mean((Phi @ W.T.astype(Phi.dtype) + b).argmax(axis=1) == y))


def centroids(Phi: np.ndarray, y: np.ndarray, k: int, each: int, seed: int) -> Points:
    """Return centres of the features of each class."""
    rng, found = np.random.default_rng([seed, 11]), []
    for label in range(k):
        members = Phi[y == label].astype(np.float64)
        clusters = KMeans(min(each, len(members)), n_init=1, random_state=int(rng.integers(2**31)))
        found.append(members.mean(axis=0)[None] if each == 1 else clusters.fit(members).cluster_centers_)
    return np.concatenate(found), np.repeat(np.arange(k), [len(rows) for rows in found])


def nearest(Phi: np.ndarray, y: np.ndarray, k: int, each: int, seed: int) -> Points:
    """Return the features of the real samples of the class that are nearest to its centres."""
    centres, classes = centroids(Phi, y, k, each, seed)
    rows = []
    for centre, label in zip(centres, classes, strict=True):
        members = np.flatnonzero(y == label)
        rows.append(members[np.linalg.norm(Phi[members] - centre, axis=1).argmin()])
    return Phi[rows], classes


def drawn(Phi: np.ndarray, y: np.ndarray, k: int, each: int, seed: int) -> Points:
    """Return the features of random real samples of each class."""
    rng = np.random.default_rng([seed, 12])
    rows = np.concatenate([rng.choice(np.flatnonzero(y == label), each, replace=False) for label in range(k)])
    return Phi[rows], y[rows]


CHOSEN: dict[str, Callable[..., Points]] = {"centroids": centroids, "nearest": nearest, "random": drawn}


def measure(name: str, run: Run, *, budget: float, seed: int) -> list[dict[str, Any]]:
    """Map both parts once, and return a row for all the data and for each method and number of points a class."""
    dataset, cpu = run.read(), time.process_time()
    source = recovery.DatasetSource(dataset)
    phi, k = build_map(run.features, source, rng=streams(seed)[0]), len(dataset.classes)
    Phi, Phi_test = (features(dataset, phi, split) for split in ("train", "test"))
    y, mapping = dataset.y_train, time.process_time() - cpu
    facts = {"run": name, "data": dataset.name, "features": run.title or run.features, "p": phi.p, "n": len(y), "k": k}

    def row(method: str, each: int | None, found: Points, seconds: float) -> dict[str, Any]:
        relative, model = probe(*found, Phi, y, k)
        right = accuracy(model, Phi_test, dataset.y_test)
        own = {"method": method, "ipc": each, "points": len(found[0]), "relative_ridge": relative}
        return facts | own | {"accuracy": right, "cpu": seconds}

    rows = [row("all data", None, (Phi, y), mapping)]
    for each in (1, 10):
        for method, choose in CHOSEN.items():
            cpu = time.process_time()
            found = choose(Phi, y, k, each, seed)
            rows.append(row(method, each, found, time.process_time() - cpu))
        cpu = time.process_time()
        options = {"features": run.features, "batch": 16, "steps": 2_000}
        made = distill("lgm", dataset, points_per_class=each, seed=seed, config=options, budget=budget)
        found = np.asarray(phi(made.inputs.astype(np.float32))), made.classes_of_points
        rows.append(row("lgm", each, found, time.process_time() - cpu) | {"steps": made.steps})
    return rows


def line(row: Mapping[str, Any]) -> str:
    """Return a row in words for the terminal."""
    each = "" if row["ipc"] is None else f", {row['ipc']} a class"
    return f"{row['data']}, {row['method']}{each}: {100 * row['accuracy']:.2f} %, {row['cpu']:.1f} s"


def main() -> None:
    """Run what is named and keep the recorded rows of the others."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="imagenette, tiny imagenet")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of a run of lgm")
    options = parser.parse_args()
    path = records.path_of(options, "backbone_peers")
    for name in ["quick"] if options.quick else options.runs or ["imagenette", "tiny imagenet"]:
        run = Run("digits", "fcnn", 1.0, ()) if options.quick else RUNS[name]
        rows = measure(name, run, budget=1.0 if options.quick else options.budget, seed=options.seed)
        print(*map(line, rows), sep="\n", flush=True)
        records.record(path, records.with_others(path, rows, ("run",), seed=options.seed), seed=options.seed)


if __name__ == "__main__":
    main()
