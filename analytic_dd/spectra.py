"""The picture of singular values: of the weights, and of the features of the set that carries them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.errors import shown
from analytic_dd.linalg import singular_values
from analytic_dd.sheet import DPI, drawable, own_style, save

__all__ = ["draw_spectrum"]


@own_style()
def draw_spectrum(distilled: Any, path: Path) -> None:
    """Write the singular values of the weights and of the distilled features up to their ranks, on a log scale.

    The features of a model with an intercept are taken about their mean, as the model sees them. The title has the
    condition of the certificate, whose ridge damps the smallest values. Weights are those of the first ridge.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.0, 3.5), layout="constrained", dpi=DPI)
    axis = figure.subplots()
    for (label, (matrix, size)), marker in zip(_spectra(distilled).items(), "ox", strict=True):
        values = np.asarray(singular_values(matrix))
        kept = values[values > max(matrix.shape) * np.finfo(float).eps * max(values[0], size)]
        label = f"{label}, rank {len(kept)}" + (f" of {len(values)}" if len(kept) < len(values) else "")
        axis.semilogy(np.arange(1, len(kept) + 1), kept, marker, label=label, ms=4)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("index")
    axis.set_ylabel("singular value")
    found = distilled.certify()
    name = shown(distilled.meta["data"]["name"])
    title = f"{name}: condition of the features {found.condition:.2g} at ridge {found.ridge:.3g}"
    axis.set_title(drawable(title), fontsize=9, parse_math=False)
    axis.legend(fontsize=8)
    save(figure, path)


def _spectra(distilled: Any) -> dict[str, tuple[np.ndarray, float]]:
    """Return the matrices whose singular values are drawn, by their names, and the size of what they were made from."""
    count = len(distilled.ridges)
    weights = "weights W" if count == 1 else f"weights W of ridge {distilled.meta['ridge']:.3g}, the first of {count}"
    Phis = distilled.feature_map(distilled.inputs)
    if distilled.intercept is None:
        return {weights: (distilled.w, 0.0), "distilled features": (Phis, 0.0)}
    centred, size = Phis - Phis.mean(axis=0), float(np.linalg.norm(Phis))  # what centring rounds by
    return {weights: (distilled.w, 0.0), "distilled features about their mean": (centred, size)}
