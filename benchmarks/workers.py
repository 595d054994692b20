"""Do two Dask workers sum a stream faster than one, in bounded memory each, to the same weights?

Bytes in npy files are summed with a fully connected map by ``dask_statistics`` on a cluster of this machine (loopback),
one BLAS thread a worker, beside the same tasks in one process without Dask. Seconds leave out the start of the cluster;
the peak is that of a worker. The difference is that of W from the single run, over cond_eff^2 at that ridge.

Run: python benchmarks/workers.py [--quick] [--repeats 3]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import measurement

K, SCALE = 10, ((127.5,), (73.9,))


def make_files(folder: str, *, n: int, d: int) -> None:
    """Write x.npy (n, d) bytes and y.npy (n,) classes, a block at a time."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(f"{folder}/x.npy", mode="w+", dtype=np.uint8, shape=(n, d))
    for start in range(0, n, 10_000):
        rows = min(10_000, n - start)
        x[start : start + rows] = np.frombuffer(rng.bytes(rows * d), np.uint8).reshape(rows, d)
    x.flush()
    np.save(f"{folder}/y.npy", rng.integers(0, K, n))


def tasks(folder: str, p: int, count: int) -> list[Any]:
    """Return the tasks; the first use of the map is not theirs."""
    import numpy as np

    from analytic_dd.cluster import ArraySource, shard_tasks
    from analytic_dd.features import FullyConnected

    source = ArraySource(f"{folder}/x.npy", f"{folder}/y.npy", name="bytes", sha256="made")
    d = int(source.open()[0].shape[1])
    mean, std = (np.asarray(v) for v in SCALE)
    return shard_tasks(
        source, FullyConnected([d, p], rng=np.random.default_rng(0)), count=count, k=K, mean=mean, std=std
    )


def keep_weights(folder: str, name: str, sums: Any) -> dict[str, Any]:
    """Store the weights of the single run, or return how far these are from them."""
    import numpy as np

    values = sums.spectrum().values
    ridge = 1e-6 * float(values[0])
    W, stored = sums.weights(ridge), Path(folder) / "single.npy"
    if name == "single":
        np.save(stored, W)
    wanted = np.load(stored)
    amplification = (float(values[0]) + ridge) / (float(values[-1]) + ridge)
    error = float(np.linalg.norm(W - wanted) / np.linalg.norm(wanted))
    return {"error": error, "error_over_conditioning": error / amplification}


def single(folder: str, p: int) -> dict[str, Any]:
    """Sum in this process, with one BLAS thread."""
    task = tasks(folder, p, 1)[0]
    began = time.perf_counter()
    sums = task.statistics()
    seconds = time.perf_counter() - began
    peak = measurement.peak_megabytes()
    return {"seconds": seconds, "worker_megabytes": peak} | keep_weights(folder, "single", sums)


def dask(folder: str, p: int, workers: int) -> dict[str, Any]:
    """Sum with as many workers, one task each."""
    import dask as library
    from distributed import Client, LocalCluster

    from analytic_dd.cluster import dask_statistics

    settings = {"distributed.comm.timeouts.connect": "60s", "distributed.worker.memory.spill": False}
    local = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
    with (
        library.config.set(settings),
        LocalCluster(n_workers=workers, silence_logs=50, **local) as cluster,
        Client(cluster) as client,
    ):
        client.run(_import_all)
        began = time.perf_counter()
        sums = dask_statistics(tasks(folder, p, workers), client)
        seconds = time.perf_counter() - began
        peak = max(client.run(measurement.peak_megabytes).values())
    return {"seconds": seconds, "worker_megabytes": peak} | keep_weights(folder, "dask", sums)


def _import_all() -> None:
    import analytic_dd.cluster  # noqa: F401


def main() -> None:
    """Measure, print the table, record it."""
    measurement.answer({"single": single, "dask": dask})
    chosen = measurement.options(__doc__)
    sizes = [(4_000, 64, 48)] if chosen.quick else [(60_000, 784, 784), (600_000, 784, 784), (50_000, 3072, 3072)]
    rows = []
    for n, d, p in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_files(folder, n=n, d=d)
            base = {"folder": folder, "p": p}
            cases = [("single", base), *(("dask", base | {"workers": count}) for count in (1, 2))]
            runs = measurement.alternating(__file__, cases, chosen.repeats)
        for (name, arguments), found in zip(cases, runs, strict=True):
            row = {"n": n, "d": d, "p": p, "run": name, "workers": arguments.get("workers", 0)}
            worst = {key: max(run[key] for run in found) for key in ("worker_megabytes", "error_over_conditioning")}
            rows.append(row | measurement.summary(found) | worst)
    show(rows)
    measurement.recorded(chosen, "workers", rows)


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    cells = [
        [f"{row['n']:,} x {row['p']}", f"{row['run']} {row['workers'] or ''}".strip(), f"{row['seconds']:.2f}"]
        + [f"{row['worker_megabytes']:.0f}", f"{row['error']:.1e}", f"{row['error_over_conditioning']:.1e}"]
        for row in rows
    ]
    measurement.show(["n x p", "run", "seconds", "peak MB a worker", "W from single", "over conditioning"], cells)


if __name__ == "__main__":
    main()
