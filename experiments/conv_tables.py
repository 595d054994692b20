"""Tables of what convolutional kernels cost and of the runs with them, from their recorded rows; used by ``tables``."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import records
from records import again, by_name, markdown, source

PATH = "experiments/results/conv_kernels.json"
PUBLISHED = "convnet 3"
TARGETS, TRAINING = 5_000, 50_000  # of a step, and of Label Solve
SIDES = ((32, 7), (32, 7), (16, 3), (8, 1))  # pixels of a side and radius at the convolutions of the published network
PASSES = 230  # reads and writes of a number for a pair of pixels at a convolution: kernel, then kernel and gradient
BANDWIDTH = 1.5e12  # bytes a second of a data-centre GPU, which elementwise operations wait for

Row = Mapping[str, Any]


def _rows(part: str) -> list[Row]:
    run = records.read(records.RESULTS / "conv_kernels.json")
    return [row for row in run["rows"] if row["part"] == part]


def _source() -> str:
    return source(records.read(records.RESULTS / "conv_kernels.json"), PATH)


def exponent(rows: Sequence[Row], name: str) -> float:
    """Return the slope of log seconds against log pixels."""
    pixels = [2.0 * math.log(row["size"]) for row in rows]
    return float(np.polyfit(pixels, [math.log(row[name]) for row in rows], 1)[0])


def conv_cost() -> str:
    """Milliseconds of a pair of images by pixels and network, and the power of the pixels that they grow with."""
    found = _rows("cost")
    rows = []
    for row in sorted(found, key=lambda row: (row["case"], row["size"])):
        pixels, kept = row["size"] ** 2, row["pairs_of_pixels"]
        same = [one for one in found if one["case"] == row["case"]]
        powers = [f"{exponent(same, name):.2f}" for name in ("forward", "gradient")]
        rows.append([row["case"], f"{row['size']} x {row['size']}", f"{kept:,}", f"{pixels**2:,}"])
        rows[-1] += [f"{1000.0 * row[name]:.2f}" for name in ("forward", "gradient")] + [", ".join(powers)]
    header = ["network", "pixels", "pairs of pixels kept", "all pairs", "kernel, ms", "gradient, ms"]
    header.append("power of the pixels: kernel, gradient")
    return markdown(header, rows) + again("experiments/conv_kernels.py --part cost") + _source()


def conv_projection() -> str:
    """Core and GPU hours of published sizes at 32 x 32 by the measured seconds of a pair."""
    (pair,) = (row for row in _rows("cost") if row["case"] == PUBLISHED and row["size"] == 32)
    rows = []
    numbers = sum(((2 * radius + 1) * size - radius * (radius + 1)) ** 2 for size, radius in SIDES)
    on_gpu = 8.0 * PASSES * numbers / BANDWIDTH / 3600.0
    for m in (10, 100, 500):
        entries = TARGETS * m + m * (m + 1) // 2
        step = entries * (pair["forward"] + pair["gradient"]) / 3600.0
        labels = (TRAINING * m + m * (m + 1) // 2) * pair["forward"] / 3600.0
        rows.append([m, f"{entries:,}", f"{step:.3g}", f"{1000.0 * step:,.0f}", f"{1000.0 * on_gpu * entries:,.1f}"])
        rows[-1].append(f"{labels:.3g}")
    header = ["images", f"pairs in a step ({TARGETS:,} targets)", "core hours of a step", "of 1,000 steps"]
    header += ["GPU hours of 1,000 steps"]
    again_by = again("experiments/conv_kernels.py --part cost --size 32")
    return markdown([*header, f"core hours of Label Solve ({TRAINING:,} targets)"], rows) + again_by + _source()


def conv_runs() -> str:
    """Accuracy of kernel ridge regression on ten real images, and on those that were distilled."""
    rows = []
    for row in (*_rows("label-solve"), *_rows("kip")):
        name = f"{row['part']}, {row['size']} x {row['size']}"
        rows.append([name, row["targets"], row["steps"], row["tests"]])
        rows[-1] += [f"{100.0 * row[when]:.1f}" for when in ("before", "after")]
        rows[-1] += [f"{row['first_loss']:.5f}", f"{row['last_loss']:.5f}", f"{row['cpu_seconds']:.0f}"]
    header = [
        "method",
        "targets",
        "steps",
        "test images",
        "ten real images, %",
        "distilled, %",
        "first loss",
        "last loss",
    ]
    return markdown([*header, "CPU s"], rows) + _source()


def conv_workers() -> str:
    """Seconds of a gradient by one and by two workers, medians of the rounds, and the load before them."""
    rows = []
    for row in _rows("workers"):
        (one,) = (other for other in _rows("workers") if (other["size"], other["case"]) == (row["size"], "1"))
        wall = statistics.median(a / b for a, b in zip(one["wall"], row["wall"], strict=True))
        busiest = statistics.median(a / b for a, b in zip(one["busiest"], row["busiest"], strict=True))
        rows.append([f"{row['case']}, {row['size']} x {row['size']}", len(row["wall"])])
        rows[-1] += [f"{statistics.median(row[name]):.2f}" for name in ("wall", "cpu", "busiest")]
        rows[-1] += [f"{wall:.2f}", f"{busiest:.2f}", f"{min(row['load']):.1f} to {max(row['load']):.1f}"]
        rows[-1] += ["yes" if row["same_bits"] else "no"]
    header = ["workers, images", "rounds", "wall s", "CPU s", "CPU s of the busiest worker", "speed-up, wall"]
    header += ["speed-up, busiest worker", "load before", "same bits"]
    command = again("experiments/conv_kernels.py --part workers --size SIZE")
    return markdown(header, rows) + command + _source()


TABLES = by_name(conv_cost, conv_projection, conv_runs, conv_workers)
