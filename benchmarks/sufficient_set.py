"""How much more than one Gram product does the smallest set for every penalty cost (T25)?

``Phi^T Phi`` alone and ``sufficient_set`` with an intercept alternate in one process on the same samples; medians of
the seconds of the processor count, since other programs disturb the wall clock.

Run: python benchmarks/sufficient_set.py [--quick] [--repeats 3]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import measurement

SIZES = ((1_000_000, 200), (1_000_000, 100))


def cpu_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of the processor that an action takes, and what it returns."""
    started = time.process_time()
    found = action()
    return time.process_time() - started, found


def beside_the_product(n: int, p: int, repeats: int) -> dict[str, Any]:
    """Return the medians of both, their ratio, and how far the sums of the set are from those of the data."""
    import numpy as np

    from analytic_dd import sufficient_set

    rng = np.random.default_rng(0)
    Phi, y = rng.standard_normal((n, p)), rng.standard_normal((n, 1))
    product, whole = [], []
    for _ in range(repeats + 1):  # the first round wakes threads and memory
        seconds, G = cpu_seconds(lambda: Phi.T @ Phi)
        product.append(seconds)
        seconds, built = cpu_seconds(lambda: sufficient_set(Phi, y, intercept=True))
        whole.append(seconds)
    kept = (built.weights[:, None] * built.features).T @ built.features
    medians = [statistics.median(each[1:]) for each in (product, whole)]
    row = {"n": n, "p": p, "points": len(built), "product": medians[0], "set": medians[1]}
    row["ratio"] = statistics.median(b / a for a, b in zip(product[1:], whole[1:], strict=True))
    return row | {"error": float(np.linalg.norm(kept - G) / np.linalg.norm(G))}


def main() -> None:
    """Measure every size, print it, record it."""
    chosen = measurement.options(__doc__)
    rows = []
    for n, p in [(20_000, 20)] if chosen.quick else SIZES:
        rows.append(beside_the_product(n, p, chosen.repeats))
        print(
            "n = {n:,}, p = {p}: {set:.2f} s against {product:.2f} s, ratio {ratio:.2f}".format(**rows[-1]), flush=True
        )
    measurement.recorded(chosen, "sufficient_set", rows)


if __name__ == "__main__":
    main()
