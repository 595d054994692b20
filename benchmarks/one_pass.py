"""Does the whole distillation cost one pass? Its time over that of its necessary parts, and its memory, in one run.

Parts, each alone: reading the data, one float64 ``X.T @ X``, one ``eigh`` of that size. Peer: scikit-learn's Ridge at
the ridge that leave-one-out chose. Every measurement is a process of its own, so that the peak memory is its own; the
measurements alternate, and the medians count.

Run: python benchmarks/one_pass.py [--quick] [--repeats 3] [--data mnist cifar10]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))


def whole(name: str, ridge: float) -> dict[str, Any]:
    """Read, fit with leave-one-out, distil, certify, store."""
    import numpy as np

    from analytic_dd import data
    from analytic_dd.distill.pipeline import Stages, distill_model, fit_original
    from analytic_dd.distill.recipe import Recipe
    from analytic_dd.features import Identity
    from analytic_dd.io import save_distilled
    from analytic_dd.report import assemble

    stages = Stages()
    started = time.perf_counter()
    with stages("reading"):
        dataset = data.load(name, offline=True)
    model = fit_original(dataset, Identity(dataset.d), rng=np.random.default_rng(0), stages=stages)
    result = distill_model(model, Recipe(), rng=np.random.default_rng(0), stages=stages)
    stored = assemble(dataset, model, result, Recipe(), seed=0, stages=stages, dtype=np.float64)
    with tempfile.TemporaryDirectory() as folder:
        save_distilled(Path(folder) / "distilled.npz", stored)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "ridge": model.ridge,
        "stages": stages.seconds,
        "error": stored.meta["certificate"]["relative_error"],
    }


def _inputs(name: str) -> Any:
    """The training inputs in float64, whole, as a direct computation would hold them; and the seconds of reading."""
    import numpy as np

    from analytic_dd import data

    started = time.perf_counter()
    dataset = data.load(name, offline=True)
    reading = time.perf_counter() - started
    mean, std = dataset.statistics()
    X = np.empty((len(dataset.y_train), dataset.d))
    row = 0
    for block, _ in dataset.blocks("train", mean=mean, std=std):
        X[row : row + len(block)] = block
        row += len(block)
    return X, dataset, reading


def parts(name: str, ridge: float) -> dict[str, Any]:
    """Reading, one ``X.T @ X``, one ``eigh``: each timed alone."""
    import numpy as np

    X, _, reading = _inputs(name)
    started = time.perf_counter()
    G = X.T @ X
    product = time.perf_counter() - started
    del X
    started = time.perf_counter()
    np.linalg.eigh(G)
    eigh = time.perf_counter() - started
    return {"seconds": reading + product + eigh, "reading": reading, "product": product, "eigh": eigh}


def sklearn_ridge(name: str, ridge: float) -> dict[str, Any]:
    """Reading and scikit-learn's Ridge at the one ridge that was chosen."""
    from sklearn.linear_model import Ridge

    from analytic_dd.labels import one_hot

    X, dataset, reading = _inputs(name)
    Y = one_hot(dataset.y_train, len(dataset.classes))
    started = time.perf_counter()
    Ridge(alpha=ridge, fit_intercept=False, copy_X=False).fit(X, Y)
    fit = time.perf_counter() - started
    return {"seconds": reading + fit, "reading": reading, "fit": fit}


_MEASUREMENTS = {"whole": whole, "parts": parts, "sklearn_ridge": sklearn_ridge}


def _in_own_process(measurement: str, name: str, ridge: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", measurement, "--data", name, "--ridge", repr(ridge)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{measurement} on {name} failed: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(name: str, repeats: int) -> dict[str, Any]:
    """Run all measurements alternately and return the medians."""
    runs: dict[str, list[dict[str, Any]]] = {key: [] for key in _MEASUREMENTS}
    ridge = 0.0
    for _ in range(repeats):
        for key in _MEASUREMENTS:
            runs[key].append(_in_own_process(key, name, ridge))
            ridge = runs["whole"][0]["ridge"]
    seconds = {key: statistics.median(run["seconds"] for run in found) for key, found in runs.items()}
    return {
        "data": name,
        "ridge": ridge,
        "repeats": repeats,
        "seconds": seconds,
        "ratio": seconds["whole"] / seconds["parts"],
        "peak_megabytes": {key: max(run["megabytes"] for run in found) for key, found in runs.items()},
        "error": max(run["error"] for run in runs["whole"]),
        "runs": runs,
    }


def main() -> None:
    """Measure, print the table, record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="digits only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=["mnist", "cifar10"])
    parser.add_argument("--measure", choices=_MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--ridge", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        found = _MEASUREMENTS[options.measure](options.data[0], options.ridge)
        found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    import records

    rows = [compare(name, options.repeats) for name in (["digits"] if options.quick else options.data)]
    print(f"{'data':<10} {'whole s':>8} {'parts s':>8} {'ratio':>6} {'MB':>6}   scikit-learn Ridge: s, MB   error of W")
    for row in rows:
        seconds, memory = row["seconds"], row["peak_megabytes"]
        print(
            f"{row['data']:<10} {seconds['whole']:>8.2f} {seconds['parts']:>8.2f} {row['ratio']:>6.2f} "
            f"{memory['whole']:>6.0f}   {seconds['sklearn_ridge']:>10.2f} s {memory['sklearn_ridge']:>6.0f} MB"
            f"     {row['error']:.1e}"
        )
    name = "one_pass_quick.json" if options.quick else "one_pass.json"
    records.record(Path(__file__).parent / "results" / name, rows)


if __name__ == "__main__":
    main()
