"""Figure 1: one distilled image a class, through the linear map, a fully connected network and random Fourier features.

One-hot labels at ridge 0 (T2), m = k, pre-images by T8; stored, reloaded, certified and scored.

Run: python experiments/figure1_one_per_class.py [--quick] [--data mnist cifar10] [--pictures docs/gallery]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen
from analytic_dd.io import DistilledSet
from analytic_dd.judge.accuracy import accuracies_on_test
from analytic_dd.report import refit

MAPS = {"identity": "linear", "fcnn": "fully connected", "rff": "random Fourier"}


def measure(dataset: data.Dataset, text: str, *, seed: int) -> tuple[DistilledSet, dict[str, Any]]:
    """Fit, distil one image a class, and return the reloaded set and its row."""
    phi = recovery.draw_map(dataset, text, seed=seed)
    model = recovery.fit(dataset, phi, seed=seed, clock=Clock())
    stored = recovery.through_a_file(dataset, model, chosen(), seed=seed)
    models = {"original": (model.weights, np.zeros(len(model.weights))), "distilled": refit(stored)}
    accuracies = accuracies_on_test(dataset, model, models)
    row = {"data": dataset.name, "features": text, "p": phi.p, "points": len(stored.x), "ridge": model.ridge}
    return stored, row | {"certificate": stored.certify().to_dict(), "accuracies": accuracies}


def draw(stored: dict[str, DistilledSet], options: Any) -> dict[str, Any]:
    """Draw one row a map."""
    first = next(iter(stored.values()))
    name, classes = first.meta["data"]["name"], [str(label) for label in first.classes]
    rows = [
        pictures.Row(MAPS[text], found.x, pictures.scale_of(found.x), classes if found is first else ())
        for text, found in stored.items()
    ]
    title = [
        f"{name}: one distilled image a class, exact through each map",
        "beside each row: what is black and white, in the data's units (98 % of the pixels)",
    ]
    return pictures.sheet(options.pictures / pictures.file_name("figure1", name), title, rows)


def main() -> None:
    """Measure and draw every data set."""
    options = records.options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        found = {text: measure(dataset, text, seed=options.seed) for text in MAPS}
        drawn = draw({text: stored for text, (stored, _) in found.items()}, options)
        for _, row in found.values():
            print(f"{row['data']} {row['features']:<10} {recovery.judged(row)}")
            rows.append(row | drawn)
    records.record_part(options, "figure1_one_per_class", rows, ("data", "features"))


if __name__ == "__main__":
    main()
