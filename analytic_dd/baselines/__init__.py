"""What a distilled set is compared with."""

from analytic_dd.baselines.controls import accuracies_on_test, class_means, control_models

__all__ = ["accuracies_on_test", "class_means", "control_models"]
