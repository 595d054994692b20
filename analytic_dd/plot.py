"""Pictures of distilled sets. Matplotlib is imported when a picture is drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.files import atomic_write
from analytic_dd.io import DistilledSet

__all__ = ["draw_set", "draw_spectrum"]

_MOST = 100  # images in a grid; more would be too small to see


def draw_set(distilled: DistilledSet, path: Path) -> None:
    """Write a labelled grid of the distilled images, with the class means of the original data above it.

    All distilled images share one grey (or colour) scale, which the title states: the 1st to the 99th percentile of
    their pixels. The class means are shown on the scale of the data.

    Parameters
    ----------
    distilled : DistilledSet
    path : Path
        A PNG file, replaced atomically.
    """
    means = distilled.class_means
    k = len(distilled.classes)
    columns = min(10, max(k, 2))
    shown = distilled.x[:_MOST]
    rows_of_means = 0 if means is None else math.ceil(k / columns)
    rows = rows_of_means + math.ceil(len(shown) / columns)
    figure, axes = _grid(rows, columns)
    if means is not None:
        low, high = float(means.min()), float(means.max())
        for axis, image, name in zip(axes.flat, means, distilled.classes, strict=False):
            _show(axis, image, low, high, f"mean {name}")
    low, high = (float(v) for v in np.percentile(shown, [1.0, 99.0]))
    for axis, image, labels in zip(axes[rows_of_means:].flat, shown, distilled.y, strict=False):
        _show(axis, image, low, high, _caption(labels, distilled.classes))
    figure.suptitle(_title(distilled, low, high, len(shown)), fontsize=9)
    _save(figure, path)


def _title(distilled: DistilledSet, low: float, high: float, shown: int) -> str:
    meta = distilled.meta
    count = f"{len(distilled.x)}" if shown == len(distilled.x) else f"the first {shown} of {len(distilled.x)}"
    certificate = meta.get("certificate", {})
    return (
        f"{meta['data']['name']}, {meta['features']['map']} features: class means of the data, then {count} distilled "
        f"points ({meta['labels']} labels, {meta['theorem']}, ridge {distilled.ridge:.3g})\n"
        f"distilled images share the scale {low:.4g} to {high:.4g} in the data's units; "
        f"recovery {certificate.get('relative_error', math.nan):.1e}, {certificate.get('verdict', 'not certified')}"
    )


def _caption(labels: np.ndarray, classes: np.ndarray) -> str:
    """The class of a one-hot row, else the two strongest classes with their values."""
    strongest = np.argsort(-labels)[:2]
    if np.count_nonzero(labels) == 1 or np.allclose(np.delete(labels, strongest[0]), labels[strongest[1]]):
        return f"{classes[strongest[0]]}"
    return ", ".join(f"{classes[i]}: {labels[i]:.2g}" for i in strongest)


def _grid(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # the object interface: no global state, no display

    width = max(1.05 * columns, 8.0)
    figure = Figure(figsize=(width, width / columns * rows * 1.18 + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def _show(axis: Any, image: np.ndarray, low: float, high: float, caption: str) -> None:
    span = high - low if high > low else 1.0
    scaled = np.clip((_as_picture(image) - low) / span, 0.0, 1.0)
    axis.imshow(scaled, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axis.set_title(caption, fontsize=7, pad=2)


def _as_picture(image: np.ndarray) -> np.ndarray:
    """Rows of a square length become squares, other rows a strip."""
    if image.ndim > 1:
        return image
    side = math.isqrt(image.size)
    return image.reshape(side, side) if side * side == image.size else image.reshape(1, -1)


def draw_spectrum(distilled: DistilledSet, path: Path) -> None:
    """Write the singular values of the weights and of the distilled features, on a log scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.5), layout="constrained")
    axis = figure.subplots()
    Phis = distilled.feature_map(distilled.inputs)
    for matrix, label, marker in ((distilled.w, "weights W", "o"), (Phis, "distilled features", "x")):
        values = np.linalg.svd(matrix, compute_uv=False)
        axis.semilogy(
            np.arange(1, len(values) + 1), np.maximum(values, np.finfo(float).tiny), marker, label=label, ms=4
        )
    axis.set_xlabel("index")
    axis.set_ylabel("singular value")
    axis.set_title(
        f"{distilled.meta['data']['name']}: condition {distilled.meta['diagnostics']['condition']:.3g}", fontsize=9
    )
    axis.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=150)
