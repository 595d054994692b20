"""A model of a data set through distilled sets and back: distil, store, reload, certify, score."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.data import Dataset
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.pipeline import OriginalModel, Stages, choose_references, distill_model, fit_original
from analytic_dd.distill.recipe import Recipe
from analytic_dd.distill.reference_choice import References
from analytic_dd.features import FeatureMap, from_text
from analytic_dd.io import DistilledSet, load_distilled, save_distilled
from analytic_dd.judge.accuracy import accuracies_on_test
from analytic_dd.report import assemble, refit

SAMPLE = 1_000  # training rows that a map may set its options by (the median lengthscale)


@dataclass(frozen=True)
class Wanted:
    """One distilled set that an experiment asks for, and what its row says of it beside what is measured."""

    recipe: Recipe
    facts: Mapping[str, Any] = field(default_factory=dict)


def draw_map(dataset: Dataset, text: str, *, seed: int) -> FeatureMap:
    """Return the feature map that ``text`` names, for this data."""
    rng = np.random.default_rng([seed, 0])
    mean, std = dataset.statistics()
    order = np.sort(rng.permutation(len(dataset.y_train))[:SAMPLE])
    sample = np.concatenate([X for X, _ in dataset.blocks("train", mean=mean, std=std, order=order)])
    return from_text(text, dataset.d, image_shape=dataset.image_shape, rng=rng, sample=sample)


def fit(
    dataset: Dataset, feature_map: FeatureMap, *, intercept: bool = False, seed: int, stages: Stages
) -> OriginalModel:
    """Fit the original model, with the ridge of the best leave-one-out accuracy."""
    rng = np.random.default_rng([seed, 1])
    return fit_original(dataset, feature_map, intercept=intercept, rng=rng, stages=stages)


def references_of(
    dataset: Dataset, model: OriginalModel, recipe: Recipe, *, seed: int
) -> tuple[References | None, np.random.Generator]:
    """Return the real samples that a recipe starts from, the same for all of a size, and what draws the rest."""
    rng = np.random.default_rng([seed, 2, recipe.size(len(model.weights))])
    return (choose_references(model, dataset, recipe, rng=rng) if recipe.wants_references else None), rng


def through_a_file(
    dataset: Dataset, model: OriginalModel, recipe: Recipe, *, seed: int, stages: Stages | None = None
) -> DistilledSet:
    """Distil, store, and return what is read back."""
    stages = Stages() if stages is None else stages
    references, rng = references_of(dataset, model, recipe, seed=seed)
    result = distill_model(model, recipe, rng=rng, references=references, stages=stages)
    return stored_and_reloaded(dataset, model, result, recipe, seed=seed, stages=stages)


def stored_and_reloaded(
    dataset: Dataset, model: OriginalModel, result: DistilledInputs, recipe: Recipe, *, seed: int, stages: Stages
) -> DistilledSet:
    """Store a distillation and return what is read back."""
    stored = assemble(dataset, model, result, recipe, seed=seed, stages=stages, dtype=np.float64)
    with tempfile.TemporaryDirectory() as folder:
        save_distilled(Path(folder) / "distilled.npz", stored)
        return load_distilled(folder)


def measure(
    dataset: Dataset, model: OriginalModel, wanted: Sequence[Wanted], *, seed: int, stages: Stages
) -> list[dict[str, Any]]:
    """Return a row for each distilled set: its certificate, and the accuracy of the model that is refitted on it.

    The test part is mapped once, and all the models are scored on it.

    Parameters
    ----------
    dataset : Dataset
    model : OriginalModel
    wanted : sequence of Wanted
    seed : int
    stages : Stages
        Times that were spent on the original model; every row has these and its own.
    """
    rows: list[dict[str, Any]] = []
    zero = np.zeros(len(model.weights))
    models = {"original": (model.weights, zero if model.intercept is None else model.intercept)}
    for index, want in enumerate(wanted):
        own = Stages(dict(stages.seconds))
        loaded = through_a_file(dataset, model, want.recipe, seed=seed, stages=own)
        models[f"{index}"] = refit(loaded)
        rows.append(
            {
                "data": dataset.name,
                **want.facts,
                "ipc": want.recipe.points_per_class,
                "points": len(loaded.inputs),
                "ridge": model.ridge,
                "distilled_ridge": loaded.ridge,
                "certificate": loaded.certify().to_dict(),
                "seconds": own.seconds,
            }
        )
    accuracies = accuracies_on_test(dataset, model, models)
    for index, row in enumerate(rows):
        row |= {"accuracy_original": accuracies["original"], "accuracy_distilled": accuracies[f"{index}"]}
    return rows


def line(row: Mapping[str, Any], *names: str) -> str:
    """Return a row in words for the terminal, led by some of its facts."""
    certificate = row["certificate"]
    facts = " ".join(f"{name} {row[name]!s:<8}" for name in names)
    return (
        f"{row['data']:<16} {facts} IPC {row['ipc']:>2}  {100 * row['accuracy_original']:.2f} % -> "
        f"{100 * row['accuracy_distilled']:.2f} %  error {certificate['relative_error']:.1e} {certificate['verdict']}"
    )
