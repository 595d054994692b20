"""T19a, T19d, T20a, T23b, T25 on real data: what each set keeps of all the data beside the model, measured on the file.

Linear map, no intercept, the ridge of the best leave-one-out accuracy. Each set is stored, reloaded and certified; then
its sums are put in the place of those of the data, by plain formulas, in what it is made for:

    gradients     the gradient of the loss at 0 and at W
    trajectory    100 steps of 1 / |G|_2 from 0: the largest error of W_t, relative to the largest |W_t|
    future        the model after the test samples came too, projected on the 100 leading directions of the data
    sufficient    the models at a hundredth, ten and a thousand times the ridge

Run: python experiments/kept.py [--quick] [--data mnist]
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import records
import recovery
from scipy import linalg
from trajectories import largest

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import Construction, Future, Gradients, Sufficient, Trajectory
from analytic_dd.features import Identity
from analytic_dd.judge.accuracy import accuracies_on_test
from analytic_dd.labels import one_hot
from analytic_dd.model import OriginalModel
from analytic_dd.report import refit

STEPS, DIRECTIONS = 100, 100
Sums = tuple[np.ndarray, np.ndarray]  # Phi^T Phi and Y^T Phi
Answer = Callable[[Sums], list[np.ndarray]]  # what a user asks of sums


def ridge(sums: Sums, lam: float) -> np.ndarray:
    """Return C (G + lam I)^-1."""
    G, C = sums
    return np.asarray(linalg.solve(G + lam * np.eye(len(G)), C.T, assume_a="pos").T)


def gradients(model: OriginalModel) -> Answer:
    """Return the gradients at 0 and at W."""
    return lambda sums: [-sums[1], model.weights @ sums[0] - sums[1]]


def steps(model: OriginalModel) -> Answer:
    """Return the steps of gradient descent."""
    eta = 1.0 / largest(model.statistics.G)

    def answer(sums: Sums) -> list[np.ndarray]:
        (G, C), W, path = sums, np.zeros_like(sums[1]), []
        for _ in range(STEPS):
            W = W - eta * (W @ G - C)
            path.append(W)
        return path

    return answer


def later(model: OriginalModel, dataset: data.Dataset) -> Answer:
    """Return the model of the data and of the test samples in the leading directions."""
    V = linalg.eigh(model.statistics.G)[1][:, -DIRECTIONS:]
    G, C = np.zeros_like(model.statistics.G), np.zeros_like(model.weights)
    for X, y in dataset.blocks("test", mean=model.mean, std=model.std):
        F, Y = (X @ V) @ V.T, np.asarray(one_hot(y, len(C)))
        G, C = G + F.T @ F, C + Y.T @ F
    return lambda sums: [ridge((sums[0] + G, sums[1] + C), model.ridge)]


def penalties(model: OriginalModel) -> Answer:
    """Return the models of other ridges."""
    return lambda sums: [ridge(sums, factor * model.ridge) for factor in (0.01, 10.0, 1000.0)]


def measure(name: str, *, seed: int) -> list[dict[str, Any]]:
    """Fit the original model, then make each set and ask it what it is made for."""
    dataset, clock = data.load(name, offline=True), Clock()
    assert isinstance(dataset, data.Dataset)
    model = recovery.fit(dataset, Identity(dataset.d), seed=seed, clock=clock)
    of_data = (np.asarray(model.statistics.G), np.asarray(model.statistics.C))
    wanted: list[tuple[Construction, str, Answer]] = [
        (Gradients(), "gradients", gradients(model)),
        (Trajectory(steps=STEPS), f"trajectory, {STEPS} steps", steps(model)),
        (Trajectory(steps=STEPS, tolerance=0.01), f"trajectory, {STEPS} steps to 1 %", steps(model)),
        (Future(dimensions=DIRECTIONS), f"future in {DIRECTIONS} directions", later(model, dataset)),
        (Sufficient(), "sufficient", penalties(model)),
    ]
    rows: list[dict[str, Any]] = []
    models = {"original": (model.weights, np.zeros(len(model.weights)))}
    for construction, kind, answer in wanted:
        own = Clock()
        stored = recovery.through_a_file(dataset, model, construction, seed=seed, clock=own)
        models[kind] = refit(stored)
        sums = (stored.inputs.T @ stored.inputs, np.asarray(stored.y).T @ stored.inputs)
        there, here = answer(of_data), answer(sums)
        size = max(float(np.linalg.norm(A)) for A in there)
        error = max(float(np.linalg.norm(A - B)) for A, B in zip(there, here, strict=True)) / size
        row = {"data": dataset.name, "n": len(dataset.y_train), "p": dataset.d, "ridge": model.ridge, "kind": kind}
        row |= {"theorem": stored.meta["theorem"], "points": len(stored.inputs), "error_kept": error}
        rows.append(row | {"certificate": stored.certify().to_dict(), "seconds": own.seconds})
    scores = accuracies_on_test(dataset, model, models)
    for row in rows:
        row |= {"model_seconds": clock.seconds, "accuracy_original": scores["original"]}
        row["accuracy_distilled"] = scores[row["kind"]]
    return rows


def line(row: dict[str, Any]) -> str:
    """Return a row in words for the terminal."""
    found = row["certificate"]
    return (
        f"{row['data']}, {row['kind']}: {row['points']} points, W to {found['relative_error']:.1e} {found['verdict']}, "
        f"what it keeps to {row['error_kept']:.1e}, {sum(row['seconds'].values()):.1f} s"
    )


def main() -> None:
    """Measure every data set and record the rows."""
    options = records.options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    for found in map(partial(measure, seed=options.seed), options.names):
        rows += found
        print(*map(line, found), sep="\n", flush=True)
    records.record_part(options, "kept", rows, ("data", "kind"))


if __name__ == "__main__":
    main()
