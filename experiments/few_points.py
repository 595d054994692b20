"""T7 on real data: accuracy and error of the best sets of m = 1 .. k points, beside what else m points can do.

Linear map. T7 with three metrics: the weights (S = I), the predictions on the data (S = Phi^T Phi), and those with the
ridge (S = Phi^T Phi + ridge I, reduced-rank ridge regression). Controls, each the mean over draws: m random training
images of any class, and the means of m classes drawn at random (all of them at m = k), each with labels of two kinds:
one-hot labels of their own class, with the best ridge of a grid on training samples, and the prediction-optimal labels
of T10, the best that any labels can do for these points. A direct optimiser (L-BFGS over points and labels, see
``few_optimum``) runs on the same problem with S = I.

Run: python experiments/few_points.py [--quick] [--data mnist cifar10] [--pictures docs/gallery]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import few_optimum
import numpy as np
import pictures
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen, few_features
from analytic_dd.features import Identity
from analytic_dd.judge.accuracy import Model, accuracies_on_test, fitted
from analytic_dd.labels import one_hot
from analytic_dd.model import OriginalModel
from analytic_dd.ridge import ridge_weights

DRAWS = 5
SCORED = 2_000  # training samples on which the ridge of a control is chosen, in its favour


@dataclass(frozen=True)
class Problem:
    """A fitted model with what the methods share."""

    dataset: data.Dataset
    model: OriginalModel
    root: np.ndarray  # (p, r): L with Phi^T Phi = L L^T
    means: np.ndarray  # (k, p): of the classes, as inputs
    scored: tuple[np.ndarray, np.ndarray]  # (X, y): training samples for the choice of ridges

    @classmethod
    def of(cls, dataset: data.Dataset, *, seed: int) -> Problem:
        """Fit the model."""
        model = recovery.fit(dataset, Identity(dataset.d), seed=seed, clock=Clock())
        spectrum = model.statistics.spectrum()
        root = spectrum.vectors * np.sqrt(np.maximum(spectrum.values, 0.0))
        means = dataset.class_means().reshape(-1, len(model.mean))
        means = ((means - model.mean) / model.std).reshape(len(dataset.classes), -1)
        order = np.random.default_rng([seed, 3]).permutation(len(dataset.y_train))[:SCORED]
        return cls(dataset, model, root, means, model.inputs_of(dataset, order))

    def prediction_error(self, W: np.ndarray) -> float:
        """|(W_s - W) S^(1/2)| / |W S^(1/2)| with S = Phi^T Phi."""
        return float(
            np.linalg.norm((W - self.model.weights) @ self.root) / np.linalg.norm(self.model.weights @ self.root)
        )

    def weight_error(self, W: np.ndarray) -> float:
        """|W_s - W| / |W|."""
        return float(np.linalg.norm(W - self.model.weights) / np.linalg.norm(self.model.weights))


def best_models(problem: Problem, m: int) -> dict[str, np.ndarray]:
    """Return the weights of the optimum of T7 for each metric."""
    W, G = problem.model.weights, np.asarray(problem.model.statistics.G)
    metrics = {"weights": None, "predictions": G, "ridge": G + problem.model.ridge * np.eye(len(G))}
    found = {}
    for name, metric in metrics.items():
        built = few_features(W, m, metric=metric)
        found[name] = ridge_weights(built.features, built.labels, ridge=0.0)
    return found


def prediction_optimal(W: np.ndarray, Phis: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return the model of the best labels for these points (T10):  C Phis,  C = argmin |(C Phis - W) S^(1/2)|.

    What ``spanning_features(metric=S)`` gives, without an eigendecomposition of S for every set.
    """
    return np.asarray(np.linalg.lstsq((Phis @ root).T, (W @ root).T, rcond=None)[0].T @ Phis)


