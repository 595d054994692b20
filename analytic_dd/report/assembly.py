"""A distillation in the form that is stored, with its certificate."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from analytic_dd.arrays import norm
from analytic_dd.clock import Clock
from analytic_dd.data import pixels
from analytic_dd.distill.kept import FutureFeatures, TrajectoryFeatures
from analytic_dd.distill.several_ridges import SeveralRidgesFeatures
from analytic_dd.io import DistilledSet, versions
from analytic_dd.model import Distillation, FitOptions, Origin, OriginalModel
from analytic_dd.report.facts import reference_facts, reference_images

__all__ = ["distilled_set"]

# What every report has, whatever the construction
_USUAL = {
    "points_per_class": None,
    "root": "large",
    "init": "random",
    "references": None,
    "tau": 0.0,
    "box": False,
    "largest_change": None,
    "pixels": "float",
}


def distilled_set(
    found: Distillation,
    options: FitOptions,
    *,
    seed: int,
    clock: Clock,
    origin: Origin | None = None,
    more: Mapping[str, Any] | None = None,
) -> DistilledSet:
    """Put a distillation into the form that is stored, certified.

    Parameters
    ----------
    found : Distillation
    options : FitOptions
    seed : int
    clock : Clock
        Times until now.
    origin : Origin, optional
        What is stored of the data; of the source by default.
    more : mapping, optional
        JSON values to store beside the others.
    """
    model, result, construction = found.model, found.result, found.construction
    origin = found.source.origin if origin is None and found.source is not None else origin
    assert origin is not None
    built, realistic, integers = result.distilled, construction.realistic, result.integers
    original = found.model_in_outputs()[0]
    facts = _USUAL | construction.facts()
    quantities = model.label_kind == "outputs" and not (found.source is not None and found.source.of_classes)
    if quantities and facts["labels"] != "learned":  # unit vectors in the units of the outputs
        facts |= {"labels": "fixed"}
    meta = facts | {
        "method": "closed-form",
        "task": "regress" if quantities else "classify",
        "theorem": built.theorem,
        "ridge": model.ridge,
        "loss": model.loss,
        "ridge_choice": _describe_choice(model),
        "solver": model.solver,
        "solver_reason": model.solver_reason,
        "distilled_ridge": built.ridge,
        "requested_distilled_ridge": facts.get("distilled_ridge", 0.0),
        **({"distilled_ridges": built.ridges} if isinstance(built, SeveralRidgesFeatures) else {}),
        "label_scale": result.scale,
        "labels_polished": result.polished,
        "init_used": result.init_used,
        "points": len(built),
        "intercept": model.intercept is not None,
        "features": model.feature_map.spec(),
        "dtype": np.dtype(options.dtype).name,
        "data": {"name": origin.name, "sha256": origin.sha256, "source": origin.source},
        "image_shape": list(origin.image_shape),
        "samples": origin.samples,
        "seed": seed,
        "diagnostics": built.diagnostics(),
        **(reference_facts(model, result) if realistic else {}),
        **({} if result.integers is None else {"integers": result.integers.facts()}),
        "error_to_original": norm(result.weights - original) / (norm(original) or 1.0),
        "tikhonov": None if options.tikhonov is None else "given",
        "device": options.device,
        **(more or {}),
        "versions": versions(),
        "hardware": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
    }
    kind = np.uint8 if facts["pixels"] == "bytes" else np.uint16
    distilled = DistilledSet(
        inputs=np.asarray(result.inputs, dtype=np.float64),
        x=pixels(result.inputs, model.mean, model.std, origin.image_shape)
        if integers is None
        else integers.values.reshape(-1, *origin.image_shape),
        y=np.asarray(built.labels, dtype=np.float64),
        w=np.asarray(result.weights, dtype=np.float64),
        mean=model.mean,
        std=model.std,
        classes=np.asarray(origin.classes),
        meta=meta,
        intercept=result.intercept,
        class_means=origin.class_means,
        references=reference_images(found) if realistic else None,
        path=result.path,
        path_intercepts=result.path_intercepts,
        descent=built.descent if isinstance(built, TrajectoryFeatures) else None,
        subspace=built.subspace if isinstance(built, FutureFeatures) else None,
        levels=None if integers is None else integers.levels.reshape(-1, *origin.image_shape).astype(kind),
        low=None if integers is None else np.array(integers.low),
        step=None if integers is None else np.array(integers.step),
        code=model.feature_map if model.feature_map.is_code else None,
    )
    with clock("certificate"):
        certificate = distilled.certify().to_dict()
    return replace(distilled, meta=meta | {"certificate": certificate, "seconds": dict(clock.seconds)})


def _describe_choice(model: OriginalModel) -> dict[str, Any] | None:
    choice = model.choice
    if choice is None:
        return None
    return {
        "criterion": choice.criterion,
        "scoring": choice.scoring,
        "samples": choice.samples,
        "sampled": choice.samples < model.statistics.n,
        "at_edge_of_grid": choice.at_edge,
        "ridges": choice.ridges,
        "scores": choice.scores,
    }
