"""Errors in gradients (T20a), counts and near copies (T22), later data (T23) and integers (T24)."""

from __future__ import annotations

from typing import Any

from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import argument, fields, ignoring, otherwise

__all__ = ["ERRORS"]


def _anything(*arguments: Any, **options: Any) -> None:
    """An answer where none exists."""


ERRORS: tuple[Planted, ...] = (
    *errors_in(
        "analytic_dd.losses",
        ("separated samples have a model", "glm_weights", otherwise(_anything), "T18e/float64/no_minimiser"),
    ),
    *errors_in(
        "analytic_dd.distill",
        (
            "labels are not moved by the gradient",
            "gradient_set",
            fields(labels=lambda out, given: 0.99 * out.labels),
            "T20a/float64/gradients",
        ),
        (
            "one weight matrix only",
            "gradient_set",
            argument("weights", lambda W, given: W[:1]),
            "T20a/float64/gradients",
        ),
        (
            "a memory at another ridge",
            "future_set",
            argument("ridge", lambda ridge, given: 2.0 * ridge),
            "T23b/float64/later_data",
        ),
        ("new labels are halved", "update", argument("Y", lambda Y, given: 0.5 * Y), "T23a/float64/updated"),
        ("what is forgotten is added", "update", ignoring("sign", 1), "T23c/float64/forgotten"),
        (
            "half of the loss is reported",
            "byte_set",
            fields(relative_error=lambda out, given: 0.5 * out.relative_error),
            "T24/float64/integers",
        ),
        (
            "the error that is wanted is not kept",
            "byte_set",
            argument("error", lambda error, given: 100.0 * error),
            "T24/float64/integers",
        ),
    ),
    *errors_in(
        "analytic_dd.distill.local_span",
        (
            "labels at another ridge",
            "near_copies",
            argument("ridge", lambda ridge, given: 2.0 * ridge if ridge else ridge),
            "T22b/float64/copies",
        ),
    ),
    *errors_in(
        "analytic_dd.judge",
        (
            "a point too few is necessary",
            "point_bounds",
            fields(necessary=lambda out, given: out.necessary - 1),
            "T22a/float64/counts",
        ),
        (
            "twice as many for every W",
            "point_bounds",
            fields(every_W=lambda out, given: 2 * out.every_W),
            "T22a/float64/counts",
        ),
        (
            "every point is stationary",
            "stationarity_certificate",
            fields(verdict=lambda out, given: "strict local minimum"),
            "distill/test_trained.py::test_the_certificate_tells_other_weights_and_other_labels",
        ),
    ),
)
