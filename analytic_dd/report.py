"""One distillation from a data set to files: fit, distil, store, reload, certify, compare with honest controls."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data import Dataset, weighting, weights_of_samples
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.pipeline import (
    OriginalModel,
    Progress,
    Stages,
    choose_references,
    distill_model,
    fit_original,
    given_references,
)
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.several_ridges import SeveralRidges
from analytic_dd.features import FeatureMap, Identity, from_text, penalised
from analytic_dd.files import atomic_write
from analytic_dd.io import DistilledSet, load_distilled, pixels, save_distilled, to_json, versions
from analytic_dd.judge import Certificate
from analytic_dd.judge.accuracy import Model, accuracies_on_test, fitted
from analytic_dd.judge.controls import class_means, control_models
from analytic_dd.plot import draw_set
from analytic_dd.rates import Sizes, stage_rates
from analytic_dd.realistic import realistic_facts, reference_facts, reference_images
from analytic_dd.staging import staged

__all__ = ["Origin", "Report", "assemble", "build_map", "refit", "run", "store_and_report"]


FILES = ("distilled.npz", "distilled.png", "report.json")
_SAMPLE = 1_000  # training rows that a map may set its options by (the median lengthscale)


@dataclass(frozen=True)
class Origin:
    """What is stored of the data.

    Attributes
    ----------
    name, sha256, source : str
    image_shape : tuple of int
    classes : tuple of int or str
    samples : int
        Training samples.
    class_means : (k, *image_shape) array or None
    """

    name: str
    sha256: str
    source: str
    image_shape: tuple[int, ...]
    classes: tuple[int | str, ...]
    samples: int
    class_means: np.ndarray | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> Origin:
        """Return what is stored of a data set."""
        facts = dataset.name, dataset.sha256, dataset.source, dataset.image_shape, dataset.classes
        return cls(*facts, len(dataset.y_train), class_means(dataset))


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
    sample_weight: np.ndarray | str | None = None,
    tikhonov: np.ndarray | None = None,
    seed: int = 0,
    dtype: type = np.float64,
    solver: str = "auto",
    device: str = "cpu",
    references: np.ndarray | None = None,
    reference_classes: np.ndarray | None = None,
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
        Of the original model, absolute; ``recipe.ridges``, where there are several, take its place.
    intercept : bool
        Fit and reproduce an unpenalised intercept (T12).
    sample_weight : "balanced" or (n,) array, optional
        Weights of the training samples (T12); balanced: n / (k times the number of samples of the class).
    tikhonov : (p,) or (p, p) array, optional
        Gamma of the penalty  ridge * tr(W Gamma W^T), see :class:`analytic_dd.features.TikhonovScaling` (T12). The
        stored map ends with Gamma^(-1/2), and the stored weights are those of its features.
    seed : int
        Determines the map, the samples that are drawn, and what a theorem leaves free.
    dtype : numpy float type
        Arithmetic of the feature map while fitting.
    solver : {"auto", "gram", "refined", "tsqr"}
        See :func:`analytic_dd.ridge.choose_solver`.
    device : str
        Where features, sums and weights are computed: ``cpu`` (numpy), or a device of torch such as ``cuda``.
    references : (m, *image_shape) or (m, d) array, optional
        Images in the data's units to be near, in the place of a choice of training samples.
    reference_classes : (m,) int array, optional
        Indices of their classes; fixed labels of a nearest set need them.
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
    recipe = recipe.checked_for(references, len(dataset.classes))
    weights = weights_of_samples(sample_weight, dataset)
    ridge = recipe.ridges[0] if recipe.ridges else ridge
    with staged(folder, files=FILES, without=["spectrum.png"]) as staging:
        map_rng, loo_rng, free_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
        with stages("normalisation"):
            moments = dataset.statistics()
        with stages("map"):
            phi = build_map(features, dataset, moments, rng=map_rng)
            phi = phi if tikhonov is None else penalised(phi, tikhonov)[0]
        model = fit_original(
            dataset,
            phi,
            ridge=ridge,
            centred=recipe.labels == "centred",
            intercept=intercept,
            sample_weight=weights,
            rng=loo_rng,
            moments=moments,
            dtype=dtype,
            solver=solver,
            device=device,
            stages=stages,
            progress=progress,
        )
        near = None
        if recipe.wants_references:
            with stages("references"):
                if references is None:
                    near = choose_references(model, dataset, recipe, rng=free_rng)
                else:
                    near = given_references(model, dataset, references, classes=reference_classes)
        result = distill_model(model, recipe, rng=free_rng, references=near, stages=stages)
        distilled = assemble(dataset, model, result, recipe, seed=seed, stages=stages, dtype=dtype)
        penalty = {
            "sample_weights": weighting(sample_weight),
            "tikhonov": None if tikhonov is None else "given",
            "device": device,
        }
        distilled = replace(distilled, meta=distilled.meta | penalty)
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
    data: Dataset | Origin,
    model: OriginalModel,
    result: DistilledInputs,
    recipe: Recipe,
    *,
    seed: int,
    stages: Stages,
    dtype: type,
) -> DistilledSet:
    """Put a distillation into the form that is stored, with its certificate."""
    origin = data if isinstance(data, Origin) else Origin.of(data)
    built, phi = result.distilled, model.feature_map
    assert isinstance(phi, FeatureMap)
    meta = {
        "method": "closed-form",
        "theorem": built.theorem,
        "mode": recipe.mode,
        "ridge": model.ridge,
        "ridge_choice": _describe_choice(model),
        "solver": model.solver,
        "solver_reason": model.solver_reason,
        "distilled_ridge": built.ridge,
        **({"ridges": recipe.ridges, "distilled_ridges": built.ridges} if isinstance(built, SeveralRidges) else {}),
        "requested_distilled_ridge": recipe.ridge,
        "label_scale": result.scale,
        "labels": recipe.labels,
        "labels_polished": result.polished,
        "root": recipe.root,
        "init": recipe.init,
        "init_used": result.init_used,
        "references": recipe.references if recipe.wants_references else None,
        "tau": recipe.tau,
        "box": recipe.box,
        "largest_change": recipe.largest_change,
        "points": len(built),
        "points_per_class": recipe.points_per_class if recipe.points is None else None,
        "intercept": model.intercept is not None,
        "features": phi.spec(),
        "dtype": np.dtype(dtype).name,
        "data": {"name": origin.name, "sha256": origin.sha256, "source": origin.source},
        "image_shape": list(origin.image_shape),
        "samples": origin.samples,
        "seed": seed,
        "diagnostics": built.diagnostics(),
        **(reference_facts(model, result) if recipe.realistic else {}),
        "error_to_original": float(np.linalg.norm(result.weights - model.weights) / np.linalg.norm(model.weights)),
        "versions": versions(),
        "hardware": _hardware(),
    }
    distilled = DistilledSet(
        inputs=np.asarray(result.inputs, dtype=np.float64),
        x=pixels(result.inputs, model.mean, model.std, origin.image_shape),
        y=np.asarray(built.labels, dtype=np.float64),
        w=np.asarray(result.weights, dtype=np.float64),
        mean=model.mean,
        std=model.std,
        classes=np.asarray(origin.classes),
        meta=meta,
        intercept=result.intercept,
        class_means=origin.class_means,
        references=reference_images(data, model, result) if isinstance(data, Dataset) and recipe.realistic else None,
        path=result.path,
        path_intercepts=result.path_intercepts,
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
    dataset: Dataset | None,
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
        Accuracies are fractions of the test part, None where there is none (or no data set at all).
    """
    with stages("writing"):
        save_distilled(folder / "distilled.npz", distilled)
        stored = load_distilled(folder / "distilled.npz")
    with stages("certificate"):
        certificate = stored.certify()
        from_pixels = stored.certify(inputs=stored.inputs_from_pixels())
    accuracies: dict[str, Any] = dict.fromkeys(("original", "distilled", "random", "class_mean"))
    found: dict[str, float] = {}
    if dataset is not None and len(dataset.y_test):
        with stages("controls"):
            models = control_models(dataset, model, len(stored.inputs), seed=seed)
        with stages("evaluation"):
            models |= {"original": (model.weights, _or_zero(model)), "distilled": refit(stored)}
            models |= _models_by_ridge(stored)
            found = accuracies_on_test(dataset, model, models, progress=progress)
        accuracies = {name: found[name] for name in ("original", "distilled", "class_mean")}
        draws = [found[name] for name in found if name.startswith("random")]
        accuracies |= {"random": float(np.mean(draws)), "random_std": float(np.std(draws)), "random_draws": len(draws)}
    realistic: dict[str, Any] = {}
    if stored.references is not None and dataset is not None:
        with stages("realistic"):
            realistic = {"realistic": realistic_facts(stored, dataset, model, seed=seed)}
    by_ridge = {} if stored.path is None else {"recovery_by_ridge": _by_ridge(stored, found)}
    content = stored.meta | {
        **by_ridge,
        "accuracies": accuracies,
        "recovery": _recovery(certificate),
        "recovery_from_pixels": _recovery(from_pixels),
        **realistic,
        "test_samples": 0 if dataset is None else len(dataset.y_test),
        **_rates(model, stages),
        "seconds": dict(stages.seconds),
    }
    with atomic_write(folder / "report.json") as stream:
        stream.write((to_json(content, indent=1) + "\n").encode())
    return Report(content, certificate)


