"""Dataset distillation in closed form: a few points whose ridge regression model is that of all the data."""

import importlib
from typing import TYPE_CHECKING, Any

from analytic_dd import features, labels
from analytic_dd.distill import (
    DistilledFeatures,
    distill_features,
    few_features,
    future_set,
    gradient_set,
    hard_label_features,
    minimal_features,
    nearest_features,
    one_image_features,
    several_ridges_features,
    spanning_features,
    sufficient_set,
    trajectory_set,
    update,
)
from analytic_dd.distill.local_span import near_copies
from analytic_dd.errors import DataError, InfeasibleError, RangeError, RankWarning, ShapeError
from analytic_dd.io import DistilledSet, load_distilled, save_distilled
from analytic_dd.judge import Certificate, certify_recovery, point_bounds
from analytic_dd.labels import glm_labels
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import ridge_weights, select_ridge

if TYPE_CHECKING:
    from analytic_dd.estimator import RidgeDistiller, RidgeDistillerRegressor

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "DataError",
    "DistilledFeatures",
    "DistilledSet",
    "GramStatistics",
    "InfeasibleError",
    "RangeError",
    "RankWarning",
    "RidgeDistiller",
    "RidgeDistillerRegressor",
    "ShapeError",
    "certify_recovery",
    "distill_features",
    "features",
    "few_features",
    "future_set",
    "glm_labels",
    "gradient_set",
    "hard_label_features",
    "labels",
    "load_distilled",
    "minimal_features",
    "near_copies",
    "nearest_features",
    "one_image_features",
    "point_bounds",
    "ridge_weights",
    "save_distilled",
    "select_ridge",
    "several_ridges_features",
    "spanning_features",
    "sufficient_set",
    "trajectory_set",
    "update",
]


def __getattr__(name: str) -> Any:
    """Import scikit-learn, half of the time and of the memory of all imports, only where an estimator is asked for."""
    if name in ("RidgeDistiller", "RidgeDistillerRegressor"):
        return getattr(importlib.import_module("analytic_dd.estimator"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
