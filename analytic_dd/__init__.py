"""Dataset distillation in closed form: a few points whose ridge regression model is that of all the data."""

import importlib
import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from analytic_dd import distill, features, labels
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
    update,
)
from analytic_dd.distill.local_span import near_copies
from analytic_dd.distill.trained import balanced_layers, balanced_units, linear_network_set, relu_network_set
from analytic_dd.errors import DataError, InfeasibleError, RangeError, RankWarning, ShapeError
from analytic_dd.io import DistilledSet, load_distilled, save_distilled
from analytic_dd.judge import Certificate, certify_recovery, point_bounds, stationarity_certificate
from analytic_dd.labels import glm_labels
from analytic_dd.linalg import GramStatistics
from analytic_dd.ridge import ridge_weights, select_ridge

if TYPE_CHECKING:
    from analytic_dd.estimator import RidgeDistiller, RidgeDistillerRegressor
    from analytic_dd.model import FitOptions

__version__ = "0.1.0"

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


class _CallableModule(ModuleType):
    """The package ``analytic_dd.distill``, which is the function of that name as well."""

    def __call__(self, *arguments: Any, **options: Any) -> DistilledSet:
        made: DistilledSet = importlib.import_module("analytic_dd.one_call").distill(*arguments, **options)
        return made

    def __getattr__(self, name: str) -> Any:
        if name in ("__wrapped__", "__signature__"):  # what inspect.signature and help look at
            function = importlib.import_module("analytic_dd.one_call").distill
            return function if name == "__wrapped__" else inspect.signature(function)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules["analytic_dd.distill"].__class__ = _CallableModule

_LATER = {  # name: the module that it is imported from, where it is asked for
    "FitOptions": "model",  # these make half of the time of all imports
    "RidgeDistiller": "estimator",  # scikit-learn takes as much again
    "RidgeDistillerRegressor": "estimator",
}


def __getattr__(name: str) -> Any:
    """Import what takes long only where it is asked for."""
    if name in _LATER:
        return getattr(importlib.import_module(f"analytic_dd.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
