"""Ridge regression: weights, the path over all ridges, the choice of one, and of the solver."""

from analytic_dd.ridge.choice import (
    RidgeChoice,
    choose_ridge,
    ridge_grid,
    select_ridge,
)
from analytic_dd.ridge.dual import DualStatistics
from analytic_dd.ridge.fit import FittedWeights, SampleBlocks, fit_weights, require_scale
from analytic_dd.ridge.refinement import RefinedWeights, refine_weights
from analytic_dd.ridge.scores import leave_one_out_scores, validation_scores
from analytic_dd.ridge.solver_choice import SOLVERS, SolverChoice, choose_solver
from analytic_dd.ridge.stream import SampleStream
from analytic_dd.ridge.stream_weights import StreamWeights, stream_weights
from analytic_dd.ridge.weights import AffineWeights, ridge_weights, ridge_weights_with_intercept

__all__ = [
    "SOLVERS",
    "AffineWeights",
    "DualStatistics",
    "FittedWeights",
    "RefinedWeights",
    "RidgeChoice",
    "SampleBlocks",
    "SampleStream",
    "SolverChoice",
    "StreamWeights",
    "choose_ridge",
    "choose_solver",
    "fit_weights",
    "leave_one_out_scores",
    "refine_weights",
    "require_scale",
    "ridge_grid",
    "ridge_weights",
    "ridge_weights_with_intercept",
    "select_ridge",
    "stream_weights",
    "validation_scores",
]
