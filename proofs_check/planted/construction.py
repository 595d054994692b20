"""Errors in the constructions of T1 to T5, T7 and T12."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import Given, answer, argument, fields, ignoring, instead, otherwise, pinv, scaled

__all__ = ["ERRORS"]


def _norm(A: Any) -> float:
    return float(np.linalg.norm(A, 2))


def _swapped(root: Any, given: Given) -> Any:
    other = {"large": "small", "small": "large"}
    return other[root] if isinstance(root, str) else [other[r] for r in root]


def _without_projector(W: Any, Ys: Any, *, free: Any = None, rcond: float | None = None) -> Any:
    return pinv(Ys).T @ W + (0.0 if free is None else free)


def _cancelling(out: Any, given: Given) -> Any:
    """Features of the small root by the formula whose difference cancels."""
    U, t, Vt = np.linalg.svd(pinv(given["Ys"]).T @ given["W"], full_matrices=False)
    s = (1.0 - np.sqrt(np.maximum(1.0 - 4.0 * given["ridge"] * t * t, 0.0))) / (2.0 * t)
    return (U * s) @ Vt


def _off_null_space(Z: Any, given: Given) -> Any:
    return Z + 0.1 * np.random.default_rng(0).standard_normal(Z.shape)


_EXACT = errors_in(
    "analytic_dd.distill",
    ("the projector before Z is dropped", "target", instead(_without_projector), "T1/float64/targets"),
    (
        "Y for (Y^T)^+",
        "target",
        answer(lambda D, given: np.asarray(given["Ys"]) @ np.asarray(given["W"])),
        "T1/float64/targets",
    ),
    (
        "an infeasible W is accepted",
        "target",
        otherwise(lambda W, Ys, **options: pinv(Ys).T @ W),
        "T1/float64/targets",
    ),
    ("wrong constant in T3's limit", "largest_ridge", scaled(2.0), "T3/float64/ridge_positive"),
    (
        "a ridge above the limit is lowered in silence",
        "distill_features",
        lambda right: (
            lambda W, Ys, *, ridge=0.0, **options: right(
                W, Ys, ridge=min(ridge, 0.25 / _norm(pinv(Ys).T @ W) ** 2) if ridge else 0.0, **options
            )
        ),
        "T3/float64/ridge_positive",
    ),
    ("swapped roots", "distill_features", argument("root", _swapped), "T3/float64/ridge_positive"),
    (
        "wrong constant in the discriminant",
        "distill_features",
        lambda right: fields(ridge=lambda out, given: 4.0 * out.ridge)(
            argument("ridge", lambda ridge, given: ridge / 4.0)(right)
        ),
        "T3/float64/ridge_positive",
    ),
    (
        "a root off by 2",
        "distill_features",
        fields(features=lambda out, given: 2.0 * out.features),
        "T2/float64/ridge_zero",
    ),
    (
        "t for 1 / t at ridge 0",
        "distill_features",
        fields(features=lambda out, given: out.features if given["ridge"] else pinv(out.features).T),
        "T2/float64/ridge_zero",
    ),
    (
        "W^+ Y for (Y^+ W)^+",
        "distill_features",
        fields(features=lambda out, given: (pinv(given["W"]) @ np.asarray(given["Ys"]).T).T),
        "distill/test_exact.py::test_pseudo_inverse_is_that_of_the_product_for_a_rank_deficient_w",
    ),
    (
        "features are scaled, labels are not",
        "distill_features",
        fields(features=lambda out, given: 3.0 * out.features, ridge=lambda out, given: 9.0 * out.ridge),
        "distill/test_exact.py::test_repeated_classes_are_exact_too",
    ),
    (
        "the condition of the labels for that of the target",
        "distill_features",
        fields(condition=lambda out, given: float(np.linalg.cond(given["Ys"]))),
        "T2/float64/ridge_zero",
    ),
    (
        "the amplification forgets its larger part",
        "distill_features",
        fields(amplification=lambda out, given: 0.5 + 0.5 / out.amplification),
        "T3/float64/ridge_positive",
    ),
    (
        "the small root by a difference that cancels",
        "distill_features",
        fields(features=_cancelling),
        "distill/test_exact_properties.py::test_all_small_roots_recover_to_rounding_whatever_the_condition",
        {"k": 5, "extra": 6, "log_cond": 9.0, "seed": 0},
    ),
    (
        "the amplification forgets labels outside the range of the features",
        "distill_features",
        fields(amplification=lambda out, given: min(out.amplification, 2.0 * out.condition)),
        "distill/test_diagnostics.py::test_amplification_is_a_bound_and_tight_within_fifty",
    ),
    (
        "Z costs conditioning",
        "free_matrix",
        scaled(1e3),
        "distill/test_exact.py::test_free_matrix_keeps_the_condition_at_its_minimum",
        {"m": 5},
    ),
    (
        "Z is not orthogonal to what is determined",
        "free_matrix",
        answer(_off_null_space),
        "T2/float64/free_part",
    ),
    (
        "labels of ridge 0",
        "minimal_features",
        lambda right: lambda W, *, ridge=0.0, **options: replace(right(W, **options), ridge=ridge),
        "T4/float64/learned_labels",
    ),
    (
        "fewer points than rank W become more in silence",
        "minimal_features",
        otherwise(lambda W, *, points=None, **options: None),
        "T4/float64/learned_labels",
    ),
    (
        "the error is squared",
        "few_features",
        fields(relative_error=lambda out, given: out.relative_error**2),
        "T7/float64/few",
    ),
    ("the metric is ignored", "few_features", ignoring("metric", None), "T7/float64/few"),
    (
        "trailing singular vectors",
        "few_features",
        fields(features=lambda out, given: np.linalg.svd(given["W"], full_matrices=False)[2][-len(out) :]),
        "T7/float64/few",
    ),
    (
        "labels without W mu",
        "add_intercept",
        argument("b", lambda b, given: b - np.asarray(given["W"]) @ np.asarray(given["centre"])),
        "T12/float64/intercept",
    ),
    (
        "features are scaled without labels",
        "DistilledFeatures.scaled",
        fields(labels=lambda out, given: given["self"].labels),
        "T8a/float64/through_bounded_maps",
    ),
    (
        "the ridge is scaled by c",
        "DistilledFeatures.scaled",
        fields(ridge=lambda out, given: given["c"] * given["self"].ridge),
        "T8a/float64/through_bounded_maps",
    ),
)

ERRORS: list[Planted] = [*_EXACT]
