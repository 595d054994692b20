"""How do the stages of a fit scale in n, p and k?

The sums of a stream (one block, added again and again), the eigendecomposition, leave-one-out accuracy at 21 ridges on
at most 2,000 samples, and the weights at one ridge. One size varies, the others stay. The exponent is that of the
seconds over the larger half of the sizes: where a stage is short, its constant cost is what is measured.

Run: python benchmarks/scaling.py [--quick] [--repeats 3]
"""

from __future__ import annotations

import time
from typing import Any

import measurement

STAGES = {"sums": "n p^2", "eigendecomposition": "p^3", "choice": "p^2", "weights": "k p^2"}
SCORED, BLOCK = 2_000, 4_000


def stages(n: int, p: int, k: int) -> dict[str, Any]:
    """Fit once, stage by stage."""
    import numpy as np

    from analytic_dd.linalg import GramStatistics
    from analytic_dd.ridge import leave_one_out_scores, ridge_grid

    rng, rows = np.random.default_rng(0), min(n, BLOCK)
    Phi, Y = rng.standard_normal((rows, p)), np.eye(k)[rng.integers(0, k, rows)]
    GramStatistics(p, k).update(Phi[:256], Y[:256])  # threads are there before the clock starts
    clock = [time.perf_counter()]
    sums = GramStatistics(p, k)
    for start in range(0, n, rows):
        count = min(rows, n - start)
        sums.update(Phi[:count], Y[:count])
    clock.append(time.perf_counter())
    grid = ridge_grid(sums)
    clock.append(time.perf_counter())
    leave_one_out_scores(sums, [(Phi[:SCORED], Y[:SCORED])], grid, scoring="accuracy")
    clock.append(time.perf_counter())
    W = sums.weights(float(grid[-5]))
    clock.append(time.perf_counter())
    found = dict(zip(STAGES, np.diff(clock).tolist(), strict=True))
    left = sums.C - W @ sums.G - float(grid[-5]) * W
    return found | {"seconds": clock[-1] - clock[0], "error": float(np.linalg.norm(left) / np.linalg.norm(sums.C))}


def main() -> None:
    """Measure, print the table, record it."""
    measurement.answer({"stages": stages})
    chosen = measurement.options(__doc__)
    if chosen.quick:
        base, ranges = {"n": 2_000, "p": 64, "k": 3}, {"n": (2_000, 8_000), "p": (32, 128), "k": (2, 20)}
    else:
        base = {"n": 20_000, "p": 512, "k": 10}
        ranges = {"n": (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)}
        ranges |= {"p": (128, 256, 512, 1024, 2048, 4096), "k": (1, 4, 16, 64, 256)}
    points = [(name, base | {name: value}) for name, values in ranges.items() for value in values]
    runs = measurement.alternating(__file__, [("stages", sizes) for _, sizes in points], chosen.repeats)
    rows = []
    for (name, sizes), found in zip(points, runs, strict=True):
        medians = {stage: sorted(run[stage] for run in found)[len(found) // 2] for stage in STAGES}
        rows.append({"varies": name, **sizes, "stages": medians} | measurement.summary(found))
    exponents = {name: _exponents([row for row in rows if row["varies"] == name]) for name in ranges}
    header = ["varies", "n", "p", "k", *(f"{stage} ({cost}), s" for stage, cost in STAGES.items()), "peak MB", "error"]
    cells = [
        [row["varies"], *(row[size] for size in "npk"), *(f"{row['stages'][stage]:.4f}" for stage in STAGES)]
        + [f"{row['megabytes']:.0f}", f"{row['error']:.0e}"]
        for row in rows
    ]
    measurement.show(header, cells)
    for name, found in exponents.items():
        print(f"exponents in {name}: " + ", ".join(f"{stage} {a:.2f} +- {b:.2f}" for stage, (a, b) in found.items()))
    measurement.recorded(chosen, "scaling", rows, exponents=exponents, costs=STAGES)


def _exponents(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    larger = rows[len(rows) // 2 :] if len(rows) > 3 else rows
    sizes = [row[rows[0]["varies"]] for row in larger]
    return {stage: measurement.exponent(sizes, [row["stages"][stage] for row in larger]) for stage in STAGES}


if __name__ == "__main__":
    main()
