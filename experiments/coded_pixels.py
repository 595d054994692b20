"""What is left of a set when its pixels are written in 8 or 16 bits, for maps other than the identity.

T24 needs features that are linear in the pixels. For another map the pixels are rounded to a code over their range, and
the labels are kept, or solved again (T4) on the features of the rounded pixels, which is the best that labels can do.
Each row has the error of the refitted W and the decisions on the test part that stay as they were.

Run: python experiments/coded_pixels.py --data digits mnist [--maps cnn]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen
from analytic_dd.io import DistilledSet
from analytic_dd.judge.accuracy import agreement_with_original
from analytic_dd.labels import labels_for
from analytic_dd.ridge import ridge_weights

MAPS = ("identity", "rff", "fcnn", "cnn", "inn", "deep-linear")
MODES = ("exact", "nearest")
BITS = (8, 16)


def coded(stored: DistilledSet, bits: int) -> tuple[np.ndarray, float]:
    """Return the inputs of pixels that were rounded to a code over their range, and its step in the data's units."""
    low, high = float(stored.x.min()), float(stored.x.max())
    step = (high - low) / (2**bits - 1)
    levels = np.rint((stored.x - low) / step)
    channels = (low + step * levels).reshape(-1, len(stored.mean))
    return ((channels - stored.mean) / stored.std).reshape(len(stored.x), -1), step


def refitted(stored: DistilledSet) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the facts of each code and labels, and the weights that a refit has."""
    phi = stored.feature_map
    for bits in BITS:
        inputs, step = coded(stored, bits)
        features = phi(inputs)
        solved = labels_for(features, stored.w, ridge=stored.ridge)
        for kind, labels in (("kept", stored.y), ("solved again", solved)):
            W = np.asarray(ridge_weights(features, np.asarray(labels), ridge=stored.ridge))
            yield {"bits": bits, "labels": kind, "step": step}, W


def measure(dataset: data.Dataset, text: str, *, ipc: int, seed: int) -> list[dict[str, Any]]:
    """Make the sets of a map and measure them."""
    phi = recovery.draw_map(dataset, text, seed=seed)
    model = recovery.fit(dataset, phi, seed=seed, clock=Clock())
    rows, models, zero = [], {}, np.zeros(len(model.weights))
    for mode in MODES:
        stored = recovery.through_a_file(dataset, model, chosen(mode, points_per_class=ipc), seed=seed)
        facts = {"data": dataset.name, "features": text, "mode": mode, "points": len(stored.x), "p": phi.p}
        for found, W in refitted(stored):
            models[f"{len(rows)}"] = (W, zero)
            error = float(np.linalg.norm(W - stored.w) / np.linalg.norm(stored.w))
            rows.append(facts | found | {"error": error, "ridge": stored.ridge})
    kept, _, count = agreement_with_original(dataset, model, models, seed=seed)
    for index, row in enumerate(rows):
        row |= {"decisions_kept": kept[f"{index}"], "decisions": count}
        print(
            f"{dataset.name} {text:<12} {row['mode']:<8} {row['bits']:>2} bits, labels {row['labels']:<12} "
            f"error {row['error']:.1e}  kept {100 * row['decisions_kept']:.2f} %",
            flush=True,
        )
    return rows


def main() -> None:
    """Measure every map of every data set."""
    options = records.options(__doc__ or "", maps={"nargs": "+", "default": MAPS, "help": "measure these again"})
    rows = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        for text in options.maps:
            ipc = 10 if dataset.d > 10 * len(dataset.classes) else 2  # fewer points than pixels
            rows += measure(dataset, text, ipc=ipc, seed=options.seed)
    records.record_part(options, "coded_pixels", rows, ("data", "features", "mode", "bits", "labels"))


if __name__ == "__main__":
    main()
