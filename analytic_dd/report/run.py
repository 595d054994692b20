"""A distillation into a folder: the set, measured as it was stored, and what is reported of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytic_dd.clock import Clock, Listener
from analytic_dd.data import Dataset, Table, weighting, weights_of_samples
from analytic_dd.distill.construction import Construction
from analytic_dd.features import FeatureMap, Network
from analytic_dd.files import atomic_write
from analytic_dd.io import DistilledSet, load_distilled, save_distilled, to_json
from analytic_dd.judge.accuracy import Model, accuracies_on_test, fitted, r2_on_test
from analytic_dd.judge.controls import control_models
from analytic_dd.judge.stored import Found
from analytic_dd.linalg import Sums
from analytic_dd.model import DatasetSource, Distillation, FitOptions, OriginalModel, TableSource, distil, source_of
from analytic_dd.model.distillation import Features, SumsOf
from analytic_dd.report.assembly import distilled_set
from analytic_dd.report.facts import realistic_facts
from analytic_dd.report.flops import Sizes, stage_rates
from analytic_dd.staging import staged

__all__ = ["BESIDE", "FILES", "MODULE", "Report", "draw", "refit", "run", "store_and_report"]

_WITH_INTERCEPT = "with an intercept"
_MOST_FEATURES = 2048  # a Cholesky factor of this size takes a tenth of a second
FILES = ("distilled.npz", "report.json")
MODULE = "module.safetensors"
BESIDE = ("distilled.png", "spectrum.png", "page.html", MODULE)  # of the set that is replaced


@dataclass(frozen=True)
class Report:
    """What a run found: the stored meta plus what was measured on the *reloaded* file.

    Attributes
    ----------
    content : dict
        JSON values, as in ``report.json``.
    certificate : Certificate or LossCertificate
        Of the reloaded inputs through the feature map.
    construction : Construction
    """

    content: dict[str, Any]
    certificate: Found
    construction: Construction


def run(
    dataset: Dataset | Table,
    features: Features,
    construction: Construction,
    folder: Path,
    options: FitOptions | None = None,
    *,
    sample_weight: np.ndarray | str | None = None,
    seed: int = 0,
    references: np.ndarray | None = None,
    reference_classes: np.ndarray | None = None,
    picture: bool = True,
    save_module: bool = False,
    sums: SumsOf | None = None,
    clock: Clock | None = None,
    listener: Listener | None = None,
    **fit: Any,
) -> Report:
    """Distil a data set into ``folder``: ``distilled.npz``, ``report.json``, then ``distilled.png``.

    Parameters
    ----------
    dataset : Dataset or Table
    features, construction, options, seed, references, reference_classes, sums, clock, listener
        See :func:`analytic_dd.model.distil`.
    folder : Path
        Made if needed; its files are replaced together when all of them are complete.
    sample_weight : "balanced", a file or (n,) array, optional
        Weights of the training samples (T12); balanced: n / (k times the number of samples of the class).
    picture : bool
        Draw the set, when everything else is stored. A picture that fails is a warning.
    save_module : bool
        Store the weights of a torch module beside the set, in ``module.safetensors``.
    fit
        Single options of the fit by name, as ``ridge=1.0``; they go before those of ``options``.

    Raises
    ------
    InfeasibleError, RangeError, ValueError
        What was asked for does not exist; nothing has been written.
    OSError
        The folder cannot be written (checked before any work) or the disk is full.
    """
    clock, options = clock or Clock(), replace(options or FitOptions(), **fit)
    weights = weights_of_samples(sample_weight, dataset)
    if save_module and isinstance(features, str) and not features.startswith(Network.name):
        raise ValueError(
            f"save_module=True is for a torch module (network:...), got features={features!r}; leave it out"
        )
    with staged(folder, files=FILES, without=BESIDE) as staging:
        with clock("normalisation"):
            source = source_of(dataset, centred=construction.labels == "centred", weights=weights)
        found = distil(
            source,
            features,
            construction,
            options,
            seed=seed,
            references=references,
            reference_classes=reference_classes,
            sums=sums,
            clock=clock,
            listener=listener,
        )
        more = {"sample_weights": weighting(sample_weight), "columns": list(dataset.columns) or None}
        made = distilled_set(found, options, seed=seed, clock=clock, more=more)
        report = store_and_report(made, found, staging, seed=seed, clock=clock, listener=listener)
        if save_module:
            _save_module(found.model.feature_map, staging)
    if picture:
        draw(folder)
    return report


def _save_module(feature_map: FeatureMap, folder: Path) -> None:
    if not isinstance(feature_map, Network):
        raise ValueError(
            f"save_module=True is for a torch module, got features of kind {feature_map.name}; leave it out"
        )
    feature_map.save_weights(folder / MODULE)


def draw(folder: Path) -> None:
    """Draw the stored set; what goes wrong with a picture is no reason to lose results."""
    from analytic_dd.plot import draw_set

    try:
        draw_set(load_distilled(folder), folder / "distilled.png")
    except Exception as error:
        warnings.warn(f"the results are stored, but no picture could be drawn: {error}", stacklevel=3)


def store_and_report(
    distilled: DistilledSet,
    found: Distillation,
    folder: Path,
    *,
    seed: int,
    clock: Clock,
    listener: Listener | None = None,
) -> Report:
    """Write ``distilled.npz``, load it again, measure everything on what was loaded, write ``report.json``.

    Returns
    -------
    Report
        Accuracies are fractions of the test part, None where there is none (or no data set at all).
    """
    model = found.model
    dataset = found.source.dataset if isinstance(found.source, DatasetSource) else None
    with clock("writing"):
        save_distilled(folder / "distilled.npz", distilled)
        own = model.feature_map if model.feature_map.is_code else None
        stored = load_distilled(folder / "distilled.npz", feature_map=own)
    with clock("certificate"):
        certificate = stored.certify()
        from_pixels = stored.certify(inputs=stored.inputs_from_pixels())
    accuracies: dict[str, Any] = dict.fromkeys(("original", "distilled", "random", "class_mean"))
    scores: dict[str, float] = {}
    if dataset is not None and len(dataset.y_test):
        with clock("controls"):
            models = control_models(dataset, model, len(stored.inputs), seed=seed)
        with clock("evaluation"):
            b = np.zeros(len(model.weights)) if model.intercept is None else model.intercept
            models |= {"original": (model.weights, b), "distilled": refit(stored)}
            models |= _models_by_ridge(stored) | _with_intercept(model)
            scores = accuracies_on_test(dataset, model, models, progress=listener)
        accuracies = {name: scores[name] for name in ("original", "distilled", "class_mean")}
        draws = [scores[name] for name in scores if name.startswith("random")]
        accuracies |= {"random": float(np.mean(draws)), "random_std": float(np.std(draws)), "random_draws": len(draws)}
    r2: dict[str, float] = {}
    if isinstance(found.source, TableSource) and len(found.source.table.y_test):
        with clock("evaluation"):
            table = found.source.table
            compared = {"original": found.model_in_outputs(), "distilled": refit(stored)}
            r2 = r2_on_test(table.x_test, table.y_test, model, compared)
    realistic: dict[str, Any] = {}
    whole = found.source.table if isinstance(found.source, TableSource) else dataset
    if stored.references is not None and whole is not None:
        with clock("realistic"):
            realistic = {"realistic": realistic_facts(stored, whole, model, seed=seed)}
    steps = stored.steps_found()
    by_ridge = {} if stored.path is None else {"recovery_by_ridge": _by_ridge(stored, scores)}
    content = stored.meta | {
        **by_ridge,
        "accuracies": accuracies,
        "accuracy_with_intercept": scores.get(_WITH_INTERCEPT),
        "r2": r2 or None,
        "recovery": _recovery(certificate),
        "recovery_from_pixels": _recovery(from_pixels),
        **realistic,
        **({} if steps is None else {"steps_found": asdict(steps)}),
        "test_samples": _test_samples(found.source),
        **_rates(model, clock),
        "seconds": dict(clock.seconds),
    }
    with atomic_write(folder / "report.json") as stream:
        stream.write((to_json(content, indent=1) + "\n").encode())
    return Report(content, certificate, found.construction)


def _test_samples(source: Any) -> int:
    """Return how many samples the test part has, where there is one."""
    whole = getattr(source, "dataset", None) or getattr(source, "table", None)
    return 0 if whole is None else len(whole.y_test)


def _rates(model: OriginalModel, clock: Clock) -> dict[str, Any]:
    sums, phi, choice = model.statistics, model.feature_map, model.choice
    scored, ridges = (choice.samples, len(choice.ridges)) if choice and choice.criterion == "loo" else (0, 0)
    sizes = Sizes(sums.n, phi.d, sums.p, sums.k, scored, ridges, clock.mapped, phi.flops())
    return stage_rates(sizes, clock.seconds)


def _models_by_ridge(stored: DistilledSet) -> dict[str, Model]:
    """Return models of all the data and of the set for each of several ridges."""
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


def _recovery(certificate: Found) -> dict[str, Any]:
    return {name: getattr(certificate, name) for name in ("relative_error", "verdict", "ratio", "condition", "bound")}


def refit(stored: DistilledSet, *, ridge: float | None = None) -> Model:
    """Fit the model of the stored set as a user would, by the library's own solver."""
    Phis = stored.feature_map(stored.inputs)
    value = stored.ridge if ridge is None else ridge
    return fitted(Phis, stored.y, value, intercept=stored.intercept is not None, loss=stored.loss)


def _with_intercept(model: OriginalModel) -> dict[str, Model]:
    """Return ridge regression with an intercept, by its name, at the ridge of a model that has none.

    Nothing is returned where that would take long (more than 2,048 features, a ridge so small that the Gram matrix has
    no Cholesky factor, inner products in the place of sums) or means nothing (another loss).
    """
    sums = model.statistics
    if model.intercept is not None or model.loss != "squared" or model.ridge == 0.0:
        return {}
    if not isinstance(sums, Sums) or sums.p > _MOST_FEATURES:
        return {}
    centred = sums.centred()
    try:
        W = centred.factor(model.ridge).solve(centred.C.T).T
    except ValueError:
        return {}
    return {_WITH_INTERCEPT: (W, sums.mean_y - W @ sums.mean_phi)}
