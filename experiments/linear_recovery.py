"""T2, T3, T12 on real data: the linear map, IPC 1, 10 and 50, ridge 0 and both roots, certified from the reloaded file.

Run: python experiments/linear_recovery.py [--quick]
"""

from __future__ import annotations

from typing import Any

import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen, largest_ridge
from analytic_dd.features import Identity
from analytic_dd.labels import one_hot, repeated_classes
from analytic_dd.model import OriginalModel


def wanted(model: OriginalModel) -> list[recovery.Wanted]:
    """Ridge 0, and half the largest admissible ridge with each root, for every size."""
    intercept, k = model.intercept is not None, len(model.weights)
    found = []
    for per_class in (1, 10, 50):
        limit = largest_ridge(model.weights, one_hot(repeated_classes(k, k * per_class), k))
        recipes = {"0": chosen(points_per_class=per_class)}
        for root in ("large", "small"):
            recipes[root] = chosen(points_per_class=per_class, distilled_ridge=limit / 2, root=root)
        found += [recovery.Wanted(recipe, {"intercept": intercept, "root": root}) for root, recipe in recipes.items()]
    return found


def measure(dataset: data.Dataset, *, intercept: bool, seed: int) -> list[dict[str, Any]]:
    """Fit once, then distil in every way."""
    clock = Clock()
    model = recovery.fit(dataset, Identity(dataset.d), intercept=intercept, seed=seed, clock=clock)
    return recovery.measure(dataset, model, wanted(model), seed=seed, clock=clock)


def main() -> None:
    """Measure every data set with and without an intercept and record the rows."""
    options = records.parser(__doc__ or "").parse_args()
    rows: list[dict[str, Any]] = []
    for name in ["digits"] if options.quick else ["mnist", "cifar10"]:
        dataset = data.load(name, offline=True)
        for intercept in (False, True):
            rows += measure(dataset, intercept=intercept, seed=options.seed)
    for row in rows:
        print(recovery.line(row, "intercept", "root"))
    records.record_run(options, "linear_recovery", rows)


if __name__ == "__main__":
    main()
