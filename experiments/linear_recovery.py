"""T2, T3, T12 on real data: the linear map, IPC 1, 10 and 50, ridge 0 and both roots, certified from the reloaded file.

Run: python experiments/linear_recovery.py [--quick]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import records

from analytic_dd import data
from analytic_dd.baselines import accuracies_on_test
from analytic_dd.distill import largest_ridge
from analytic_dd.distill.pipeline import OriginalModel, Stages, distill_model, fit_original
from analytic_dd.distill.recipe import Recipe
from analytic_dd.features import Identity
from analytic_dd.io import load_distilled, save_distilled
from analytic_dd.labels import one_hot, repeated_classes
from analytic_dd.report import assemble, refit


def recipes(model: OriginalModel, per_class: int) -> dict[str, Recipe]:
    """Ridge 0, and half the largest admissible ridge with each root."""
    k = len(model.weights)
    limit = largest_ridge(model.weights, one_hot(repeated_classes(k, k * per_class), k))
    found = {"0": Recipe(points_per_class=per_class)}
    for root in ("large", "small"):
        found[root] = Recipe(points_per_class=per_class, ridge=limit / 2, root=root)
    return found


def measure(dataset: data.Dataset, *, intercept: bool, seed: int) -> list[dict[str, Any]]:
    """Fit once, distil in every way, store, reload, certify, and score all refitted models in one pass."""
    stages = Stages()
    rng = np.random.default_rng(seed)
    model = fit_original(dataset, Identity(dataset.d), intercept=intercept, rng=rng, stages=stages)
    zero = np.zeros(len(model.weights))
    rows: list[dict[str, Any]] = []
    models = {"original": (model.weights, model.intercept if intercept else zero)}
    for per_class in (1, 10, 50):
        for name, recipe in recipes(model, per_class).items():
            result = distill_model(model, recipe, rng=np.random.default_rng([seed, per_class]))
            stored = assemble(dataset, model, result, recipe, seed=seed, stages=stages, dtype=np.float64)
            with tempfile.TemporaryDirectory() as folder:
                save_distilled(Path(folder) / "distilled.npz", stored)
                loaded = load_distilled(folder)
            certificate = loaded.certify()
            key = f"{per_class} {name}"
            models[key] = refit(loaded)
            rows.append(
                {
                    "data": dataset.name,
                    "intercept": intercept,
                    "ipc": per_class,
                    "points": len(loaded.inputs),
                    "root": name,
                    "ridge": model.ridge,
                    "distilled_ridge": recipe.ridge,
                    "key": key,
                    "certificate": certificate.to_dict(),
                }
            )
    accuracies = accuracies_on_test(dataset, model, models)
    for row in rows:
        row |= {"accuracy_original": accuracies["original"], "accuracy_distilled": accuracies[row.pop("key")]}
    return rows


def main() -> None:
    """Measure every data set with and without an intercept and record the rows."""
    options = records.parser(__doc__ or "").parse_args()
    names = ["digits"] if options.quick else ["mnist", "cifar10"]
    rows: list[dict[str, Any]] = []
    for name in names:
        dataset = data.load(name, offline=True)
        for intercept in (False, True):
            rows += measure(dataset, intercept=intercept, seed=options.seed)
    for row in rows:
        certificate = row["certificate"]
        print(
            f"{row['data']:<16} intercept {row['intercept']!s:<5} IPC {row['ipc']:>2} root {row['root']:<5} "
            f"{100 * row['accuracy_original']:.2f} % -> {100 * row['accuracy_distilled']:.2f} % "
            f"error {certificate['relative_error']:.1e} {certificate['verdict']}"
        )
    name = "linear_recovery_quick.json" if options.quick else "linear_recovery.json"
    records.record(options.out / name, rows, seed=options.seed)


if __name__ == "__main__":
    main()
