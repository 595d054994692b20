"""A model of a data set through distilled sets and back: distil, store, reload, certify, score."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.clock import Clock
from analytic_dd.data import Dataset
from analytic_dd.distill import Construction, References
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.features import FeatureMap
from analytic_dd.io import DistilledSet, load_distilled, save_distilled
from analytic_dd.judge.accuracy import accuracies_on_test
from analytic_dd.model import (
    DatasetSource,
    Distillation,
    FitOptions,
    OriginalModel,
    build_map,
    choose_references,
    distil_model,
    fit_source,
)
from analytic_dd.model.distillation import streams
from analytic_dd.report import distilled_set, refit


@dataclass(frozen=True)
class Wanted:
    """One distilled set that an experiment asks for, and what its row says of it beside what is measured."""

    construction: Construction
    facts: Mapping[str, Any] = field(default_factory=dict)


def draw_map(dataset: Dataset, text: str, *, seed: int) -> FeatureMap:
    """Return the feature map that ``text`` names, for this data."""
    return build_map(text, DatasetSource(dataset), rng=streams(seed)[0])


def fit(
    dataset: Dataset, feature_map: FeatureMap, *, intercept: bool = False, seed: int, clock: Clock
) -> OriginalModel:
    """Fit the original model, with the ridge of the best leave-one-out accuracy."""
    options = FitOptions(intercept=intercept)
    return fit_source(DatasetSource(dataset), feature_map, options, rng=streams(seed)[1], clock=clock)


def source_of(dataset: Dataset, model: OriginalModel) -> DatasetSource:
    """Return the source that a model was fitted on; its normalisation is at hand."""
    return DatasetSource(dataset, moments=(model.mean, model.std))


def references_of(
    dataset: Dataset, model: OriginalModel, construction: Construction, *, seed: int
) -> tuple[References | None, np.random.Generator]:
    """Return the real samples that a construction starts from, the same for all of a size, and what draws the rest."""
    k = len(model.weights)
    rng = np.random.default_rng([seed, 2, construction.references_for(k) or construction.size(k)])  # type: ignore[attr-defined]
    return choose_references(model, source_of(dataset, model), construction, rng=rng), rng


def through_a_file(
    dataset: Dataset, model: OriginalModel, construction: Construction, *, seed: int, clock: Clock | None = None
) -> DistilledSet:
    """Distil, store, and return what is read back."""
    clock = Clock() if clock is None else clock
    references, rng = references_of(dataset, model, construction, seed=seed)
    result = distil_model(model, construction, rng=rng, references=references, clock=clock)
    return stored_and_reloaded(dataset, model, result, construction, seed=seed, clock=clock)


def stored_and_reloaded(
    dataset: Dataset,
    model: OriginalModel,
    result: DistilledInputs,
    construction: Construction,
    *,
    seed: int,
    clock: Clock,
) -> DistilledSet:
    """Store a distillation and return what is read back."""
    found = Distillation(source_of(dataset, model), model, construction, result)
    stored = distilled_set(found, FitOptions(), seed=seed, clock=clock)
    with tempfile.TemporaryDirectory() as folder:
        save_distilled(Path(folder) / "distilled.npz", stored)
        return load_distilled(folder, feature_map=stored.code)


def measure(
    dataset: Dataset, model: OriginalModel, wanted: Sequence[Wanted], *, seed: int, clock: Clock
) -> list[dict[str, Any]]:
    """Return a row for each distilled set: its certificate, and the accuracy of the model that is refitted on it.

    The test part is mapped once, and all the models are scored on it.

    Parameters
    ----------
    dataset : Dataset
    model : OriginalModel
    wanted : sequence of Wanted
    seed : int
    clock : Clock
        Times that were spent on the original model; every row has these and its own.
    """
    rows: list[dict[str, Any]] = []
    zero = np.zeros(len(model.weights))
    models = {"original": (model.weights, zero if model.intercept is None else model.intercept)}
    for index, want in enumerate(wanted):
        own = Clock(dict(clock.seconds))
        loaded = through_a_file(dataset, model, want.construction, seed=seed, clock=own)
        models[f"{index}"] = refit(loaded)
        rows.append(
            {
                "data": dataset.name,
                **want.facts,
                "ipc": want.construction.points_per_class,
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


def judged(row: Mapping[str, Any]) -> str:
    """Return the error of W of a row and its verdict, in words for the terminal."""
    return f"error {row['certificate']['relative_error']:.1e} {row['certificate']['verdict']}"


def line(row: Mapping[str, Any], *names: str) -> str:
    """Return a row in words for the terminal, led by some of its facts."""
    facts = " ".join(f"{name} {row[name]!s:<8}" for name in names)
    return (
        f"{row['data']:<16} {facts} IPC {row['ipc']:>2}  {100 * row['accuracy_original']:.2f} % -> "
        f"{100 * row['accuracy_distilled']:.2f} %  {judged(row)}"
    )
