"""From host memory to distilled inputs with torch on a device: seconds by stage, and the fraction of its rate.

Bytes go to the device as they are (pinned blocks in turn) and are normalised there; features, sums, eigendecomposition,
leave-one-out, weights, one point a class (T2), pre-images and the certificate follow, all in float64. A stage ends when
the device has done it. Rates are those of one large product there; ``--peak-tflops`` adds the nominal peak.

Run: python benchmarks/distill_gpu.py [--quick] [--device cuda] [--data cifar10] [--features fcnn] [--repeats 3]
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import measurement

ROWS, SCORED = 8192, 10_000


def gemm_rate(device: str, size: int) -> float:
    """Return the flops a second of a float64 product of squares, the better of five."""
    import torch

    A = torch.randn((size, size), dtype=torch.float64, device=device)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        A @ A
        wait(device)
        best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def wait(device: str) -> None:
    """Wait until the device has done what it was told."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def distill(data: str, features: str, device: str, size: int) -> dict[str, Any]:
    """Fit, distil one point a class and certify; everything after reading on the device."""
    import numpy as np
    import torch

    from analytic_dd import certify_recovery, distill_features
    from analytic_dd.data import load
    from analytic_dd.data.device_blocks import device_blocks
    from analytic_dd.linalg import GramStatistics
    from analytic_dd.report import build_map
    from analytic_dd.ridge import leave_one_out_scores, ridge_grid
    from analytic_dd.ridge.choice import choose

    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        wait(device)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

    rate = gemm_rate(device, size)  # the context, threads and libraries are there before the clock starts
    with stage("reading"):
        dataset = load(data, offline=True)
    with stage("map"):
        mean, std = dataset.statistics()
        phi = build_map(features, dataset, (mean, std), rng=np.random.default_rng(0))
    k, n = len(dataset.classes), len(dataset.y_train)
    eye = torch.eye(k, dtype=torch.float64, device=device)

    def blocks(order: Any = None) -> Iterator[tuple[Any, Any]]:
        source = device_blocks(
            dataset.x_train, dataset.y_train, rows=ROWS, mean=mean, std=std, device=device, order=order
        )
        while True:
            with stage("to the device"):
                block = next(source, None)
            if block is None:
                return
            with stage("features"):
                Phi = phi(block[0])
            yield Phi, eye[block[1]]

    sums = GramStatistics(phi.p, k)
    for Phi, Y in blocks():
        with stage("gram"):
            sums.update(Phi, Y)
    with stage("eigendecomposition"):
        grid = ridge_grid(sums)
    order = np.sort(np.random.default_rng(0).permutation(n)[:SCORED])
    scored = list(blocks(order))
    with stage("choice"):
        scores, count = leave_one_out_scores(sums, scored, grid, scoring="accuracy")
        ridge = choose(grid, scores, criterion="loo", scoring="accuracy", samples=count).ridge
    with stage("weights"):
        W = sums.weights(ridge)
    with stage("construction"):
        built = distill_features(W, eye)
    with stage("preimage"):
        scale = phi.scale_into_range(built.features)
        X = phi.preimage(scale * built.features)
    with stage("certificate"):
        error = certify_recovery(W, phi(X), scale * eye, ridge=0.0).relative_error
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None
    gram = n * float(phi.p) ** 2
    return {
        "seconds": sum(seconds.values()),
        "stages": seconds,
        "ridge": ridge,
        "error": float(error),
        "n": n,
        "p": phi.p,
        "device_megabytes": peak,
        "gemm_flops_per_second": rate,
        # F^T F is a general product for torch: it does 2 n p^2 flops where a symmetric one would do n p^2
        "product_fraction_of_gemm": 2.0 * gram / seconds["gram"] / rate,
        "product_flops_per_second": 2.0 * gram / seconds["gram"],
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
    }


def main() -> None:
    """Measure, print the table, record it."""
    measurement.answer({"distill": distill})
    chosen = measurement.options(
        __doc__,
        device={"default": "cpu"},
        data={"default": "cifar10"},
        features={"nargs": "+", "default": ["fcnn"]},
        size={"type": int, "help": "of the squares whose product gives the rate (8192; 512 with --quick)"},
        peak_tflops={"type": float, "help": "nominal float64 peak of the device"},
    )
    data = "digits" if chosen.quick else chosen.data
    size = chosen.size or (512 if chosen.quick else 8192)
    cases = [
        ("distill", {"data": data, "features": features, "device": chosen.device, "size": size})
        for features in chosen.features
    ]
    rows = []
    for (_, arguments), runs in zip(cases, measurement.alternating(__file__, cases, chosen.repeats), strict=True):
        middle = sorted(runs, key=lambda run: float(run["seconds"]))[len(runs) // 2]
        row = {"data": data, "features": arguments["features"]} | middle | measurement.summary(runs)
        peak = chosen.peak_tflops
        row["product_fraction_of_peak"] = None if peak is None else row["product_flops_per_second"] / (peak * 1e12)
        rows.append(row)
    for row in rows:
        print(
            f"{row['data']}, {row['features']}, {row['device']}: {row['seconds']:.2f} s, error of W {row['error']:.1e}"
        )
        print("  " + ", ".join(f"{name} {value:.3f}" for name, value in row["stages"].items()))
        fraction, peak = row["product_fraction_of_gemm"], row["product_fraction_of_peak"]
        print(f"  product at {fraction:.2f} of the measured rate {row['gemm_flops_per_second'] / 1e12:.3g} Tflop/s")
        if peak is not None:
            print(f"  and at {peak:.2f} of the nominal peak")
    stem = "distill_gpu" if chosen.device.startswith("cuda") else "distill_cpu"
    measurement.recorded(chosen, stem, rows, peak_tflops=chosen.peak_tflops)


if __name__ == "__main__":
    main()
