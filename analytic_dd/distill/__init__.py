"""Constructions of exact and of best possible distilled sets, as functions of arrays and as options."""

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

from analytic_dd.distill.affine import affine_features, affine_minimal_features
from analytic_dd.distill.box import move_into_box, pixel_box
from analytic_dd.distill.bytes import ByteSet, byte_set
from analytic_dd.distill.circles import circle_features
from analytic_dd.distill.construction import Construction, chosen, modes, options, register
from analytic_dd.distill.distilled import DistilledFeatures, DistilledInputs
from analytic_dd.distill.exact import distill_features, free_matrix, largest_ridge, target
from analytic_dd.distill.few import Few, few_features
from analytic_dd.distill.future import FutureSet, future_set, merge_sets, update
from analytic_dd.distill.given_labels import Exact
from analytic_dd.distill.gradients import GradientSet, gradient_set
from analytic_dd.distill.hard_labels import HardLabelled, hard_label_features
from analytic_dd.distill.intercept import add_intercept, labels_with_intercept
from analytic_dd.distill.kept import Future, Gradients, Sufficient, Trajectory
from analytic_dd.distill.minimal import Minimal, minimal_features
from analytic_dd.distill.near_copies import NearCopies, OneImage
from analytic_dd.distill.near_references import Nearest
from analytic_dd.distill.nearest import NearestFeatures, nearest_features
from analytic_dd.distill.one_image import OneImageFeatures, one_image_features
from analytic_dd.distill.problem import Problem, References
from analytic_dd.distill.reference_choice import choose_rows, herding_rows
from analytic_dd.distill.segments import SegmentSet, segment_set
from analytic_dd.distill.several_ridges import SeveralRidges, SeveralRidgesFeatures, several_ridges_features
from analytic_dd.distill.spanning import greedy_rows, spanning_features
from analytic_dd.distill.sufficient import SufficientSet, sufficient_set
from analytic_dd.distill.trajectory import EndPointSet, TrajectorySet, end_point_set, trajectory_set
from analytic_dd.features.ranges import affine_direction

__all__ = [
    "ByteSet",
    "Construction",
    "DistilledFeatures",
    "DistilledInputs",
    "EndPointSet",
    "Exact",
    "Few",
    "Future",
    "FutureSet",
    "GradientSet",
    "Gradients",
    "HardLabelled",
    "Minimal",
    "NearCopies",
    "Nearest",
    "NearestFeatures",
    "OneImage",
    "OneImageFeatures",
    "Problem",
    "References",
    "SegmentSet",
    "SeveralRidges",
    "SeveralRidgesFeatures",
    "Sufficient",
    "SufficientSet",
    "Trajectory",
    "TrajectorySet",
    "add_intercept",
    "affine_direction",
    "affine_features",
    "affine_minimal_features",
    "byte_set",
    "choose_rows",
    "chosen",
    "circle_features",
    "distill_features",
    "end_point_set",
    "few_features",
    "free_matrix",
    "future_set",
    "gradient_set",
    "greedy_rows",
    "hard_label_features",
    "herding_rows",
    "labels_with_intercept",
    "largest_ridge",
    "merge_sets",
    "minimal_features",
    "modes",
    "move_into_box",
    "nearest_features",
    "one_image_features",
    "options",
    "pixel_box",
    "register",
    "segment_set",
    "several_ridges_features",
    "spanning_features",
    "sufficient_set",
    "target",
    "trajectory_set",
    "update",
]


class _CallableModule(ModuleType):
    """This package, which is the function :func:`analytic_dd.one_call.distill` as well."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("analytic_dd.one_call").distill(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("__wrapped__", "__signature__"):  # what inspect.signature and help look at
            function = importlib.import_module("analytic_dd.one_call").distill
            return function if name == "__wrapped__" else inspect.signature(function)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _CallableModule