def own_labels(problem: Problem, Phis: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the model of one-hot labels, with the ridge that is best on training samples."""
    Ys, (X, y) = one_hot(classes, len(problem.dataset.classes)), problem.scored
    best, found = -1.0, problem.model.weights
    for ridge in float(np.sum(Phis**2)) * np.geomspace(1e-8, 1.0, 9):
        W, _ = fitted(Phis, Ys, ridge, intercept=False)
        score = float(np.mean((X @ W.T).argmax(axis=1) == y))
        if score >= best:
            best, found = score, W
    return found


def control_models(problem: Problem, m: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the models of one draw of m random images and of m class means."""
    k = len(problem.dataset.classes)
    rows = rng.permutation(len(problem.dataset.y_train))[:m]
    classes = np.sort(rng.permutation(k)[:m])
    sets = {"random": problem.model.inputs_of(problem.dataset, rows), "means": (problem.means[classes], classes)}
    found = {}
    for name, (Phis, y) in sets.items():
        found[f"{name}, own labels"] = own_labels(problem, Phis, y)
        found[f"{name}, best labels"] = prediction_optimal(problem.model.weights, Phis, problem.root)
    return found


def measure(dataset: data.Dataset, *, seed: int, draws: int) -> list[dict[str, Any]]:
    """Return a row for each m."""
    problem = Problem.of(dataset, seed=seed)
    k, rng = len(dataset.classes), np.random.default_rng([seed, 4])
    weights = {("original", 0, 0): problem.model.weights}
    rows = []
    for m in range(1, k + 1):
        weights |= {(name, m, 0): W for name, W in best_models(problem, m).items()}
        for draw in range(draws):
            weights |= {(name, m, draw): W for name, W in control_models(problem, m, rng=rng).items()}
        stored = recovery.through_a_file(dataset, problem.model, chosen(mode="few", points=m), seed=seed)
        rows.append({"data": dataset.name, "m": m, "certificate": stored.certify().to_dict(), "draws": draws})
        if m < k:
            found = few_optimum.descend(problem.model.weights, m, rng=rng)
            rows[-1]["direct"] = {"ratio": found.ratio, "evaluations": found.evaluations}
            weights["direct", m, 0] = found.weights
        print(f"{dataset.name} m = {m}: {rows[-1].get('direct')}", flush=True)
    keys = {f"{index}": key for index, key in enumerate(weights)}
    models: dict[str, Model] = {name: (weights[key], np.zeros(k)) for name, key in keys.items()}
    accuracies = {keys[name]: value for name, value in accuracies_on_test(dataset, problem.model, models).items()}
    return [row | summary(problem, weights, accuracies, row["m"]) for row in rows]


def summary(problem: Problem, weights: dict[Any, np.ndarray], accuracies: dict[Any, float], m: int) -> dict[str, Any]:
    """Return accuracy and errors of each method at one m, the mean over its draws."""
    methods: dict[str, Any] = {}
    for name in dict.fromkeys(key[0] for key in weights if key[1] == m):
        keys = [key for key in weights if key[:2] == (name, m)]
        scores = [accuracies[key] for key in keys]
        methods[name] = {
            "accuracy": float(np.mean(scores)),
            "accuracy_std": float(np.std(scores)),
            "prediction_error": float(np.mean([problem.prediction_error(weights[key]) for key in keys])),
            "weight_error": float(np.mean([problem.weight_error(weights[key]) for key in keys])),
        }
    return {"methods": methods, "accuracy_original": accuracies["original", 0, 0], "ridge": problem.model.ridge}


STYLES = {
    "predictions": ("T7, nearest predictions", "C0", "o-"),
    "ridge": ("T7, with the ridge", "C9", "x:"),
    "weights": ("T7, nearest weights", "C2", "s-"),
    "direct": ("L-BFGS, nearest weights", "black", "+"),
    "random, best labels": ("random images, best labels", "C1", "^--"),
    "random, own labels": ("random images, own labels", "C1", "v:"),
    "means, best labels": ("class means, best labels", "C3", "^--"),
    "means, own labels": ("class means, own labels", "C3", "v:"),
}


def draw(rows: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    """Draw accuracy and error of predictions against m."""
    figure, (left, right) = pictures.chart(2, height=4.2)
    for name, (label, colour, style) in STYLES.items():
        found = [row for row in rows if name in row["methods"]]
        m = [row["m"] for row in found]
        left.plot(m, [100 * row["methods"][name]["accuracy"] for row in found], style, color=colour, label=label, ms=4)
        errors = [row["methods"][name]["prediction_error"] for row in found]
        right.plot(m, [error if error > 1e-6 else np.nan for error in errors], style, color=colour, ms=4)
    left.axhline(100 * rows[0]["accuracy_original"], color="0.5", lw=0.8, label="all the data")
    left.set(xlabel="points m", ylabel="test accuracy, %")
    figure.suptitle(f"{rows[0]['data']}, linear map", fontsize=10)
    right.set(xlabel="points m (at m = k the error of T7 is 0)", ylabel="relative error of predictions", yscale="log")
    figure.legend(loc="outside lower center", ncols=3, fontsize=7)
    return pictures.save(figure, options.pictures / pictures.file_name("few points", rows[0]["data"]))


def main() -> None:
    """Measure and draw every data set."""
    options = records.options(__doc__ or "")
    draws = 2 if options.quick else DRAWS
    rows = records.with_pictures(
        options, lambda name: measure(data.load(name, offline=True), seed=options.seed, draws=draws), draw
    )
    records.record_part(options, "few_points", rows, ("data", "m"))


if __name__ == "__main__":
    main()
