"""T6 on real data: the nearest exact set beside the published formula, at IPC 2, 5, 10 and 50, from the reloaded file.

Both start from the same real images, drawn at random from each class. The published formula is the exact set of T2
whose free matrix is that of the images, (Phi_ref^+)^T, with one-hot labels (``init="real"``); where the distilled ridge
is above what T3 admits for it there is none, and the row says so. Its distance depends on the labels: for the linear
map the model's own predictions for the images are tried too, which serve it better than one-hot ones. Nearest sets:
learned labels at ridge 0 and at the ridge of the original model, the knob tau, fixed one-hot labels (T6b), the box. The
linear map at every size; other maps and the model with an intercept at some.

Run: python experiments/nearest_vs_published.py [--quick] [--data mnist cifar10] [--models identity fcnn]
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import records
import recovery

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import Construction, chosen, distill_features
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.errors import InfeasibleError
from analytic_dd.io import DistilledSet, pixels
from analytic_dd.judge.accuracy import Model, accuracies_on_test
from analytic_dd.linalg import pseudo_inverse
from analytic_dd.model import OriginalModel
from analytic_dd.report import refit
from analytic_dd.report.facts import realistic_facts
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

MODELS = {
    "identity": (2, 5, 10, 50),
    "identity, intercept": (10,),
    "fcnn": (10,),
    "fcnn:weights=orthogonal": (10, 50),
    "rff": (10,),
    "rff:orthogonal=true": (10, 50),
    "cnn": (10,),
    "inn": (10,),
}


def recipes(per_class: int, ridge: float, text: str) -> dict[str, Construction]:
    """Return the sets of one size; ``ridge`` is the distilled ridge of those that have one."""
    nearest = {"points_per_class": per_class, "mode": "nearest"}
    found = {"nearest": chosen(**nearest), "nearest, ridge": chosen(**nearest, distilled_ridge=ridge)}
    if "intercept" not in text:  # which the published formula has none of
        found["published"] = chosen(points_per_class=per_class, init="real")
    if text == "identity":
        found |= {
            "published, ridge": chosen(points_per_class=per_class, init="real", distilled_ridge=ridge),
            "tau 0.1": chosen(**nearest, tau=0.1),
            "tau 1": chosen(**nearest, tau=1.0),
            "one-hot labels": chosen(**nearest, labels="one-hot"),
            "box": chosen(**nearest, box=True),
            "box, ridge": chosen(**nearest, box=True, distilled_ridge=ridge),
        }
    return found


def published_set(dataset: data.Dataset, model: OriginalModel, per_class: int, *, seed: int) -> DistilledSet:
    """Return the published formula with the model's predictions for the references as labels, reloaded."""
    recipe, phi, W = chosen(points_per_class=per_class, init="real"), model.feature_map, model.weights
    real, _ = recovery.references_of(dataset, model, recipe, seed=seed)
    assert real is not None
    Phi_ref = phi(real.inputs)
    built = distill_features(W, Phi_ref @ W.T, ridge=0.0, free=pseudo_inverse(Phi_ref).T)
    result = DistilledInputs(phi.preimage(built.features, near=real.inputs), built, 1.0, False, {}, weights=W)
    return recovery.stored_and_reloaded(dataset, model, result, recipe, seed=seed, clock=Clock())


def single_precision_error(stored: DistilledSet) -> float:
    """Return |W_s - W| / |W| of a refit in float32 arithmetic, inputs and labels rounded to it."""
    Phis, Ys = stored.feature_map(stored.inputs.astype(np.float32)), stored.y.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rank decision that float32 cannot make shows in the error
        if stored.intercept is not None:
            W = ridge_weights_with_intercept(Phis, Ys, ridge=stored.ridge).weights
        else:
            W = ridge_weights(Phis, Ys, ridge=stored.ridge)
    return float(np.linalg.norm(W - stored.w) / np.linalg.norm(stored.w))


def distances(stored: DistilledSet, references: np.ndarray) -> dict[str, float]:
    """Return the distance of a set from references (m, d) in units of inputs, in features and in pixels."""
    phi = stored.feature_map
    x = pixels(references, stored.mean, stored.std, stored.x.shape[1:])
    found = {}
    for kind, A, B in (("features", phi(stored.inputs), phi(references)), ("pixels", stored.x, x)):
        found[f"distance_{kind}"] = float(np.linalg.norm(A - B))
        found[f"relative_distance_{kind}"] = float(np.linalg.norm(A - B) / np.linalg.norm(B))
    return found


