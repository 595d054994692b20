"""A distillation of sums alone: shards and parties send statistics, never data (T13)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd import cluster
from analytic_dd.data import Dataset, moments_for, weighting, weights_of_samples
from analytic_dd.distill.pipeline import Progress, Stages, distill_model, model_from_statistics
from analytic_dd.distill.recipe import Recipe
from analytic_dd.errors import DataError
from analytic_dd.features import from_spec
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.plot import draw_set
from analytic_dd.report import FILES, Origin, Report, assemble, build_map, store_and_report
from analytic_dd.staging import staged

__all__ = ["run_from_statistics", "sum_shard"]


def run_from_statistics(
    path: Path,
    recipe: Recipe,
    folder: Path,
    *,
    ridge: float | str = "gcv",
    intercept: bool = False,
    seed: int = 0,
    stages: Stages | None = None,
) -> Report:
    """Distil sums from a file (``analytic-dd stats``, ``analytic-dd merge``): no sample is read.

    Theorem: T13. The file names its feature map, normalisation, labels and classes.

    Parameters
    ----------
    path : Path
        Statistics with provenance.
    recipe, folder, intercept, seed, stages
        As for :func:`run`; what needs samples (references, other labels than those in the sums) is refused.
    ridge : "gcv" or float

    Raises
    ------
    DataError
        No statistics, or without provenance.
    InfeasibleError, RangeError, ValueError, OSError
        As :func:`run`.
    """
    stages = Stages() if stages is None else stages
    if recipe.wants_references:
        raise ValueError(
            "references are samples, and sums have none; leave out mode 'nearest', 'one-image', init 'real'"
        )
    with staged(folder, files=FILES, without=["spectrum.png"]) as staging:
        with stages("reading"):
            statistics = Sums.load(path)
            origin, facts = _origin_of(statistics, path)
        centred = recipe.labels == "centred"
        if facts["labels"] not in ("one-hot", "centred") or (centred and facts["labels"] != "centred"):
            raise ValueError(
                f"{path} has sums of {facts['labels']} labels, wanted {recipe.labels}; make them with these"
            )
        with stages("solve"):
            model = model_from_statistics(
                statistics,
                from_spec(facts["feature map"]),
                mean=np.asarray(facts["mean"], dtype=np.float64),
                std=np.asarray(facts["std"], dtype=np.float64),
                ridge=recipe.ridges[0] if recipe.ridges else ridge,
                centred=facts["labels"] == "centred",
                intercept=intercept,
            )
        result = distill_model(model, recipe, rng=np.random.default_rng([seed, 2]), stages=stages)
        distilled = assemble(origin, model, result, recipe, seed=seed, stages=stages, dtype=np.float64)
        penalty = {"sample_weights": facts.get("sample weights"), "tikhonov": None, "device": "cpu"}
        distilled = replace(distilled, meta=distilled.meta | penalty)
        report = store_and_report(distilled, None, model, staging, seed=seed, stages=stages)
        draw_set(distilled, staging / "distilled.png")
        return report


def sum_shard(
    dataset: Dataset,
    features: str,
    shard: str,
    *,
    moments: str = "data",
    labels: str = "one-hot",
    sample_weight: np.ndarray | str | None = None,
    seed: int = 0,
    state: Path | None = None,
    progress: Progress | None = None,
) -> GramStatistics:
    """Sum features and labels of shard ``"i/N"`` of the training part: what ``analytic-dd stats`` writes.

    Theorem: T13.

    Parameters
    ----------
    features : str
        A map by name with options, :func:`analytic_dd.report.build_map`; the same seed gives the same map.
    moments : str
        Where the normalisation comes from, :func:`analytic_dd.data.moments_for`.
    labels, state
        See :func:`analytic_dd.cluster.dataset_shard`.
    sample_weight : array, "balanced" or name of an npy file, optional
        Of all training samples, :func:`analytic_dd.data.weights_of_samples`.
    """
    part = cluster.parse_shard(shard)
    mean, std = moments_for(dataset, moments)
    return cluster.dataset_shard(
        dataset,
        build_map(features, dataset, (mean, std), rng=np.random.default_rng([seed, 0])),
        shard=part,
        mean=mean,
        std=std,
        labels=labels,
        sample_weight=weights_of_samples(sample_weight, dataset),
        weighting=weighting(sample_weight) or "",
        state=state,
        progress=None if progress is None else lambda done, total: progress("gram", done, total),
    )


def _origin_of(statistics: Sums, path: Path) -> tuple[Origin, dict[str, Any]]:
    provenance = statistics.provenance
    wanted = {"feature map", "mean", "std", "labels", "classes", "image shape"}
    if provenance is None or not wanted <= set(provenance.agree):
        raise DataError(f"{path} does not say what its sums are of; make it with analytic-dd stats")
    facts = dict(provenance.agree)
    classes = facts["classes"] if isinstance(facts["classes"], list) else list(range(facts["classes"]))
    sources = sorted({part.source for part in provenance.samples})
    name = " + ".join(dict.fromkeys(data for data, _ in sources)) or "sums"
    sha256 = " + ".join(content for _, content in sources)
    shape = tuple(int(size) for size in facts["image shape"])
    return Origin(name, sha256, f"sums in {path.name}", shape, tuple(classes), statistics.n), facts
