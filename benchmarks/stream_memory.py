"""Is the peak memory of a stream constant in n, and its time linear?

A synthetic stream of bytes with labels that are an exact linear function of them is summed a block at a time by
``accumulate``; nothing but a block is ever held. The exponent is that of the seconds of the pass over n: the solution
afterwards, whose cost has no n in it, is timed apart. The error is that of W at ridge 0 against the weights that made
the labels.

Run: python benchmarks/stream_memory.py [--quick] [--repeats 3]
"""

from __future__ import annotations

import time
from typing import Any

import measurement

K = 10


def stream(n: int, p: int, rows: int) -> dict[str, Any]:
    """Sum n samples of p features, then solve."""
    import numpy as np

    from analytic_dd.linalg import GramStatistics, accumulate

    W = np.random.default_rng(0).standard_normal((K, p))
    made = 0.0

    def read(start: int, stop: int) -> tuple[Any, Any]:
        nonlocal made
        began = time.perf_counter()
        raw = np.random.default_rng([1, start]).bytes((stop - start) * p)
        X = np.frombuffer(raw, np.uint8).reshape(stop - start, p).astype(np.float64)
        X -= 127.5
        X /= 73.9
        Y = X @ W.T
        made += time.perf_counter() - began
        return X, Y

    accumulate(GramStatistics(p, K), read, stop=rows, rows=rows)  # threads and pages are there before the clock starts
    made, began = 0.0, time.perf_counter()
    sums = accumulate(GramStatistics(p, K), read, stop=n, rows=rows)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    found = sums.weights(0.0)
    solve = time.perf_counter() - began
    error = float(np.linalg.norm(found - W) / np.linalg.norm(W))
    return {"seconds": seconds, "of_which_making_data": made, "solve": solve, "error": error}


def main() -> None:
    """Measure, print the table, record it."""
    measurement.answer({"stream": stream})
    chosen = measurement.options(__doc__)
    p, rows = (96, 1000) if chosen.quick else (784, 5000)
    sizes = [5_000, 50_000, 200_000] if chosen.quick else [10_000, 30_000, 100_000, 200_000, 600_000, 2_000_000]
    cases = [("stream", {"n": n, "p": p, "rows": rows}) for n in sizes]
    runs = measurement.alternating(__file__, cases, chosen.repeats)
    found = [{"n": n, "p": p, "k": K} | measurement.summary(case) for n, case in zip(sizes, runs, strict=True)]
    for row, case in zip(found, runs, strict=True):
        row |= {name: sorted(run[name] for run in case)[len(case) // 2] for name in ("of_which_making_data", "solve")}
    slope, error = measurement.exponent(sizes, [row["seconds"] for row in found])
    growth = found[-1]["megabytes"] / found[-2 if chosen.quick else 3]["megabytes"]
    measurement.show(
        ["n", "seconds", "of which making data", "solve, s", "peak MB", "error of W"],
        [
            [f"{row['n']:,}", f"{row['seconds']:.3f}", f"{row['of_which_making_data']:.3f}", f"{row['solve']:.3f}"]
            + [f"{row['megabytes']:.1f}", f"{row['error']:.1e}"]
            for row in found
        ],
    )
    print(
        f"exponent of the seconds over n: {slope:.3f} +- {error:.3f}; peak memory of the last over n / 10: {growth:.3f}"
    )
    facts = {"exponent": slope, "exponent_error": error, "peak_growth": growth, "rows_a_block": rows}
    measurement.recorded(chosen, "stream_memory", found, **facts)


if __name__ == "__main__":
    main()