def facts_of(stored: DistilledSet, dataset: data.Dataset, model: OriginalModel, *, seed: int) -> dict[str, Any]:
    """Return what is measured of a set that was reloaded, but for its accuracy."""
    low, high = model.value_range
    found: dict[str, Any] = {
        "points": len(stored.x),
        "distilled_ridge": stored.ridge,
        "certificate": stored.certify().to_dict(),
        "single_precision_error": single_precision_error(stored),
        "pixel_range": [float((stored.x.min() - low) / (high - low)), float((stored.x.max() - low) / (high - low))],
    }
    if stored.references is None:
        recipe = chosen(points_per_class=stored.meta["points_per_class"], init="real")
        references = recovery.references_of(dataset, model, recipe, seed=seed)[0]
        assert references is not None
        return found | distances(stored, references.inputs)
    found |= {"row_scale": stored.meta["row_scale"]}
    return found | realistic_facts(stored, dataset, model, seed=seed)


def measure(dataset: data.Dataset, text: str, sizes: Sequence[int], *, seed: int) -> list[dict[str, Any]]:
    """Fit once, then make and measure every set."""
    features, _, intercept = text.partition(", ")
    phi = recovery.draw_map(dataset, features, seed=seed)
    model = recovery.fit(dataset, phi, intercept=bool(intercept), seed=seed, clock=Clock())
    b = model.intercept
    models: dict[str, Model] = {"original": (model.weights, np.zeros(len(model.weights)) if b is None else b)}
    rows: list[dict[str, Any]] = []
    for per_class in sizes:
        plain: DistilledSet | None = None
        for kind, recipe in recipes(per_class, model.ridge, text).items():
            row = {"data": dataset.name, "model": text, "ipc": per_class, "kind": kind, "ridge": model.ridge}
            try:
                stored = recovery.through_a_file(dataset, model, recipe, seed=seed)
            except InfeasibleError as error:
                rows.append(row | {"refused": str(error), "theorem": error.theorem, "limit": error.limit})
                continue
            plain = stored if kind == "nearest" else plain
            row |= facts_of(stored, dataset, model, seed=seed)
            if kind == "nearest, ridge" and plain is not None:
                row["change_by_ridge"] = float(np.max(np.abs(stored.inputs - plain.inputs)))
            models[f"{len(rows)}"] = refit(stored)
            rows.append(row)
            print(line(row), flush=True)
        if text == "identity":
            stored = published_set(dataset, model, per_class, seed=seed)
            facts = {"data": dataset.name, "model": text, "ipc": per_class, "kind": "published, predicted labels"}
            models[f"{len(rows)}"] = refit(stored)
            rows.append(facts | {"ridge": model.ridge} | facts_of(stored, dataset, model, seed=seed))
            print(line(rows[-1]), flush=True)
    accuracies = accuracies_on_test(dataset, model, models)
    for index, row in enumerate(rows):
        row |= {"accuracy_original": accuracies["original"], "accuracy_distilled": accuracies.get(f"{index}")}
    return rows


def line(row: Mapping[str, Any]) -> str:
    """Return a row in words for the terminal."""
    return (
        f"{row['data']:<16} {row['model']:<20} IPC {row['ipc']:>2} {row['kind']:<16} "
        f"distance {100 * row['relative_distance_features']:.4f} %  {recovery.judged(row)}"
    )


def main() -> None:
    """Measure every data set and model and record the rows."""
    models = {"nargs": "+", "default": list(MODELS)}
    options = records.options(__doc__ or "", models=models)
    rows: list[dict[str, Any]] = []
    for name in options.names:
        dataset = data.load(name, offline=True)
        for text in options.models:
            # so many digits span their pixels, to rounding: the nearest set then is the images themselves, or none (T6)
            sizes = [5] if options.quick else MODELS[text]
            rows += measure(dataset, text, sizes, seed=options.seed)
    records.record_part(options, "nearest_vs_published", rows, ("data", "model"))


if __name__ == "__main__":
    main()
