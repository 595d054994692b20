"""Figure 2: references, the nearest exact set, an exact set from noise, and the published formula, at IPC 5, 10 and 50.

Linear map, ridge 0. References are drawn at random from each class. ``nearest``: T6, learned labels. ``from noise``:
T2, one-hot labels, random free matrix. ``published``: T2, one-hot labels, free matrix of the references. The first
point of each class is drawn. References and nearest share the range of the data, the others have scales of their own.

Run: python experiments/figure2_realistic.py [--quick] [--data mnist cifar10] [--pictures docs/gallery]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
import records
import recovery
from nearest_vs_published import distances

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import Construction, chosen
from analytic_dd.features import Identity
from analytic_dd.io import DistilledSet
from analytic_dd.model import OriginalModel

SIZES = (5, 10, 50)


def recipes(per_class: int) -> dict[str, Construction]:
    """Return the three sets of one size."""
    return {
        "nearest (T6)": chosen(points_per_class=per_class, mode="nearest"),
        "from noise (T2)": chosen(points_per_class=per_class),
        "published formula": chosen(points_per_class=per_class, init="real"),
    }


def measure(
    dataset: data.Dataset, model: OriginalModel, per_class: int, *, seed: int
) -> tuple[dict[str, DistilledSet], list[dict[str, Any]]]:
    """Make the sets of one size and return them as reloaded, and their rows."""
    sets, rows = {}, []
    real, _ = recovery.references_of(dataset, model, recipes(per_class)["nearest (T6)"], seed=seed)
    assert real is not None
    for name, recipe in recipes(per_class).items():
        stored = recovery.through_a_file(dataset, model, recipe, seed=seed)
        row = {"data": dataset.name, "ipc": per_class, "set": name, "ridge": model.ridge}
        row |= {"certificate": stored.certify().to_dict(), "scale": pictures.scale_of(stored.x)}
        sets[name] = stored
        rows.append(row | distances(stored, np.asarray(real.inputs)))
    return sets, rows


def block(sets: dict[str, DistilledSet], rows: list[dict[str, Any]], span: tuple[float, float]) -> list[pictures.Row]:
    """Return four rows, the first point of each class in each."""
    nearest, per_class = sets["nearest (T6)"], int(rows[0]["ipc"])
    assert nearest.references is not None
    away = {row["set"]: f"{100 * row['relative_distance_features']:.2g} % off" for row in rows}
    names, first = [str(name) for name in nearest.classes], np.arange(len(nearest.classes)) * per_class
    labels = nearest.y[first].argmax(axis=1)
    learned = [f"{names[best]}\n{nearest.y[i, best]:.2g}" for i, best in zip(first, labels, strict=True)]
    drawn = [pictures.Row("references", nearest.references[first], span, names, f"{per_class} images a class")]
    for name, stored in sets.items():
        x = stored.x[first]
        scale, captions = (span, learned) if stored is nearest else (pictures.scale_of(x), [])
        beside = name if stored.references is None and stored.meta["init"] == "random" else f"{name}: {away[name]}"
        drawn.append(pictures.Row(beside, x, scale, captions))
    return drawn


def main() -> None:
    """Measure and draw every data set."""
    options = records.options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        model = recovery.fit(dataset, Identity(dataset.d), seed=options.seed, clock=Clock())
        blocks: list[pictures.Row] = []
        found: list[dict[str, Any]] = []
        for per_class in (2, 5) if options.quick else SIZES:
            sets, measured = measure(dataset, model, per_class, seed=options.seed)
            found += measured
            blocks += block(sets, measured, model.value_range)
        title = [
            f"{dataset.name}, linear map: the first image of each class, above the nearest its strongest label",
            "beside each row: |Xs - references| / |references| of the whole set; black and white in the data's units",
        ]
        drawn = pictures.sheet(options.pictures / pictures.file_name("figure2", dataset.name), title, blocks)
        rows += [row | drawn for row in found]
    records.record_part(options, "figure2_realistic", rows, ("data", "ipc", "set"))


if __name__ == "__main__":
    main()
