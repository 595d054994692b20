"""From host memory to distilled inputs with torch on a device: seconds by stage, and the fraction of its rate.

Bytes go to the device as they are (pinned blocks in turn) and are normalised there; features, sums, eigendecomposition,
leave-one-out and weights follow there, one point a class (T2), pre-images and the certificate on the host.
Everything is float64; a stage of blocks ends when the device has done it.
Rates are those of one large product there; ``--peak-tflops`` adds the nominal peak.

Run: python benchmarks/distill_gpu.py [--quick] [--device cuda] [--data cifar10] [--features fcnn] [--repeats 3]
"""

from __future__ import annotations

import time
from typing import Any

import measurement


def rate_of_products(device: str, size: int) -> float:
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
    """Fit, distil one point a class and certify, as ``analytic-dd distill --device`` does."""
    import numpy as np
    import torch

    from analytic_dd.clock import Clock
    from analytic_dd.data import load
    from analytic_dd.distill import Exact
    from analytic_dd.model import DatasetSource, Distillation, FitOptions, build_map, distil_model, fit_source
    from analytic_dd.report import distilled_set

    rate = rate_of_products(device, size)  # the context, threads and libraries are there before the clock starts
    # "cpu" would be numpy, which knows a symmetric product; "cpu:0" is torch there
    place = "cpu:0" if device == "cpu" else device
    clock = Clock()
    with clock("reading"):
        dataset = load(data, offline=True)
    with clock("map"):
        source = DatasetSource(dataset)
        phi = build_map(features, source, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    options, construction = FitOptions(device=place), Exact()
    model = fit_source(source, phi, options, rng=rng, clock=clock)
    result = distil_model(model, construction, rng=rng, clock=clock)
    stored = distilled_set(Distillation(source, model, construction, result), options, seed=0, clock=clock)
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None
    gram = model.statistics.n * float(phi.p) ** 2
    return {
        "seconds": sum(clock.seconds.values()),
        "stages": clock.seconds,
        "ridge": model.ridge,
        "error": stored.meta["certificate"]["relative_error"],
        "n": model.statistics.n,
        "p": phi.p,
        "device_megabytes": peak,
        "gemm_flops_per_second": rate,
        # F^T F is a general product for torch: it does 2 n p^2 flops where a symmetric one would do n p^2
        "product_fraction_of_gemm": 2.0 * gram / clock.seconds["gram"] / rate,
        "product_flops_per_second": 2.0 * gram / clock.seconds["gram"],
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