def _rates(model: OriginalModel, stages: Stages) -> dict[str, Any]:
    sums, phi, choice = model.statistics, model.feature_map, model.choice
    assert isinstance(phi, FeatureMap)
    scored, ridges = (choice.samples, len(choice.ridges)) if choice and choice.criterion == "loo" else (0, 0)
    sizes = Sizes(sums.n, phi.d, sums.p, sums.k, scored, ridges, stages.mapped, phi.flops())
    return stage_rates(sizes, stages.seconds)


def _models_by_ridge(stored: DistilledSet) -> dict[str, Model]:
    """Models of all the data and of the set for each of several ridges."""
    if stored.path is None:
        return {}
    zeros = np.zeros(stored.path.shape[:2])
    b = zeros if stored.path_intercepts is None else stored.path_intercepts
    models: dict[str, Model] = {f"original {i}": (stored.path[i], b[i]) for i in range(len(zeros))}
    return models | {f"distilled {i}": refit(stored, ridge=ridge) for i, ridge in enumerate(stored.ridges)}


def _by_ridge(stored: DistilledSet, found: Mapping[str, float]) -> list[dict[str, Any]]:
    return [
        _recovery(certificate)
        | {"ridge": stored.meta["ridges"][i], "distilled_ridge": stored.ridges[i]}
        | {name: found.get(f"{name} {i}") for name in ("original", "distilled")}
        for i, certificate in enumerate(stored.certificates())
    ]


def _recovery(certificate: Certificate) -> dict[str, Any]:
    return {name: getattr(certificate, name) for name in ("relative_error", "verdict", "ratio", "condition", "bound")}


def _or_zero(model: OriginalModel) -> np.ndarray:
    return np.zeros(len(model.weights)) if model.intercept is None else model.intercept


def refit(stored: DistilledSet, *, ridge: float | None = None) -> Model:
    """Fit ridge regression on the stored set as a user would, by the library's own solver."""
    Phis = stored.feature_map(stored.inputs)
    value = stored.ridge if ridge is None else ridge
    return fitted(Phis, stored.y, value, intercept=stored.intercept is not None)
