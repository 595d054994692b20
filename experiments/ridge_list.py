"""T11 on real data: one set that is exact for a whole list of ridges, and its error between them.

Linear map. Lists of 2, 3, 5 and 9 ridges, evenly spaced on a log scale over four decades about the ridge of the best
leave-one-out accuracy. Each set is stored, reloaded and certified at every ridge of its list against the weights that
it was built for, then refitted on a fine grid, half a decade further on both sides, against those of all the data.

Run: python experiments/ridge_list.py [--quick] [--data mnist cifar10] [--pictures docs/gallery]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pictures
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen, several_ridges_features
from analytic_dd.features import Identity
from analytic_dd.judge import certify_recovery
from analytic_dd.judge.accuracy import Model, accuracies_on_test
from analytic_dd.linalg import thin_svd
from analytic_dd.model import OriginalModel

LENGTHS = (2, 3, 5, 9)
DECADES, GRID = 4.0, 241


def refits(Phis: np.ndarray, Ys: np.ndarray, ridges: np.ndarray) -> np.ndarray:
    """Return ridge regression on a set for many ridges, (L, k, p), by one SVD."""
    found = thin_svd(Phis)
    s, dual = found.s, Ys.T @ found.U
    return np.stack([(dual * (s / (s * s + ridge))) @ found.Vt for ridge in ridges])


def between(Phis: np.ndarray, Ys: np.ndarray, ridges: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return |W_s(ridge) - W(ridge)| / |W(ridge)| for each ridge."""
    errors = np.linalg.norm(refits(Phis, Ys, ridges) - wanted, axis=(1, 2))
    return np.asarray(errors / np.linalg.norm(wanted, axis=(1, 2)))


def measure(
    dataset: data.Dataset, model: OriginalModel, length: int, grid: np.ndarray, wanted: np.ndarray, *, seed: int
) -> tuple[dict[str, Any], dict[str, Model]]:
    """Make one set, certify it at its ridges and compare it on the grid; return its row and its models."""
    ridges = model.ridge * np.logspace(-DECADES / 2, DECADES / 2, length)
    built = several_ridges_features(model.statistics, ridges)
    first = replace(model, weights=np.asarray(built.weights[0]), ridge=float(ridges[0]))
    stored = recovery.through_a_file(dataset, first, chosen(ridges=tuple(ridges)), seed=seed)
    Phis = stored.feature_map(stored.inputs)
    certificates = [
        certify_recovery(np.asarray(W), Phis, stored.y, ridge=ridge).to_dict()
        for W, ridge in zip(built.weights, built.ridges, strict=True)
    ]
    errors = between(Phis, stored.y, grid, wanted)
    inside = (grid >= ridges[0]) & (grid <= ridges[-1])
    row = {
        "data": dataset.name,
        "ridges": ridges,
        "length": length,
        "points": len(built),
        "at_most": length * len(model.weights),
        "certificates": certificates,
        "unresolved": built.unresolved,
        "grid": grid,
        "errors": errors,
        "largest_between": float(errors[inside].max()),
        "largest_beyond": float(errors[~inside].max()),
    }
    models: dict[str, Model] = {}
    for i, refitted in enumerate(refits(Phis, stored.y, ridges)):
        models |= {f"original {length} {i}": (np.asarray(built.weights[i]), np.zeros(len(model.weights)))}
        models |= {f"distilled {length} {i}": (refitted, np.zeros(len(model.weights)))}
    return row, models


def measure_all(dataset: data.Dataset, *, seed: int, lengths: tuple[int, ...]) -> list[dict[str, Any]]:
    """Fit once and measure every list."""
    model = recovery.fit(dataset, Identity(dataset.d), seed=seed, clock=Clock())
    grid = model.ridge * np.logspace(-DECADES / 2 - 0.5, DECADES / 2 + 0.5, GRID)
    wanted = np.asarray(model.statistics.path(grid))
    rows, models = [], {}
    for length in lengths:
        row, found = measure(dataset, model, length, grid, wanted, seed=seed)
        rows.append(row | {"ridge": model.ridge})
        models |= found
    accuracies = accuracies_on_test(dataset, model, models)
    for row in rows:
        for kind in ("original", "distilled"):
            row[f"accuracies_{kind}"] = [accuracies[f"{kind} {row['length']} {i}"] for i in range(row["length"])]
        worst = max(found["relative_error"] for found in row["certificates"])
        print(
            f"{row['data']}: {row['length']} ridges, {row['points']} points (at most {row['at_most']}), error at them "
            f"{worst:.1e}, between {row['largest_between']:.1e}",
            flush=True,
        )
    return rows


def draw(rows: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    """Draw the error on the grid and at the ridges of each list."""
    figure, (axis,) = pictures.chart(1, width=6.4, height=3.8)
    for index, row in enumerate(rows):
        ridges, grid = np.asarray(row["ridges"]), np.asarray(row["grid"])
        label = f"{row['length']} ridges, {row['points']} points"
        axis.loglog(grid, row["errors"], "-", color=f"C{index}", lw=1.2, label=label)
        at = [found["relative_error"] for found in row["certificates"]]
        axis.loglog(ridges, at, pictures.MARKERS[index], color=f"C{index}", ms=4)
    axis.set(
        xlabel="ridge, of the data and of the set",
        ylabel="relative error of W",
        title=f"{rows[0]['data']}, linear map: dots at the ridges of the list, lines on a grid",
    )
    axis.title.set_fontsize(9)
    figure.legend(loc="outside lower center", ncols=len(rows), fontsize=7)
    return pictures.save(figure, options.pictures / pictures.file_name("ridge list", rows[0]["data"]))


def main() -> None:
    """Measure and draw every data set."""
    options = records.options(__doc__ or "")
    lengths = LENGTHS[:2] if options.quick else LENGTHS
    rows = records.with_pictures(
        options, lambda name: measure_all(data.load(name, offline=True), seed=options.seed, lengths=lengths), draw
    )
    records.record_part(options, "ridge_list", rows, ("data", "length"))


if __name__ == "__main__":
    main()
