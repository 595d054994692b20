"""Errors in linalg, ridge and labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytic_dd import ridge
from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import answer, argument, fields, ignoring, instead, scaled

__all__ = ["ERRORS"]


def _norm(A: Any) -> float:
    return float(np.linalg.norm(A, 2))


def _centred_by_hand(right: Any) -> Any:
    def wrong(Phi: Any, Y: Any, *, intercept: bool = False, **options: Any) -> Any:
        return right(Phi - Phi.mean(axis=0), Y - Y.mean(axis=0), **options) if intercept else right(Phi, Y, **options)

    return wrong


_LINALG = errors_in(
    "analytic_dd.linalg",
    (
        "an absolute rank cut-off",
        "thin_svd",
        argument("rcond", lambda rcond, given: min(1e-15 / _norm(given["A"]), 0.5)),
        "T13/float64/spectra",
    ),
    ("no rank cut-off", "thin_svd", ignoring("rcond", 0.0), "T13/float64/spectra"),
    (
        "transpose for the pseudo-inverse",
        "pseudo_inverse",
        instead(lambda A, *, rcond=None: A.T),
        "T13/float64/spectra",
    ),
    ("a row of the basis is missing", "row_basis", answer(lambda basis, given: basis[1:]), "T13/float64/spectra"),
    (
        "ridge times n",
        "Sums.weights",
        argument("ridge", lambda ridge, given: ridge * given["self"].n),
        "T13/float64/sums",
    ),
    (
        "the ridge is relative to the trace",
        "Sums.weights",
        argument("ridge", lambda ridge, given: ridge * given["self"].trace / given["self"].p),
        "ridge/test_weights.py::test_ridge_is_absolute",
        {"solver": "gram"},
    ),
    (
        "a path of squared ridges",
        "Sums.path",
        argument("ridges", lambda ridges, given: [ridge**2 for ridge in ridges]),
        "T13/float64/sums",
    ),
    (
        "eigenvalues for their squares",
        "GramSpectrum.weights",
        argument("C", lambda C, given: C @ given["self"].vectors * given["self"].values @ given["self"].vectors.T),
        "T13/float64/sums",
    ),
    ("nothing is centred", "Sums.centred", instead(lambda self: self), "T13/float64/sums"),
    ("a sum adds nothing", "Sums.__add__", instead(lambda self, other: self), "T13/float64/sums"),
    ("a sum forgets C", "Sums.__add__", fields(C=lambda out, given: given["self"].C), "T13/float64/sums"),
    (
        "centring forgets n",
        "Sums.centred",
        fields(G=lambda out, given: given["self"].G - np.outer(given["self"].mean_phi, given["self"].mean_phi)),
        "T13/float64/sums",
    ),
    (
        "a block counts twice",
        "GramStatistics.update",
        argument("Phi", lambda Phi, given: np.sqrt(2.0) * Phi),
        "T13/float64/sums",
    ),
    (
        "square roots of labels",
        "GramStatistics.update",
        argument("Y", lambda Y, given: np.sqrt(np.abs(Y))),
        "T13/float64/sums",
    ),
    (
        "the ridge is squared beside s^2",
        "StreamingQR.weights",
        argument("ridge", lambda ridge, given: ridge**2),
        "T13/float64/sums",
    ),
    ("a merge adds nothing", "StreamingQR.merge", instead(lambda self, other: self), "T13/float64/sums"),
)

_RIDGE = errors_in(
    "analytic_dd.ridge",
    (
        "ridge times n",
        "ridge_weights",
        argument("ridge", lambda ridge, given: ridge * len(given["Phi"])),
        "ridge/test_weights.py::test_ridge_is_absolute",
        {"solver": "svd"},
    ),
    ("no rank cut-off", "ridge_weights", ignoring("rcond", 0.0), "T13/float64/solvers"),
    (
        "the intercept forgets W mean",
        "ridge_weights_with_intercept",
        fields(intercept=lambda model, given: np.mean(given["Y"], axis=0)),
        "T12/float64/fitted_intercept",
    ),
    (
        "the labels alone are centred",
        "ridge_weights_with_intercept",
        fields(weights=lambda model, given: np.linalg.lstsq(given["Phi"], given["Y"] - np.mean(given["Y"], 0))[0].T),
        "T12/float64/fitted_intercept",
    ),
    (
        "errors of training for those of leave-one-out",
        "leave_one_out_scores",
        instead(
            lambda statistics, blocks, ridges, *, scoring, intercept=False, **_: ridge.validation_scores(
                statistics, blocks, ridges, scoring=scoring, intercept=intercept
            )
        ),
        "T13/float64/choice",
    ),
    ("the leverage forgets 1 / n", "leave_one_out_scores", ignoring("intercept", False), "T13/float64/choice"),
    (
        "scores of ridges times n",
        "validation_scores",
        argument("ridges", lambda ridges, given: [5.0 * ridge for ridge in ridges]),
        "T13/float64/choice",
    ),
    (
        "GCV: the square root of the score",
        "select_ridge",
        fields(scores=lambda choice, given: np.sqrt(choice.scores)),
        "T13/float64/choice",
    ),
    ("GCV: the intercept is no degree of freedom", "select_ridge", _centred_by_hand, "T13/float64/choice"),
    ("a grid of square roots", "ridge_grid", answer(lambda grid, given: np.sqrt(grid)), "T13/float64/choice"),
)

_LABELS = errors_in(
    "analytic_dd.labels",
    (
        "labels without the ridge",
        "labels_for",
        instead(lambda Phis, W, *, ridge, rcond=None: Phis @ W.T),
        "T4/float64/learned_labels",
    ),
    (
        "Phi for (Phi^+)^T in the labels",
        "labels_for",
        instead(lambda Phis, W, *, ridge, rcond=None: (1.0 + ridge) * Phis @ W.T),
        "T4/float64/learned_labels",
    ),
    ("wrong constant in the scaling", "feasible_scale", scaled(0.5), "T4'/float64/scaling"),
    (
        "margin for its square root",
        "feasible_scale",
        argument("margin", lambda margin, given: margin**2),
        "T4'/float64/scaling",
    ),
    ("labels are scaled by too little", "scale_to_feasible", scaled(0.7), "T4'/float64/scaling"),
    (
        "1/m for 1/k",
        "centred_one_hot",
        answer(lambda Y, given: Y + 1.0 / Y.shape[1] - 1.0 / max(len(Y), 1)),
        "T5/float64/centred",
    ),
    (
        "every class once",
        "repeated_classes",
        answer(lambda classes, given: np.minimum(np.arange(len(classes)), given["k"] - 1)),
        "labels/test_one_hot.py::test_classes_repeat_as_evenly_as_possible_in_class_major_order",
        {"k": 5, "points": 7, "counts": [2, 2, 1, 1, 1]},
    ),
)

_PRODUCTS = errors_in(
    "analytic_dd.linalg.tiles",
    (
        "half of a Gram matrix",
        "mirror",
        instead(lambda G: np.copyto(G, np.triu(G))),
        "linalg/test_gram.py::test_gram_matrix_is_symmetric_to_the_last_bit",
        {"rows": 3},
    ),
)

ERRORS: list[Planted] = [*_LINALG, *_PRODUCTS, *_RIDGE, *_LABELS]
