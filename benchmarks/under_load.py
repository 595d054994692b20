"""What other work on the machine costs a distillation: one busy process a core beside it, over the quiet time.

Quiet and busy runs alternate, and the medians count. A busy process does arithmetic without a pause, so a fair share
of the cores is about half: a ratio of 2 is what the load takes by itself. The goal is at most 2.5. BLAS threads that
wait for each other made it 5 and more (0.1).

Run: python benchmarks/under_load.py [--quick] [--repeats 3] [--data mnist]
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from measurement import answer, measured, options, recorded, show, summary

GOAL = 2.5


def whole(data: str) -> dict[str, Any]:
    """Read, fit with leave-one-out and distil, as ``analytic-dd distill`` does with its defaults."""
    import tempfile

    from analytic_dd import cli

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        status = cli.main(["distill", "--data", data, "--out", f"{folder}/out", "--offline", "--no-picture"])
    if status:
        raise RuntimeError(f"distill --data {data} ended with {status}")
    return {"seconds": time.perf_counter() - started}


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """One process a core that computes and never waits."""
    command = [sys.executable, "-c", "while True: sum(range(100000))"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, print the table, record it."""
    answer({"whole": whole})
    chosen = options(__doc__, data={"nargs": "+", "default": ["mnist"], "help": "data sets"})
    rows, lines = [], []
    for name in ["digits"] if chosen.quick else chosen.data:
        quiet: list[dict[str, Any]] = []
        loaded: list[dict[str, Any]] = []
        before = os.getloadavg()[0]
        for _ in range(chosen.repeats):
            quiet.append(measured(__file__, "whole", data=name))
            with busy():
                loaded.append(measured(__file__, "whole", data=name))
        one, other = summary(quiet), summary(loaded)
        ratio = other["seconds"] / one["seconds"]
        rows.append({"data": name, "quiet": one, "busy": other, "ratio": ratio, "load_before": before})
        lines.append((name, f"{one['seconds']:.2f}", f"{other['seconds']:.2f}", f"{ratio:.2f}", f"{before:.1f}"))
    show(("data", "quiet s", "busy s", "ratio", "load before"), lines)
    recorded(chosen, "under_load", rows, goal=GOAL, busy_processes=os.cpu_count())


if __name__ == "__main__":
    main()
