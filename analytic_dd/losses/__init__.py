"""Losses of generalised linear models and the original model of T18: squared, softmax, logistic, poisson."""

from analytic_dd.losses.logistic import Logistic
from analytic_dd.losses.loss import Loss
from analytic_dd.losses.minimiser import GLMWeights, glm_weights, stream_glm_weights
from analytic_dd.losses.objective import PenalisedLoss
from analytic_dd.losses.poisson import Poisson
from analytic_dd.losses.registry import LOSSES, as_loss
from analytic_dd.losses.softmax import Softmax
from analytic_dd.losses.squared import Squared

__all__ = [
    "LOSSES",
    "GLMWeights",
    "Logistic",
    "Loss",
    "PenalisedLoss",
    "Poisson",
    "Softmax",
    "Squared",
    "as_loss",
    "glm_weights",
    "stream_glm_weights",
]
