"""Dataset distillation in closed form: a few points whose ridge regression model is that of all the data."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the names below are; each is imported where it is asked for
    from analytic_dd import features, labels
    from analytic_dd.distill import (
        DistilledFeatures,
        byte_set,
        distill_features,
        few_features,
        future_set,
        gradient_set,
        hard_label_features,
        merge_sets,
        minimal_features,
        nearest_features,
        one_image_features,
        several_ridges_features,
        spanning_features,
        sufficient_set,
        trajectory_set,
    )
    from analytic_dd.distill.local_span import near_copies
    from analytic_dd.distill.trained import balanced_layers, balanced_units, linear_network_set, relu_network_set
    from analytic_dd.errors import DataError, InfeasibleError, RangeError, RankWarning, ShapeError
    from analytic_dd.estimator import RidgeDistiller, RidgeDistillerRegressor
    from analytic_dd.io import DistilledSet, load_distilled, save_distilled
    from analytic_dd.judge import Certificate, certify_recovery, point_bounds, stationarity_certificate
    from analytic_dd.labels import glm_labels
    from analytic_dd.linalg import GramStatistics
    from analytic_dd.model import FitOptions
    from analytic_dd.one_call import distill  # the package of that name is this function as well
    from analytic_dd.report.later import update
    from analytic_dd.ridge import ridge_weights, select_ridge

__version__ = "0.2.0.dev0"

__all__ = [
    "Certificate",
    "DataError",
    "DistilledFeatures",
    "DistilledSet",
    "FitOptions",
    "GramStatistics",
    "InfeasibleError",
    "RangeError",
    "RankWarning",
    "RidgeDistiller",
    "RidgeDistillerRegressor",
    "ShapeError",
    "balanced_layers",
    "balanced_units",
    "byte_set",
    "certify_recovery",
    "distill",
    "distill_features",
    "features",
    "few_features",
    "future_set",
    "glm_labels",
    "gradient_set",
    "hard_label_features",
    "labels",
    "linear_network_set",
    "load_distilled",
    "merge_sets",
    "minimal_features",
    "near_copies",
    "nearest_features",
    "one_image_features",
    "point_bounds",
    "relu_network_set",
    "ridge_weights",
    "save_distilled",
    "select_ridge",
    "several_ridges_features",
    "spanning_features",
    "stationarity_certificate",
    "sufficient_set",
    "trajectory_set",
    "update",
]

_PACKAGES = (
    "baselines",
    "cluster",
    "data",
    "distill",
    "export",
    "features",
    "judge",
    "labels",
    "linalg",
    "losses",
    "model",
    "report",
    "ridge",
)
_HOMES = {
    "distill": (
        "DistilledFeatures",
        "byte_set",
        "distill_features",
        "few_features",
        "future_set",
        "gradient_set",
        "hard_label_features",
        "merge_sets",
        "minimal_features",
        "nearest_features",
        "one_image_features",
        "several_ridges_features",
        "spanning_features",
        "sufficient_set",
        "trajectory_set",
    ),
    "distill.local_span": ("near_copies",),
    "distill.trained": ("balanced_layers", "balanced_units", "linear_network_set", "relu_network_set"),
    "errors": ("DataError", "InfeasibleError", "RangeError", "RankWarning", "ShapeError"),
    "estimator": ("RidgeDistiller", "RidgeDistillerRegressor"),
    "io": ("DistilledSet", "load_distilled", "save_distilled"),
    "judge": ("Certificate", "certify_recovery", "point_bounds", "stationarity_certificate"),
    "labels": ("glm_labels",),
    "linalg": ("GramStatistics",),
    "model": ("FitOptions",),
    "report.later": ("update",),
    "ridge": ("ridge_weights", "select_ridge"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name where it is first asked for: all of them, with scikit-learn for the estimators, take seconds."""
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
