"""T19 on real data: a hundred steps of gradient descent on the data, and the same steps on a distilled set.

Linear map, squared loss, steps of 1 / |G|_2 from 0. The complete set of the Krylov space has min(T k, rank) points; the
others have fewer, of which T19d bounds the error. A last row has the end point alone (T19b).

Run: python experiments/trajectories.py [--quick] [--data mnist]
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import records
from scipy.sparse.linalg import eigsh

from analytic_dd import data, trajectory_set
from analytic_dd.distill import end_point_set
from analytic_dd.linalg import GramStatistics
from analytic_dd.model import DatasetSource


def largest(G: np.ndarray) -> float:
    """Return |G|_2."""
    return float(eigsh(G, k=1, v0=np.ones(len(G)), return_eigenvectors=False)[0])


def descent(G: np.ndarray, C: np.ndarray, steps: int) -> list[np.ndarray]:
    """Return W_1 .. W_T of steps of 1 / |G|_2 from 0."""
    eta, W, path = 1.0 / largest(G), np.zeros_like(C), []
    for _ in range(steps):
        W = W - eta * (W @ G - C)
        path.append(W)
    return path


def measure(dataset: data.Dataset, steps: int) -> list[dict[str, Any]]:
    """Return a row for each set: its points, the error of its steps by a plain loop, and the bound."""
    source = DatasetSource(dataset)
    sums = GramStatistics(source.d, source.k)
    for X, Y in source.blocks(4096):
        sums.update(X, Y)
    wanted = descent(sums.G, sums.C, steps)
    eta = 1.0 / largest(sums.G)
    travelled = max(float(np.linalg.norm(W)) for W in wanted)
    rows: list[dict[str, Any]] = []
    for kind, options in (
        ("complete", {}),
        ("a tenth of T k", {"points": steps * source.k // 10}),
        ("to 1e-6", {"tolerance": 1e-6}),
        ("to 1e-2", {"tolerance": 1e-2}),
    ):
        started = time.perf_counter()
        built = trajectory_set(sums, steps, **options)  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
        W, error = np.zeros_like(sums.C), 0.0
        for there in wanted:
            W = W - eta * (built.features @ W.T - built.labels).T @ built.features
            error = max(error, float(np.linalg.norm(W - there)))
        row = {"data": dataset.name, "kind": kind, "steps": steps, "points": len(built), "at_most": steps * source.k}
        row |= {"error": error / travelled, "measured": built.relative_error, "bound": built.bound, "seconds": seconds}
        rows.append(row | {"theorem": built.theorem})
    ends = end_point_set(np.zeros_like(sums.C), wanted[-1], step=0.5, steps=3)
    W = np.zeros_like(sums.C)
    for _ in range(3):
        W = W - 0.5 * (ends.features @ W.T - ends.labels).T @ ends.features
    row = {
        "data": dataset.name,
        "kind": "the end alone, in 3 steps",
        "steps": 3,
        "points": len(ends),
        "theorem": "T19b",
    }
    error = float(np.linalg.norm(W - wanted[-1])) / travelled
    return [*rows, row | {"at_most": source.k, "error": error, "measured": error, "bound": 0.0, "seconds": 0.0}]


def main() -> None:
    """Measure every data set and record the rows."""
    options = records.options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    for name in options.names:
        rows += measure(data.load(name, offline=True), 20 if options.quick else 100)
    for row in rows:
        print(
            f"{row['data']}, {row['kind']}: {row['points']} points, error {row['error']:.1e}, bound {row['bound']:.1e}"
        )
    records.record_part(options, "trajectories", rows, ("data", "kind"))


if __name__ == "__main__":
    main()
