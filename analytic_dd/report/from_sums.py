"""A distillation of sums from a file into a folder: no sample is read (T13)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.clock import Clock
from analytic_dd.distill.construction import Construction
from analytic_dd.errors import DataError
from analytic_dd.features import from_spec
from analytic_dd.linalg import Sums
from analytic_dd.model import Distillation, FitOptions, Origin, fit_sums
from analytic_dd.model.distillation import distil_model, fit_options, streams
from analytic_dd.model.units import in_outputs, in_units, units_of_sums
from analytic_dd.report.assembly import distilled_set
from analytic_dd.report.run import BESIDE, FILES, Report, draw, store_and_report
from analytic_dd.staging import staged

__all__ = ["run_from_sums"]

_MOST_INPUTS = 2**31  # entries of a sample that a file of sums may speak of


def run_from_sums(
    path: Path,
    construction: Construction,
    folder: Path,
    options: FitOptions | None = None,
    *,
    seed: int = 0,
    picture: bool = True,
    intercept: bool | None = None,
    clock: Clock | None = None,
) -> Report:
    """Distil sums from a file (``analytic-dd stats``, ``analytic-dd merge``): no sample is read.

    Theorem: T13. The file names its feature map, normalisation, labels and classes.

    Parameters
    ----------
    path : Path
        Statistics with provenance.
    construction, folder, seed, picture, clock
        As for :func:`run`; what needs samples (references, other labels than those in the sums) is refused.
    options : FitOptions, optional
        The ridge is "gcv" (the default) or a number.
    intercept : bool, optional
        Whether to fit and reproduce one; by default as ``options`` say, and where the sums are of quantities.

    Raises
    ------
    DataError
        No statistics, or without provenance.
    InfeasibleError, RangeError, ValueError, OSError
        As :func:`run`.
    """
    clock, options = clock or Clock(), options or FitOptions(ridge="gcv")
    if construction.references_for(2):
        raise ValueError(
            "references are samples, and sums have none; leave out mode='nearest', mode='one-image', "
            "mode='near-copies', init='real'"
        )
    with staged(folder, files=FILES, without=BESIDE) as staging:
        with clock("reading"):
            statistics = Sums.load(path)
            origin, facts = _origin_of(statistics, path)
        kind, units = _kind_of_labels(facts["labels"], construction, path), None
        if kind == "outputs":
            units = units_of_sums(statistics)
            statistics = in_units(statistics, units)
        if intercept is None:
            intercept = options.intercept or kind == "outputs"
        options = replace(options, intercept=intercept)
        with clock("solve"):
            model = fit_sums(
                statistics,
                from_spec(facts["feature map"], p=statistics.p),
                fit_options(construction, options),
                mean=np.asarray(facts["mean"], dtype=np.float64),
                std=np.asarray(facts["std"], dtype=np.float64),
                label_kind=kind,
            )
        result = distil_model(model, construction, rng=streams(seed)[2], clock=clock)
        result = result if units is None else in_outputs(result, units)
        found = Distillation(None, model, construction, result, units=units)
        more = {"sample_weights": facts.get("sample weights"), "columns": facts.get("columns")}
        made = distilled_set(found, options, seed=seed, clock=clock, origin=origin, more=more)
        report = store_and_report(made, found, staging, seed=seed, clock=clock)
    if picture:
        draw(folder)
    return report


def _kind_of_labels(stored: str, construction: Construction, path: Path) -> str:
    """Return what labels the sums are of, in the words of a source; refuse those that the construction cannot use."""
    if stored == "values":
        if construction.labels == "centred":
            raise ValueError(f"{path} has sums of quantities; labels='centred' belong to classes, leave it out")
        return "outputs"
    if stored not in ("one-hot", "centred") or (construction.labels == "centred" and stored != "centred"):
        raise ValueError(f"{path} has sums of {stored} labels, wanted labels={construction.labels!r}")
    return stored


def _origin_of(statistics: Sums, path: Path) -> tuple[Origin, dict[str, Any]]:
    provenance = statistics.provenance
    wanted = {"feature map", "mean", "std", "labels", "classes", "image shape"}
    if provenance is None or not wanted <= set(provenance.agree):
        raise DataError(f"{path} does not say what its sums are of; make it with analytic-dd stats")
    facts = dict(provenance.agree)
    _require_facts(facts, statistics.k, path)
    classes = facts["classes"] if isinstance(facts["classes"], list) else list(range(statistics.k))
    sources = sorted({part.source for part in provenance.samples})
    name = " + ".join(dict.fromkeys(data for data, _ in sources)) or "sums"
    sha256 = " + ".join(content for _, content in sources)
    shape = tuple(int(size) for size in facts["image shape"])
    return Origin(name, sha256, f"sums in {path.name}", shape, tuple(classes), statistics.n), facts


def _require_facts(facts: Mapping[str, Any], k: int, path: Path) -> None:
    """Compare what a file says of its sums with the sums, before anything is made of it."""
    classes, shape, mean, std = (facts[name] for name in ("classes", "image shape", "mean", "std"))
    columns = facts.get("columns")
    named = isinstance(classes, list) and len(classes) == k and all(isinstance(name, (int, str)) for name in classes)
    right = {
        "classes": named or (isinstance(classes, int) and classes == k),
        "image shape": _are_numbers(shape, int, 0, _MOST_INPUTS) and math.prod(shape) <= _MOST_INPUTS,
        "mean": _are_numbers(mean, (int, float), -math.inf, math.inf),
        "mean and std": _are_numbers(std, (int, float), 0.0, math.inf) and len(std) == len(mean),
        "labels": isinstance(facts["labels"], str),
        "feature map": isinstance(facts["feature map"], dict),
        "columns": columns is None
        or (isinstance(columns, list) and [len(columns)] == shape and all(isinstance(name, str) for name in columns)),
    }
    wrong = [name for name, fine in right.items() if not fine]
    if wrong:
        raise DataError(f"{path} says of its sums what cannot be ({', '.join(wrong)}); make it again")


def _are_numbers(values: Any, kind: Any, low: float, high: float) -> bool:
    """Say whether ``values`` is a list of numbers of a kind, all between two bounds."""
    return (
        isinstance(values, list)
        and len(values) > 0
        and all(isinstance(v, kind) and not isinstance(v, bool) and low < v < high for v in values)
    )
