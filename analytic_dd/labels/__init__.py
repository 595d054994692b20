"""Labels of distilled sets: one-hot, centred, learned (T4, T18), scaled to feasibility (T4')."""

from analytic_dd.labels.given_features import feasible_scale, labels_for, scale_to_feasible
from analytic_dd.labels.glm import GLMLabels, glm_labels
from analytic_dd.labels.one_hot import centred_one_hot, one_hot, repeated_classes

__all__ = [
    "GLMLabels",
    "centred_one_hot",
    "feasible_scale",
    "glm_labels",
    "labels_for",
    "one_hot",
    "repeated_classes",
    "scale_to_feasible",
]
