"""Errors in the optima of T20, in holders that merge (T23d) and in sets for trained networks (T21)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proofs_check.planted.error import errors_in
from proofs_check.planted.wrong import Given, answer, argument, fields

__all__ = ["ERRORS"]


def _one_holder_less(sets: Any, given: Given) -> Any:
    return sets[:-1]


def _labels_mirrored(made: Any, given: Given) -> Any:
    """Signs -, +, +, - in place of +, -, -, +."""
    outputs = (made.inputs @ made.weights[0].T).clip(min=0.0) @ made.weights[1].T
    return replace(made, labels=2.0 * outputs - made.labels)


ERRORS = [
    *errors_in(
        "analytic_dd.baselines.optimum",
        (
            "s in place of s^2",
            "dc_bound",
            argument("weight_std", lambda s, given: s**0.5),
            "T20b/float64/least_gradient_distance",
        ),
        (
            "one point too many counts",
            "dc_bound",
            argument("points", lambda m, given: m + 1),
            "T20b/float64/least_gradient_distance",
        ),
        (
            "the deviations are not scaled by sqrt(m)",
            "moment_set",
            fields(features=lambda out, given: 0.9 * out.features + 0.1 * out.features.mean(axis=0)),
            "T20c/float64/mean_and_covariance",
        ),
        (
            "the ridge of given labels is taken four times",
            "kip_optimum",
            argument("ridge", lambda ridge, given: 4.0 * ridge if given["labels"] is not None else ridge),
            "T20d/float64/least_loss",
        ),
    ),
    *errors_in(
        "analytic_dd.distill.future",
        ("the last holder is left out", "merge_sets", argument("sets", _one_holder_less), "T23d/float64/merged"),
    ),
    *errors_in(
        "analytic_dd.distill.trained",
        ("the signs are mirrored", "relu_network_set", answer(_labels_mirrored), "T21d/float64/stationary_relu"),
        (
            "twice the penalty in the labels",
            "linear_network_set",
            argument("ridge", lambda ridge, given: 2.0 * ridge),
            "T21c/float64/stationary_linear",
        ),
    ),
]
