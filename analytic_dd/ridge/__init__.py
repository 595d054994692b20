"""Ridge regression: weights, the path over all ridges, the choice of one."""

from analytic_dd.ridge.choice import RidgeChoice, leave_one_out_scores, ridge_grid, select_ridge, validation_scores
from analytic_dd.ridge.weights import AffineWeights, ridge_weights, ridge_weights_with_intercept

__all__ = [
    "AffineWeights",
    "RidgeChoice",
    "leave_one_out_scores",
    "ridge_grid",
    "ridge_weights",
    "ridge_weights_with_intercept",
    "select_ridge",
    "validation_scores",
]
