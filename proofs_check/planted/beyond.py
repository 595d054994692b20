"""Errors in what goes beyond one ridge regression: other losses (T18), trajectories (T19), every penalty (T25)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import Given, answer, argument, fields, ignoring

__all__ = ["ERRORS"]

_EVERY_PENALTY = "T25/float64/every_penalty"


def _without_first(name: str) -> Callable[[Any, Given], Any]:
    return lambda out, given: getattr(out, name)[1:]


_LOSSES = (
    *errors_in(
        "analytic_dd.labels",
        (
            "the pull of the penalty is doubled",
            "glm_labels",
            argument("ridge", lambda ridge, given: 2.0 * ridge),
            "T18a/float64/labels_of_losses",
        ),
        ("sample weights are ignored", "glm_labels", ignoring("weights", None), "T18a/float64/labels_of_losses"),
        ("the intercept is left out", "glm_labels", ignoring("intercept", None), "T18a/float64/labels_of_losses"),
        (
            "labels below 0 count as probabilities",
            "glm_labels",
            fields(largest_ridge=lambda out, given: 2.0 * out.largest_ridge),
            "T18b/float64/probabilities",
        ),
    ),
    *errors_in(
        "analytic_dd.losses",
        (
            "the ridge is divided by the number of samples",
            "glm_weights",
            argument("ridge", lambda ridge, given: ridge / given["Phi"].shape[0]),
            "T18a/float64/minimisers",
        ),
        (
            "no intercept is fitted",
            "glm_weights",
            ignoring("intercept", False),
            "losses/test_minimiser.py::test_binary_logistic_regression_of_scikit_learn",
        ),
    ),
    *errors_in(
        "analytic_dd.distill",
        (
            "one-hot points at another ridge",
            "hard_label_features",
            fields(ridge=lambda out, given: 1.01 * out.ridge),
            "T18d/float64/one_hot_points",
        ),
        (
            "a copy too few is counted",
            "hard_label_features",
            fields(copies=lambda out, given: out.copies - 1),
            "T18d/float64/one_hot_points",
        ),
    ),
    *errors_in(
        "analytic_dd.judge",
        (
            "every set of a loss passes",
            "certify_loss",
            fields(verdict=lambda out, given: "pass"),
            "T18a/float64/loss_certificate",
        ),
        (
            "the certificate of a loss takes another ridge",
            "certify_loss",
            argument("ridge", lambda ridge, given: 2.0 * ridge),
            "T18a/float64/loss_certificate",
        ),
        (
            "a bound at ridge 0 that does not hold",
            "certify_loss",
            fields(relative_error=lambda out, given: 0.01 * out.relative_error),
            "T18a/float64/loss_certificate",
        ),
        (
            "one point more than needed",
            "lambert_count",
            answer(lambda m, given: m + 1),
            "T18c/float64/fewest_probabilities",
        ),
    ),
)

_TRAJECTORIES = errors_in(
    "analytic_dd.distill",
    (
        "the last step is missing",
        "trajectory_set",
        argument("steps", lambda steps, given: steps - 1),
        "T19a/float64/trajectories",
    ),
    ("every descent starts at 0", "trajectory_set", ignoring("start", None), "T19a/float64/trajectories"),
    (
        "one step more to the end",
        "end_point_set",
        argument("steps", lambda steps, given: steps + 1),
        "T19b/float64/end_points",
    ),
    (
        "the student takes one step more",
        "segment_set",
        argument("steps", lambda steps, given: steps + 1),
        "T19c/float64/segments_of_experts",
    ),
    (
        "the expert takes one step less",
        "segment_set",
        argument("expert_steps", lambda steps, given: steps - 1),
        "T19c/float64/segments_of_experts",
    ),
    (
        "a bound of fewer points that does not hold",
        "trajectory_set",
        fields(bound=lambda out, given: 1e-6 * out.bound),
        "T19d/float64/fewer_points",
    ),
)

_PENALTIES = errors_in(
    "analytic_dd.distill",
    ("sample weights are ignored", "sufficient_set", ignoring("sample_weight", None), _EVERY_PENALTY),
    ("the means are lost", "sufficient_set", ignoring("intercept", False), _EVERY_PENALTY),
    (
        "points of weight 1",
        "sufficient_set",
        fields(weights=lambda out, given: 0.0 * out.weights + 1.0),
        _EVERY_PENALTY,
    ),
    (
        "a row is missing",
        "sufficient_set",
        fields(**{name: _without_first(name) for name in ("features", "labels", "weights")}),
        _EVERY_PENALTY,
    ),
)

ERRORS: tuple[Planted, ...] = (*_LOSSES, *_TRAJECTORIES, *_PENALTIES)
