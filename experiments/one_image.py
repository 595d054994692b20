"""T9 on real data: one real image and rank W near copies of it carry the whole model, through any monotone activation.

Fully connected maps, the ridge of the original model by leave-one-out; distilled ridge 0 and that of the original
model. The image is drawn at random from the training samples. ReLU is refused where its Jacobian at the image has rank
< p; the row has the message. Two pictures: the image, its copies, and what changed, magnified to the whole grey scale.

Run: python experiments/one_image.py [--quick] [--data mnist cifar10] [--maps fcnn:activation=tanh,bias=true]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pictures
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import OneImage
from analytic_dd.errors import InfeasibleError
from analytic_dd.io import DistilledSet
from analytic_dd.judge.accuracy import Model, accuracies_on_test
from analytic_dd.report import refit
from analytic_dd.report.facts import realistic_facts

_SHAPES = ("leaky_relu", "tanh,bias=true", "softplus", "sigmoid", "asinh", "relu")
MAPS = {
    "digits": [f"fcnn:activation={shape}" for shape in _SHAPES],
    "mnist": [f"fcnn:activation={shape}" for shape in _SHAPES],
    "cifar10": [f"fcnn:width=512,activation={shape}" for shape in ("leaky_relu", "tanh,bias=true", "sigmoid")],
}
DRAWN = ("leaky_relu", "tanh")  # activations with a picture


def measure(dataset: data.Dataset, text: str, options: Any) -> list[dict[str, Any]]:
    """Fit once, make the sets and draw one of them."""
    phi = recovery.draw_map(dataset, text, seed=options.seed)
    model = recovery.fit(dataset, phi, seed=options.seed, clock=Clock())
    models: dict[str, Model] = {"original": (model.weights, np.zeros(len(model.weights)))}
    rows: list[dict[str, Any]] = []
    for ridge in (0.0, model.ridge):
        row = {"data": dataset.name, "features": text, "p": phi.p, "ridge": model.ridge, "distilled_ridge": ridge}
        try:
            stored = recovery.through_a_file(dataset, model, OneImage(distilled_ridge=ridge), seed=options.seed)
        except InfeasibleError as error:
            rows.append(row | {"refused": str(error), "theorem": error.theorem})
            print(f"{text}: {error}", flush=True)
            continue
        row |= {"points": len(stored.x), "certificate": stored.certify().to_dict()}
        row |= {"step": stored.meta["diagnostics"]["step"], "inverse": stored.meta["diagnostics"]["inverse"]}
        row |= realistic_facts(stored, dataset, model, seed=options.seed)
        models[f"{len(rows)}"] = refit(stored)
        if ridge == 0.0 and any(f"activation={name}" in text for name in DRAWN):
            row |= draw(stored, row, options)
        rows.append(row)
        print(line(row), flush=True)
    accuracies = accuracies_on_test(dataset, model, models)
    for index, row in enumerate(rows):
        row |= {"accuracy_original": accuracies["original"], "accuracy_distilled": accuracies.get(f"{index}")}
    return rows


def draw(stored: DistilledSet, row: Mapping[str, Any], options: Any) -> dict[str, Any]:
    """Draw the image and its copies on the range of the data, below them the changes about mid-grey."""
    low, high = stored.meta["value_range"]
    assert stored.references is not None
    original, copies = stored.references[:1], stored.x[1:]
    change, largest = copies - original, row["largest_pixel_change"]
    factor = (high - low) / 2.0 / largest
    name, activation = stored.meta["data"]["name"], stored.meta["features"]["activation"]
    title = [
        f"{name}, fully connected map ({row['p']}, {activation}): one training image and {len(copies)} near copies",
        f"error of W {row['certificate']['relative_error']:.1e}; largest change {100 * largest / (high - low):.2g} % "
        f"of the range; changes amplified {factor:.3g} times, grey is none",
    ]
    captions = ["image", *(f"copy {index}" for index in range(1, len(copies) + 1))]
    rows = [
        pictures.Row("image and copies", np.concatenate([original, copies]), (low, high), captions),
        pictures.Row("change", np.concatenate([0.0 * original, change]), (-largest, largest)),
    ]
    return pictures.sheet(options.pictures / pictures.file_name("one image", name, activation), title, rows)


def line(row: Mapping[str, Any]) -> str:
    """Return a row in words for the terminal."""
    return (
        f"{row['data']:<16} {row['features']:<36} ridge {row['distilled_ridge']:<8.3g} {row['points']} points  change "
        f"{row['largest_pixel_change_fraction']:.4f}  {recovery.judged(row)}"
    )


def main() -> None:
    """Measure and draw every data set and map."""
    options = records.options(__doc__ or "", maps={"nargs": "+", "help": "these maps alone; rows of others stay"})
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        for text in options.maps or MAPS[name]:
            rows += measure(dataset, text, options)
    records.record_part(options, "one_image", rows, ("data", "features"))


if __name__ == "__main__":
    main()
