"""One distillation from a data set to files: fit, distil, store, reload, certify, compare with honest controls."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.baselines.controls import Model, accuracies_on_test, class_means, control_models
from analytic_dd.certify import Certificate
from analytic_dd.data import Dataset
from analytic_dd.distill.inputs import DistilledInputs
from analytic_dd.distill.pipeline import OriginalModel, Progress, Stages, distill_model, fit_original, sample_rows
from analytic_dd.distill.recipe import Recipe
from analytic_dd.features import FeatureMap, Identity, from_text
from analytic_dd.files import atomic_write, staged
from analytic_dd.io import DistilledSet, load_distilled, pixels, save_distilled, to_json, versions
from analytic_dd.plot import draw_set
from analytic_dd.ridge import ridge_weights, ridge_weights_with_intercept

__all__ = ["Report", "assemble", "build_map", "describe", "refit", "run", "store_and_report"]


_PRIVACY = "  privacy (T17): this set starts from real samples and may show them almost verbatim"
_SAMPLE = 1_000  # training rows that a map may set its options by (the median lengthscale)


@dataclass(frozen=True)
class Report:
    """What a run found: the stored meta plus what was measured on the *reloaded* file.

    Attributes
    ----------
    content : dict
        JSON values, as in ``report.json``.
    certificate : Certificate
        Of the reloaded inputs through the feature map.
    """

    content: dict[str, Any]
    certificate: Certificate


def run(
    dataset: Dataset,
    features: str,
    recipe: Recipe,
    folder: Path,
    *,
    ridge: float | str = "loo",
    intercept: bool = False,
    seed: int = 0,
    dtype: type = np.float64,
    stages: Stages | None = None,
    progress: Progress | None = None,
) -> Report:
    """Distil a data set into ``folder``: ``distilled.npz``, ``distilled.png``, ``report.json``.

    Parameters
    ----------
    dataset : Dataset
    features : str
        Text such as ``identity`` or ``fcnn:depth=2``; see :func:`analytic_dd.features.from_text`.
    recipe : Recipe
    folder : Path
        Made if needed; its files are replaced together when all of them are complete.
    ridge : "loo" or float
        Of the original model, absolute.
    intercept : bool
        Fit and reproduce an unpenalised intercept (T12).
    seed : int
        Determines the map, the samples that are drawn, and what a theorem leaves free.
    dtype : numpy float type
        Arithmetic of the feature map while fitting.
    stages : Stages, optional
        Times that were spent before (reading).
    progress : callable, optional
        Receives (stage, done, total).

    Raises
    ------
    InfeasibleError, RangeError, ValueError
        What was asked for does not exist; nothing has been written.
    OSError
        The folder cannot be written (checked before any work) or the disk is full.
    """
    stages = Stages() if stages is None else stages
    with staged(folder) as staging:
        map_rng, loo_rng, free_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
        with stages("normalisation"):
            moments = dataset.statistics()
        with stages("map"):
            phi = build_map(features, dataset, moments, rng=map_rng)
        model = fit_original(
            dataset,
            phi,
            ridge=ridge,
            centred=recipe.labels == "centred",
            intercept=intercept,
            rng=loo_rng,
            moments=moments,
            dtype=dtype,
            stages=stages,
            progress=progress,
        )
        references = None
        if recipe.init == "real":
            references = model.inputs_of(
                dataset, sample_rows(dataset, recipe.size(len(dataset.classes)), rng=free_rng)
            )[0]
        result = distill_model(model, recipe, rng=free_rng, references=references, stages=stages)
        distilled = assemble(dataset, model, result, recipe, seed=seed, stages=stages, dtype=dtype)
        report = store_and_report(distilled, dataset, model, staging, seed=seed, stages=stages, progress=progress)
        draw_set(distilled, staging / "distilled.png")
        return report


def build_map(
    features: str, dataset: Dataset, moments: tuple[np.ndarray, np.ndarray], *, rng: np.random.Generator
) -> FeatureMap:
    """Build a map from text; options that follow from the data do so from some normalised training rows."""
    if features == Identity.name:
        return Identity(dataset.d)  # it has no options: no rows need be drawn
    order = np.sort(rng.permutation(len(dataset.y_train))[:_SAMPLE])
    blocks = dataset.blocks("train", mean=moments[0], std=moments[1], order=order)
    sample = np.concatenate([X for X, _ in blocks])
    return from_text(features, dataset.d, image_shape=dataset.image_shape, rng=rng, sample=sample)


def assemble(
    dataset: Dataset,
    model: OriginalModel,
    result: DistilledInputs,
    recipe: Recipe,
    *,
    seed: int,
    stages: Stages,
    dtype: type,
) -> DistilledSet:
    """Put a distillation into the form that is stored, with its certificate."""
    built, phi = result.distilled, model.feature_map
    assert isinstance(phi, FeatureMap)
    target = model.weights if recipe.mode == "exact" else built.labels.T @ (built.labels @ model.weights)
    meta = {
        "method": "closed-form",
        "theorem": built.theorem,
        "mode": recipe.mode,
        "ridge": model.ridge,
        "ridge_choice": _describe_choice(model),
        "solver": model.solver,
        "distilled_ridge": built.ridge,
        "requested_distilled_ridge": recipe.ridge,
        "label_scale": result.scale,
        "labels": recipe.labels,
        "labels_polished": result.polished,
        "root": recipe.root,
        "init": recipe.init,
        "points": len(built),
        "points_per_class": recipe.points_per_class if recipe.points is None else None,
        "intercept": model.intercept is not None,
        "features": phi.spec(),
        "dtype": np.dtype(dtype).name,
        "data": {"name": dataset.name, "sha256": dataset.sha256, "source": dataset.source},
        "image_shape": list(dataset.image_shape),
        "samples": len(dataset.y_train),
        "seed": seed,
        "diagnostics": built.diagnostics(),
        "versions": versions(),
        "hardware": _hardware(),
    }
    distilled = DistilledSet(
        inputs=np.asarray(result.inputs, dtype=np.float64),
        x=pixels(result.inputs, model.mean, model.std, dataset.image_shape),
        y=np.asarray(built.labels, dtype=np.float64),
        w=np.asarray(target, dtype=np.float64),
        mean=model.mean,
        std=model.std,
        classes=np.asarray(dataset.classes),
        meta=meta,
        intercept=model.intercept,
        class_means=class_means(dataset),
    )
    with stages("certificate"):
        certificate = distilled.certify().to_dict()
    return replace(distilled, meta=meta | {"certificate": certificate, "seconds": dict(stages.seconds)})


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


def _hardware() -> str:
    return f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"


def store_and_report(
    distilled: DistilledSet,
    dataset: Dataset,
    model: OriginalModel,
    folder: Path,
    *,
    seed: int,
    stages: Stages,
    progress: Progress | None = None,
) -> Report:
    """Write ``distilled.npz``, load it again, measure everything on what was loaded, write ``report.json``.

    Returns
    -------
    Report
        Accuracies are fractions of the test part, None where there is none.
    """
    with stages("writing"):
        save_distilled(folder / "distilled.npz", distilled)
        stored = load_distilled(folder / "distilled.npz")
    with stages("certificate"):
        certificate = stored.certify()
        from_pixels = stored.certify(inputs=stored.inputs_from_pixels())
    accuracies: dict[str, Any] = dict.fromkeys(("original", "distilled", "random", "class_mean"))
    if len(dataset.y_test):
        with stages("controls"):
            models = control_models(dataset, model, len(stored.inputs), seed=seed)
        with stages("evaluation"):
            models |= {"original": (model.weights, _or_zero(model)), "distilled": refit(stored)}
            found = accuracies_on_test(dataset, model, models, progress=progress)
        accuracies = {name: found[name] for name in ("original", "distilled", "class_mean")}
        draws = [found[name] for name in found if name.startswith("random")]
        accuracies |= {"random": float(np.mean(draws)), "random_std": float(np.std(draws)), "random_draws": len(draws)}
    recovery = _recovery(certificate)
    content = stored.meta | {
        "certificate": stored.meta["certificate"],
        "accuracies": accuracies,
        "recovery": recovery,
        "recovery_from_pixels": _recovery(from_pixels),
        "test_samples": len(dataset.y_test),
        "seconds": dict(stages.seconds),
    }
    with atomic_write(folder / "report.json") as stream:
        stream.write((to_json(content, indent=1) + "\n").encode())
    return Report(content, certificate)


def _recovery(certificate: Certificate) -> dict[str, Any]:
    return {name: getattr(certificate, name) for name in ("relative_error", "verdict", "ratio", "condition", "bound")}


def _or_zero(model: OriginalModel) -> np.ndarray:
    return np.zeros(len(model.weights)) if model.intercept is None else model.intercept


def refit(stored: DistilledSet) -> Model:
    """Fit ridge regression on the stored set as a user would, by the library's own solver."""
    Phis = stored.feature_map(stored.inputs)
    if stored.intercept is None:
        return ridge_weights(Phis, stored.y, ridge=stored.ridge), np.zeros(len(stored.w))
    refitted = ridge_weights_with_intercept(Phis, stored.y, ridge=stored.ridge)
    return refitted.weights, refitted.intercept


