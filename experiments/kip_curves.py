"""Accuracy of KIP against seconds, on a log scale, with the closed form as a star."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from pictures import MARKERS

from analytic_dd.files import atomic_write


def draw(rows: Sequence[Mapping[str, Any]], path: Path, order: Sequence[str]) -> None:
    """Draw a panel for each data set, map and IPC; colours by the place of a variant in ``order``."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FormatStrFormatter, NullFormatter

    shown = [row for row in rows if row["predictor"] == "finite-feature KRR"]
    panels = sorted(
        {(row["data"], row["features"], row["ipc"]) for row in shown}, key=lambda one: (one[0] != "MNIST", one)
    )
    columns = min(3, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.4 * columns, 3.4 * lines), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        found = [row for row in shown if (row["data"], row["features"], row["ipc"]) == panel]
        for row in found:
            at = np.array(row["checkpoints"])
            place = order.index(row["variant"])
            axis.semilogx(
                *(at[:, 0], 100 * at[:, 2], f"{MARKERS[place]}-"),
                color=f"C{place}",
                label=f"KIP, labels {row['variant']}",
                ms=4,
            )
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        first = found[0]
        where = first["closed_form_seconds"], 100 * first["closed_form_accuracy"]
        axis.axhline(where[1], color="black", lw=0.8, ls="--")
        axis.plot(*where, marker="*", ms=13, ls="", color="black", label="closed form")
        axis.set_title(f"{panel[0]}, {panel[1]}, {panel[2]} a class", fontsize=10)
        axis.set_xlabel("seconds")
        axis.set_ylabel("test accuracy, %")
    axes.flat[0].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    print(f"wrote {os.path.relpath(path)}")
