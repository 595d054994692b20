"""The way through the house: source, fit, problem, construction, lift. Every front door takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.clock import Clock, Listener
from analytic_dd.distill.box import pixel_box
from analytic_dd.distill.construction import Construction
from analytic_dd.distill.distilled import DistilledInputs
from analytic_dd.distill.problem import Problem, References
from analytic_dd.distill.words import in_words_of_options
from analytic_dd.features import FeatureMap, Identity, from_text, penalised
from analytic_dd.features.function import as_feature_map
from analytic_dd.features.registry import sizes_of_text
from analytic_dd.linalg import Sums
from analytic_dd.memory import require_memory
from analytic_dd.model.fit import FitOptions, OriginalModel, fit_source
from analytic_dd.model.references import choose_references, given_references
from analytic_dd.model.source import Source
from analytic_dd.model.units import in_outputs

__all__ = ["Distillation", "build_map", "distil", "distil_model", "fit_options", "for_given", "problem_of", "streams"]

Features = str | FeatureMap | Callable[[Any], Any]  # text, a map, a function of arrays or a torch module
SumsOf = Callable[[Source, FeatureMap], Sums]
_KEPT: dict[str, Callable[[int, int], int]] = {  # at least so many rows of p numbers, for n samples
    "fit": lambda n, p: n if n < p else 2 * p,
    "sums": lambda n, p: p,
    "blocks": lambda n, p: min(n, 1_000),
}
_SAMPLE = 1_000  # training rows that a map may set its options by (the median lengthscale)


@dataclass(frozen=True)
class Distillation:
    """A distilled set and where it comes from.

    Attributes
    ----------
    source : Source or None
        None where there were sums only.
    model : OriginalModel
        Of outputs in the units of the source.
    construction : Construction
    result : DistilledInputs
    plain_map : FeatureMap or None
        The map without what a Tikhonov penalty adds to it.
    scaling : TikhonovScaling or None
        What turns weights of the stored map into those of its inputs, for a Tikhonov penalty.
    units : (k,) array or None
        What outputs were divided by for the model; the result is in the outputs themselves.
    """

    source: Source | None
    model: OriginalModel
    construction: Construction
    result: DistilledInputs
    plain_map: FeatureMap | None = None
    scaling: Any = None
    units: np.ndarray | None = None

    def model_in_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (k, p) and intercept (k,) of the original model, in the units of the outputs."""
        W, b = self.model.weights, self.model.intercept
        scale = np.ones(len(W)) if self.units is None else self.units
        return W * scale[:, None], (np.zeros(len(W)) if b is None else b) * scale


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Return what draws the map, the samples that are scored, and what a theorem leaves free."""
    first, second, third = (np.random.default_rng([seed, stream]) for stream in range(3))
    return first, second, third


def distil(
    source: Source,
    features: Features,
    construction: Construction,
    options: FitOptions,
    *,
    seed: int,
    references: np.ndarray | None = None,
    reference_classes: np.ndarray | None = None,
    sums: SumsOf | None = None,
    clock: Clock | None = None,
    listener: Listener | None = None,
) -> Distillation:
    """Fit the original model on a source and distil it.

    Parameters
    ----------
    source : Source
    features : str, FeatureMap, torch module or callable
        Text such as ``fcnn:depth=2``, see :func:`analytic_dd.features.from_text`, a map, or code that is one.
    construction : Construction
    options : FitOptions
    seed : int
        Determines the map, the samples that are drawn, and what a theorem leaves free.
    references : (m, *image_shape) or (m, d) array, optional
        Images in the data's units to be near, in the place of a choice of training samples.
    reference_classes : (m,) int array, optional
        Indices of their classes; fixed labels of a nearest set need them.
    sums : callable, optional
        ``sums(source, feature_map)`` gives the sums of all samples, made elsewhere (T13); the loss is the squared one.
    clock, listener : optional
        Receive times and progress.

    Raises
    ------
    InfeasibleError, RangeError, ValueError
        What was asked for does not exist.
    """
    clock, options = clock or Clock(), fit_options(construction, options)
    construction.require_loss(options.loss)
    construction.require_samples(tabular=source.tabular)
    source = source if options.loss == "squared" else source.as_given()
    with in_words_of_options():
        construction = for_given(construction, references, source.k)
    map_rng, loo_rng, free_rng = streams(seed)
    with clock("map"):
        plain = build_map(features, source, rng=map_rng, keeps="fit" if options.loss == "squared" else "blocks")
        phi, scaling = (plain, None) if options.tikhonov is None else penalised(plain, options.tikhonov)
        with in_words_of_options():
            construction.require_map(phi)
    _require_points(construction, phi, source.k)
    statistics = None
    if sums is not None:
        _require_summable(options)
        with clock("gram"):
            statistics = sums(source, phi)
    model = fit_source(source, phi, options, rng=loo_rng, statistics=statistics, clock=clock, listener=listener)
    with clock("references"):
        if references is None:
            near = choose_references(model, source, construction, rng=free_rng)
        else:
            near = given_references(model, source, references, classes=reference_classes)
    result = distil_model(model, construction, rng=free_rng, references=near, clock=clock)
    if source.units is not None:
        result = in_outputs(result, source.units)
    return Distillation(source, model, construction, result, plain, scaling, source.units)


def _require_summable(options: FitOptions) -> None:
    """Refuse, before anything is summed elsewhere, what such sums do not have."""
    if options.loss != "squared":
        raise ValueError(f"loss={options.loss!r} reads the samples in every step, and sums have none; leave out --dask")
    if options.solver in ("dual", "svd"):
        raise ValueError(f"solver={options.solver!r} keeps the samples, and workers send sums; leave one of them out")
    for name, usual, given in (("device", "cpu", options.device), ("dtype", np.float64, options.dtype)):
        if given != usual:
            word = given if isinstance(given, str) else np.dtype(given).name
            raise ValueError(f"Dask workers sum in float64 on CPUs, got {name}={word!r}; leave it out")
    if options.tikhonov is not None:
        raise ValueError("Dask workers build the map from its specification, without a penalty; leave out tikhonov")


def _require_features(n: int, p: int, keeps: str) -> None:
    """Refuse features of which the machine cannot hold what is kept at least, before any is computed."""
    what = f"p = {p:,} features of n = {n:,} samples"
    require_memory(8.0 * p * _KEPT[keeps](n, p), what, "use fewer features")


def _require_points(construction: Construction, phi: FeatureMap, k: int) -> None:
    """Refuse a set that the machine cannot hold."""
    m = construction.size(k)
    require_memory(8.0 * m * (phi.d + phi.p + k), f"{m:,} points of p = {phi.p:,} features", "ask for fewer points")


def fit_options(construction: Construction, options: FitOptions) -> FitOptions:
    """Return the options of the fit, with the ridge that the construction names, if it does."""
    ridge = construction.model_ridge
    return options if ridge is None else replace(options, ridge=ridge)


def for_given(construction: Construction, references: np.ndarray | None, k: int) -> Construction:
    """Return the construction for the references that there are; images that were announced must be there."""
    if references is not None:
        return construction.for_references(len(references), k)
    if construction.given_references:
        raise ValueError("references='given' need images, got none; pass an array, or choose random ones")
    return construction


def build_map(features: Features, source: Source, *, rng: np.random.Generator, keeps: str = "fit") -> FeatureMap:
    """Build a map from text; options that follow from the data do so from some of its samples.

    A torch module sees samples in the shape that they have, images with channels first; a function sees rows.

    Raises
    ------
    MemoryError
        The machine cannot hold the rows of p numbers that are kept: for ``"fit"`` the features of all samples where
        these are fewer, else sums (p, p) and a copy; for ``"sums"`` the sums; for ``"blocks"`` a block of samples.
        Nothing has been drawn.
    """
    if not isinstance(features, str):
        features = as_feature_map(features, source.inputs(np.arange(1))[0], source.image_shape)
        if features.d != source.d:
            raise ValueError(f"features map inputs of size {features.d}, got samples of size {source.d}")
        _require_features(source.n, features.p, keeps)
        return features
    if features == Identity.name:
        _require_features(source.n, source.d, keeps)
        return Identity(source.d)  # it has no options: no rows need be drawn
    sizes = sizes_of_text(features, source.d, image_shape=source.image_shape)
    if sizes is not None:
        _require_features(source.n, sizes.p, keeps)
    sample = source.inputs(np.sort(rng.permutation(source.n)[:_SAMPLE]))[0]
    return from_text(features, source.d, image_shape=source.image_shape, rng=rng, sample=sample)


def problem_of(
    model: OriginalModel, *, rng: np.random.Generator, references: np.ndarray | References | None = None
) -> Problem:
    """Return what a construction may use of a model."""
    about_mean = model.intercept is not None
    low, high = model.value_range
    mean, std = (np.tile(each, model.feature_map.d // len(each)) for each in (model.mean, model.std))
    return Problem(
        W=model.weights,
        feature_map=model.feature_map,
        rng=rng,
        intercept=model.intercept,
        sums=model.centred,
        centre=model.statistics.mean_phi if about_mean else None,
        ridge=model.ridge,
        loss=model.loss,
        references=References(references) if isinstance(references, np.ndarray) else references,
        box=None
        if not np.all(np.isfinite(np.subtract(high, low)))
        else pixel_box(low, high, mean=model.mean, std=model.std, d=model.feature_map.d),
        mean=mean,
        std=std,
    )


def distil_model(
    model: OriginalModel,
    construction: Construction,
    *,
    rng: np.random.Generator,
    references: np.ndarray | References | None = None,
    clock: Clock | None = None,
) -> DistilledInputs:
    """Distil a fitted model into inputs of its feature map."""
    _require_points(construction, model.feature_map, len(model.weights))
    with in_words_of_options():
        result = construction.build(problem_of(model, rng=rng, references=references))
    if clock is not None:
        for stage, seconds in result.seconds.items():
            clock.add(stage, seconds)
    return result