def describe(content: Mapping[str, Any]) -> list[str]:
    """Return the lines that the command line prints for a report."""
    accuracies, recovery, seconds = content["accuracies"], content["recovery"], content["seconds"]
    choice = content["ridge_choice"]
    how = "given" if choice is None else f"leave-one-out accuracy on {choice['samples']:,} samples"
    if choice is not None and choice["sampled"]:
        how += f" drawn from {content['samples']:,}"
    lines = [
        f"{content['data']['name']}: {content['samples']:,} training samples, each of shape "
        f"{tuple(content['image_shape'])}, features {content['features']['map']}",
        f"ridge {content['ridge']:.4g} ({how}); {content['points']} distilled points, {content['labels']} labels, "
        f"ridge {content['distilled_ridge']:.4g} ({content['theorem']})",
    ]
    if content["label_scale"] != 1.0:
        lines.append(f"features and labels were scaled by {content['label_scale']:.4g} into the range of the map (T4')")
    rows = (
        ("model fitted on all the data", "original"),
        ("refitted on the distilled set", "distilled"),
        (f"on as many random real samples ({accuracies.get('random_draws', 0)} draws)", "random"),
        ("on the class means", "class_mean"),
    )
    for label, name in rows:
        value = accuracies.get(name)
        lines.append(f"  {label:<44} " + ("no test part" if value is None else f"{100 * value:6.2f} % test accuracy"))
    lines += [
        f"  recovery |W_s - W| / |W| {recovery['relative_error']:.1e}: {recovery['verdict']} "
        f"(ratio {recovery['ratio']:.2g}, condition {recovery['condition']:.2g})",
        *([_PRIVACY] if content["init"] == "real" else []),
        "  seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items()),
    ]
    return lines
