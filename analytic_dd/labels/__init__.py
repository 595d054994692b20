"""Labels of distilled sets: one-hot, centred, learned (T4), scaled to feasibility (T4')."""

from analytic_dd.labels.given_features import feasible_scale, labels_for, scale_to_feasible
from analytic_dd.labels.one_hot import centred_one_hot, one_hot, repeated_classes

__all__ = ["centred_one_hot", "feasible_scale", "labels_for", "one_hot", "repeated_classes", "scale_to_feasible"]
