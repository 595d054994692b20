"""Label Solve: the labels of real samples with which kernel ridge regression predicts the training set best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from analytic_dd.baselines.methods.kernel_config import KernelConfig, first_points, kernel_of
from analytic_dd.baselines.methods.kernel_target import KernelTarget
from analytic_dd.baselines.methods.kernels import FeatureKernel
from analytic_dd.baselines.methods.krr import ridge_value, sums_loss
from analytic_dd.baselines.methods.method import Method
from analytic_dd.baselines.methods.solved_labels import feature_labels, kernel_labels

__all__ = ["LabelSolve", "LabelSolveConfig"]


@dataclass(frozen=True)
class LabelSolveConfig(KernelConfig):
    """Options of Label Solve: the kernel or features, and the ridge of the predictor that scores the set."""

    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps not in (0, 1):
            raise ValueError(f"Label Solve is one step, got steps = {self.steps}")


class LabelSolve(Method):
    r"""Solve for the labels of real samples in one step.

        y_s = argmin over y of |K_Ts (K_ss + lambda I)^-1 y - Y|^2 / (2 n k)

    Notes
    -----
    *Cost.* One pass of the kernel over the training set takes n m entries, in blocks, and 3 n (m + k)^2 flops;
    with finite features the sums of the training set take n p^2 flops.
    *Numerics.* lambda belongs to the predictor that scores the set; for another one the labels are not stationary.

    References
    ----------
    Nguyen, Chen, Lee, "Dataset meta-learning from kernel ridge-regression", ICLR 2021.
    """

    name = "label-solve"
    config_type = LabelSolveConfig
    dtype = torch.float64
    config: LabelSolveConfig

    def start(self) -> None:
        """Take real samples, or noise, with one-hot labels."""
        self.x = first_points(self.config, self.task, self.points_per_class, self.rng(-1, 1))
        self.y = torch.nn.functional.one_hot(self.classes_of_points, self.task.k).to(self.dtype)

    def step(self, index: int) -> float:
        """Solve for the labels and return half the mean squared error on the training set."""
        config, ledger, m = self.config, self.ledger, len(self.x)
        kernel = kernel_of(config, self.task, seed=self.seed)
        # One pass over the data needs nothing in memory.
        target = KernelTarget(self.task, kernel, centred=config.centred, memory=0.0, ledger=ledger)
        if isinstance(kernel, FeatureKernel):
            Phis, sums = kernel.features(self.x), target.sums()
            ridge = self._ridge((Phis * Phis).sum())
            self.y = feature_labels(Phis, sums.G, sums.C, ridge)
            ledger.synthetic_forward += m
            return float(sums_loss(Phis, sums, self.y, ridge))
        K_ss = kernel(self.x)
        blocks = ((kernel(X, self.x), Y) for X, Y in target.blocks())
        found = kernel_labels(K_ss, blocks, self._ridge(K_ss.trace()))
        self.y = found.labels
        ledger.kernel_entries += m * m + self.task.n * m
        return 0.5 * found.squares / (self.task.n * self.task.k)

    def _ridge(self, trace: torch.Tensor) -> torch.Tensor:
        return ridge_value(trace, len(self.x), relative=self.config.ridge_relative, absolute=self.config.ridge)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the inputs and the labels."""
        return {"x": self.x.clone(), "y": self.y.clone()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state."""
        self.x, self.y = state["x"].clone(), state["y"].clone()

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and their labels."""
        return self.task.as_images(self.x).contiguous(), self.y.clone()

    @property
    def knob(self) -> str:
        """Name the option to change."""
        return "raise ridge_relative"
