"""T8 on real data: every feature map at IPC 1, 10 and 50, carried back to inputs and certified from the reloaded file.

One-hot labels at ridge 0 (T2) and learned labels (T4). The original model is fitted once for each data set and map.

Run: python experiments/map_recovery.py [--quick] [--data mnist cifar10] [--maps rff cnn]
"""

from __future__ import annotations

import time
from typing import Any

import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen

MAPS = ("rff", "fcnn", "fcnn:depth=3", "cnn", "inn", "deep-linear")


def measure(dataset: data.Dataset, text: str, *, reading: float, seed: int) -> list[dict[str, Any]]:
    """Fit once through one map, then distil with both kinds of labels at every size."""
    clock = Clock({"reading": reading})
    with clock("map"):
        phi = recovery.draw_map(dataset, text, seed=seed)
    model = recovery.fit(dataset, phi, seed=seed, clock=clock)
    facts = {"features": text, "map": phi.spec(), "p": phi.p, "kind": phi.kind, "map_condition": phi.condition()}
    facts["samples"], facts["mapped"] = len(dataset.y_train), len(dataset.y_train) + model.choice.samples
    wanted = [
        recovery.Wanted(chosen(points_per_class=per_class, labels=labels), facts | {"labels": labels})
        for per_class in (1, 10, 50)
        for labels in ("one-hot", "learned")
    ]
    return recovery.measure(dataset, model, wanted, seed=seed, clock=clock)


def main() -> None:
    """Measure every data set and map and record the rows."""
    parser = records.parser(__doc__ or "")
    parser.add_argument("--data", nargs="+", default=["mnist", "cifar10"])
    parser.add_argument("--maps", nargs="+", default=MAPS)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in ["digits"] if options.quick else options.data:
        started = time.perf_counter()
        dataset = data.load(name, offline=True)
        reading = time.perf_counter() - started
        for text in options.maps:
            found = measure(dataset, text, reading=reading, seed=options.seed)
            print(*(recovery.line(row, "features", "labels") for row in found), sep="\n", flush=True)
            rows += found
    path = records.path_of(options, "map_recovery")
    records.record(path, records.with_others(path, rows, ("data", "features"), seed=options.seed), seed=options.seed)


if __name__ == "__main__":
    main()
