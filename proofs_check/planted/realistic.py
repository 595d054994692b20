"""Errors in the constructions of T6, T8a on circles, T8e affine, T9, T10 and T11."""

from __future__ import annotations

import numpy as np

from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import answer, argument, fields, ignoring, otherwise, pinv

__all__ = ["ERRORS"]


_REALISTIC = errors_in(
    "analytic_dd.distill",
    (
        "the part in row(W) is given up",
        "nearest_features",
        fields(features=lambda out, given: np.asarray(given["Phi_ref"]) @ pinv(given["W"]) @ np.asarray(given["W"])),
        "T6/float64/nearest",
    ),
    ("the weights of points are ignored", "nearest_features", ignoring("point_weights", None), "T6/float64/nearest"),
    (
        "weights for their roots",
        "nearest_features",
        argument("feature_weights", lambda w, given: None if w is None else w**2),
        "T6/float64/nearest",
    ),
    (
        "the optimum is an upper bound only",
        "nearest_features",
        fields(predicted_distance=lambda out, given: 1.01 * out.predicted_distance),
        "T6/float64/nearest",
    ),
    (
        "not the nearest: tau is never 0",
        "nearest_features",
        argument("tau", lambda tau, given: 0.3 if given["labels"] is None else tau),
        "T6/float64/nearest",
    ),
    (
        "fixed labels are learned",
        "nearest_features",
        ignoring("labels", None),
        "T6b/float64/nearest_for_fixed_labels",
    ),
    ("the appended point is left out", "move_into_box", answer(lambda out, given: out[:-1]), "T6/float64/box"),
    (
        "clamped into the box",
        "move_into_box",
        answer(lambda out, given: np.vstack([np.clip(given["Phis"], given["lower"], given["upper"]), out[-1:]])),
        "T6/float64/box",
    ),
    (
        "both points of a circle on one side",
        "circle_features",
        fields(features=lambda out, given: np.repeat(out.features[: len(out) // 2], 2, axis=0)),
        "T8a/float64/circles",
    ),
    ("e.c is not 1", "affine_direction", answer(lambda e, given: None if e is None else 2.0 * e), "T8e/float64/affine"),
    (
        "k points for k + 1",
        "affine_features",
        otherwise(lambda W, Ys, B, c, **options: None),
        "T8e/float64/affine",
    ),
    (
        "off the plane e.phi = 1",
        "affine_minimal_features",
        fields(features=lambda out, given: 1.001 * out.features),
        "T8e/float64/affine",
    ),
    (
        "copies farther than allowed",
        "one_image_features",
        argument("largest_change", lambda change, given: 100.0 * (change or 0.01)),
        "T9/float64/one_image",
    ),
    (
        "the image itself is changed",
        "one_image_features",
        fields(inputs=lambda out, given: out.inputs + 1e-6),
        "T9/float64/one_image",
    ),
    (
        "labels without the ridge",
        "spanning_features",
        fields(labels=lambda out, given: out.features @ pinv(out.features) @ (out.features @ given["W"].T)),
        "T10/float64/spanning",
    ),
    (
        "the metric's root squared",
        "spanning_features",
        argument("metric", lambda S, given: None if S is None else S @ S),
        "T10/float64/spanning",
    ),
    (
        "the row that explains most comes last",
        "greedy_rows",
        lambda right: lambda W, Phi, m, **options: right(W, Phi, len(Phi), **options)[::-1][:m],
        "T10/float64/spanning",
    ),
    (
        "exact for the first ridge alone",
        "several_ridges_features",
        fields(labels=lambda out, given: np.vstack([out.labels[:1], 1.001 * out.labels[1:]])),
        "T11/float64/several_ridges",
    ),
)

ERRORS: list[Planted] = [*_REALISTIC]
