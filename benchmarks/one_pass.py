"""Does the whole distillation cost one pass? Its time over that of its necessary parts, and its memory, in one run.

Parts, each alone: reading the data, the features, one float64 ``Phi.T @ Phi``, one ``eigh`` of that size. Peer:
scikit-learn's Ridge at the ridge that leave-one-out chose. Every measurement is a process of its own, so that the peak
memory is its own; the measurements alternate, and the medians count. Seconds are CPU seconds of one thread, which other
work on the machine changes less than it changes the time on the wall; that time and the load are recorded too.

``--dtype float32`` maps in float32, as ``analytic-dd distill --dtype float32`` does; sums are float64 either way.

Run: python benchmarks/one_pass.py [--quick] [--repeats 3] [--data mnist cifar10] [--features identity rff fcnn]
     [--dtype float64]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))


def whole(name: str, features: str, dtype: str, ridge: float) -> dict[str, Any]:
    """Read, fit with leave-one-out, distil, certify, store."""
    import numpy as np

    from analytic_dd import data
    from analytic_dd.clock import Clock
    from analytic_dd.distill import Exact
    from analytic_dd.io import save_distilled
    from analytic_dd.model import DatasetSource, Distillation, FitOptions, build_map, distil_model, fit_source
    from analytic_dd.report import distilled_set

    clock = Clock()
    started = time.perf_counter()
    with clock("reading"):
        dataset = data.load(name, offline=True)
    with clock("map"):
        source = DatasetSource(dataset)
        phi = build_map(features, source, rng=np.random.default_rng(0))
    options, construction = FitOptions(dtype=np.dtype(dtype).type), Exact()
    model = fit_source(source, phi, options, rng=np.random.default_rng(0), clock=clock)
    result = distil_model(model, construction, rng=np.random.default_rng(0), clock=clock)
    stored = distilled_set(Distillation(source, model, construction, result), options, seed=0, clock=clock)
    with tempfile.TemporaryDirectory() as folder:
        save_distilled(Path(folder) / "distilled.npz", stored)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "ridge": model.ridge,
        "stages": clock.seconds,
        "error": stored.meta["certificate"]["relative_error"],
    }


def _features(name: str, features: str, dtype: str) -> Any:
    """The training features in float64, whole, as a direct computation would hold them; seconds of reading, mapping."""
    import numpy as np

    from analytic_dd import data
    from analytic_dd.model import DatasetSource, build_map

    started = time.perf_counter()
    dataset = data.load(name, offline=True)
    reading = time.perf_counter() - started
    source = DatasetSource(dataset)
    moments, phi = (source.mean, source.std), build_map(features, source, rng=np.random.default_rng(0))
    Phi, row, mapping = np.empty((len(dataset.y_train), phi.p)), 0, 0.0
    for X, _ in dataset.blocks("train", mean=moments[0], std=moments[1], reuse=True):
        started = time.perf_counter()
        block = phi(X.astype(dtype, copy=False))
        mapping += time.perf_counter() - started
        Phi[row : row + len(X)] = block
        row += len(X)
    return Phi, dataset, reading, mapping


def parts(name: str, features: str, dtype: str, ridge: float) -> dict[str, Any]:
    """Reading, the features, one ``Phi.T @ Phi``, one ``eigh``: each timed alone."""
    import numpy as np

    Phi, _, reading, mapping = _features(name, features, dtype)
    started = time.perf_counter()
    G = Phi.T @ Phi
    product = time.perf_counter() - started
    del Phi
    started = time.perf_counter()
    np.linalg.eigh(G)
    eigh = time.perf_counter() - started
    found = {"reading": reading, "features": mapping, "product": product, "eigh": eigh}
    return found | {"seconds": sum(found.values())}


def sklearn_ridge(name: str, features: str, dtype: str, ridge: float) -> dict[str, Any]:
    """Reading, the features, and scikit-learn's Ridge at the one ridge that was chosen."""
    from sklearn.linear_model import Ridge

    from analytic_dd.labels import one_hot

    Phi, dataset, reading, mapping = _features(name, features, dtype)
    Y = one_hot(dataset.y_train, len(dataset.classes))
    started = time.perf_counter()
    Ridge(alpha=ridge, fit_intercept=False, copy_X=False).fit(Phi, Y)
    fit = time.perf_counter() - started
    return {"seconds": reading + mapping + fit, "reading": reading, "features": mapping, "fit": fit}


_MEASUREMENTS = {"whole": whole, "parts": parts, "sklearn_ridge": sklearn_ridge}


def _in_own_process(measurement: str, name: str, features: str, dtype: str, ridge: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", measurement, "--data", name, "--features", features]
    command += ["--dtype", dtype, "--ridge", repr(ridge)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | one_thread)
    if done.returncode:
        raise RuntimeError(f"{measurement} on {name} failed: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(name: str, features: str, dtype: str, repeats: int) -> dict[str, Any]:
    """Run all measurements alternately and return the medians."""
    runs: dict[str, list[dict[str, Any]]] = {key: [] for key in _MEASUREMENTS}
    ridge, load = 0.0, os.getloadavg()[0]
    for _ in range(repeats):
        for key in _MEASUREMENTS:
            runs[key].append(_in_own_process(key, name, features, dtype, ridge))
            ridge = runs["whole"][0]["ridge"]
    seconds = {key: statistics.median(run["seconds"] for run in found) for key, found in runs.items()}
    return {
        "data": name,
        "features": features,
        "dtype": dtype,
        "ridge": ridge,
        "repeats": repeats,
        "load_before": load,
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
    parser.add_argument("--features", nargs="+", default=["identity"])
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="arithmetic of the map")
    parser.add_argument("--measure", choices=_MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--ridge", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        started = time.monotonic()
        time.perf_counter = time.process_time  # in this process, so that the stages of the package are CPU seconds too
        found = _MEASUREMENTS[options.measure](options.data[0], options.features[0], options.dtype, options.ridge)
        found |= {"process_seconds": time.process_time(), "wall": time.monotonic() - started}
        found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    import records

    names = ["digits"] if options.quick else options.data
    rows = [compare(name, features, options.dtype, options.repeats) for name in names for features in options.features]
    columns = ("whole s", "parts s", "ratio", "MB", "Ridge s", "MB", "error of W")
    print(f"{'data':<8} {'features':<17}" + "".join(f"{name:>10}" for name in columns))
    for row in rows:
        seconds, memory = row["seconds"], row["peak_megabytes"]
        cells = (f"{seconds['whole']:.2f}", f"{seconds['parts']:.2f}", f"{row['ratio']:.2f}", f"{memory['whole']:.0f}")
        peer = (f"{seconds['sklearn_ridge']:.2f}", f"{memory['sklearn_ridge']:.0f}", f"{row['error']:.1e}")
        print(
            f"{row['data']:<8} {row['features'] + ' ' + row['dtype']:<17}"
            + "".join(f"{cell:>10}" for cell in cells + peer)
        )
    path = Path(__file__).parent / "results" / ("one_pass_quick.json" if options.quick else "one_pass.json")
    every = records.with_others(path, rows, ("data", "features", "dtype"))
    records.record(
        path, sorted(every, key=lambda row: [row[key] for key in ("data", "features", "dtype")], reverse=True)
    )


if __name__ == "__main__":
    main()
