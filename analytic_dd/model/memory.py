"""Sums as the memory of a model: samples come, samples are forgotten, the set follows from what is left (T13, T23)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_dd.distill.construction import Construction
from analytic_dd.features import FeatureMap, penalised
from analytic_dd.linalg import GramStatistics, Sums
from analytic_dd.model.distillation import (
    Distillation,
    Features,
    build_map,
    distil_model,
    fit_options,
    for_given,
    streams,
)
from analytic_dd.model.fit import FitOptions, fit_sums
from analytic_dd.model.references import choose_references, given_references
from analytic_dd.model.source import ArraySource
from analytic_dd.model.units import in_outputs

__all__ = ["Memory"]

_ROWS = 4096  # samples mapped at a time


@dataclass(frozen=True)
class Memory:
    """The sums of all samples so far, with the map that they were made with.

    Attributes
    ----------
    sums : Sums or None
        None before the first sample.
    plain_map, feature_map : FeatureMap
        Without and with what a Tikhonov penalty adds.
    scaling : TikhonovScaling or None
    seed : int
        Of the map and of what a theorem leaves free.
    units : (k,) array or None
        What outputs are divided by: those of the first samples.
    label_kind : str
    """

    sums: Sums | None
    plain_map: FeatureMap
    feature_map: FeatureMap
    scaling: Any
    seed: int
    units: np.ndarray | None
    label_kind: str

    @property
    def k(self) -> int:
        """Number of outputs."""
        assert self.sums is not None
        return self.sums.k

    @classmethod
    def begun(cls, source: ArraySource, features: Features, options: FitOptions, *, seed: int) -> Memory:
        """Return an empty memory; a map whose options follow from samples takes those of ``source``."""
        plain = build_map(features, source, rng=streams(seed)[0], keeps="sums")
        phi, scaling = (plain, None) if options.tikhonov is None else penalised(plain, options.tikhonov)
        return cls(None, plain, phi, scaling, seed, source.units, source.label_kind)

    @classmethod
    def of(cls, found: Distillation, *, seed: int) -> Memory | None:
        """Return the memory of a distillation; None where it kept inner products of the samples, and no sums."""
        sums, source = found.model.statistics, found.source
        if not isinstance(sums, Sums) or source is None or found.plain_map is None:
            return None
        kinds = found.scaling, seed, source.units, source.label_kind
        return cls(sums, found.plain_map, found.model.feature_map, *kinds)

    def changed(self, source: ArraySource, *, sign: int) -> Memory:
        """Return the memory with the samples of a source added (+1) or taken away (-1).

        Raises
        ------
        ValueError
            Samples to be taken away that leave no sum of squares, or nothing.
        """
        source.units = self.units
        change = GramStatistics(self.feature_map.p, source.k)
        for X, Y, *weight in source.blocks(_ROWS):
            change.update(self.feature_map(X), Y, sample_weight=weight[0] if weight else None)
        if self.sums is None:
            return replace(self, sums=change.sums())
        return replace(self, sums=self.sums + change.sums() if sign > 0 else self.sums - change.sums())

    def distilled(
        self,
        construction: Construction,
        options: FitOptions,
        source: ArraySource,
        *,
        references: np.ndarray | None = None,
    ) -> Distillation:
        """Fit ridge regression on the sums and distil it; leave-one-out needs the samples, so GCV takes its place.

        References are given ones, or chosen among the samples of ``source``.
        """
        assert self.sums is not None
        if options.loss != "squared":
            raise ValueError(
                f"sums are all that loss='squared' needs, got loss={options.loss!r}; fit on all samples at once, or "
                "leave the loss out"
            )
        options = fit_options(construction, options)
        options = replace(options, ridge="gcv") if options.ridge == "loo" else options
        construction, free = for_given(construction, references, self.k), streams(self.seed)[2]
        one = np.ones(1)
        model = fit_sums(self.sums, self.feature_map, options, mean=0.0 * one, std=one, label_kind=self.label_kind)
        if references is None:
            near = choose_references(model, source, construction, rng=free)
        else:
            near = given_references(model, source, references)
        result = distil_model(model, construction, rng=free, references=near)
        result = result if self.units is None else in_outputs(result, self.units)
        return Distillation(None, model, construction, result, self.plain_map, self.scaling, self.units)
