"""Distribution matching: synthetic images whose mean features are those of their class in random networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from analytic_dd.baselines.methods.matching import QUICK, Augmented, Matching, MatchingConfig
from analytic_dd.baselines.methods.objective import Objective, class_sums

__all__ = ["DistributionMatching", "DmConfig", "distance_of_means"]


@dataclass(frozen=True)
class DmConfig(MatchingConfig, Augmented):
    """Options of distribution matching; see :class:`MatchingConfig` for the others."""

    steps: int = 20_000
    lr: float = 1.0

    quick: ClassVar[Mapping[str, Any]] = QUICK | {"steps": 100, "augment": False}


def distance_of_means(real: torch.Tensor, synthetic: torch.Tensor) -> torch.Tensor:
    """Return |mean of the rows of ``real`` (n, p) - mean of the rows of ``synthetic`` (m, p)|^2.

    Examples
    --------
    >>> distance_of_means(torch.tensor([[0.0, 2.0], [2.0, 2.0]]), torch.tensor([[1.0, 5.0]]))
    tensor(9.)
    """
    difference = real.mean(dim=0) - synthetic.mean(dim=0)
    return (difference * difference).sum()


class DistributionMatching(Matching):
    r"""DM: the mean features of each class agree, in the mean over random networks psi.

        min over S   E_psi sum_c | mean of psi(x) over x of class c - mean of psi(s) over s of class c |^2

    A step draws an untrained network, of which psi is all but the classifier, and for each class a real batch and an
    augmentation.

    Notes
    -----
    *Cost.* A step takes k (batch + IPC) forward and k IPC backward passes; no network is trained. The synthetic images
    of all classes go through the network together, and memory holds what they leave there, and one real batch.
    *Numerics.* With an orthonormal linear psi one step of lr = IPC / 2 lands on the class means.

    References
    ----------
    Zhao, Bilen, "Dataset condensation with distribution matching", WACV 2023.
    """

    name = "dm"
    config_type = DmConfig
    config: DmConfig

    def step(self, index: int) -> float:
        """Draw a network, and move every class towards its mean features."""
        rng, generator = self.rng(index), self.generator(index)
        network = self.draw_network(generator)
        leaves, augmented, means = [], [], []
        for label in range(self.task.k):
            real, synthetic, leaf = self.batches(label, rng, generator)
            with torch.no_grad():
                means.append(self.network.embed(network, real).mean(dim=0, keepdim=True))
            leaves.append(leaf)
            augmented.append(synthetic)
            self.ledger.add(real_forward=len(real), synthetic_forward=len(leaf), synthetic_backward=len(leaf))
        embedded = self.network.embed(network, torch.cat(augmented)).split(self.points_per_class)
        loss = torch.stack([distance_of_means(*pair) for pair in zip(means, embedded, strict=True)]).sum()
        gradients = torch.autograd.grad(loss, leaves)
        return float(loss.detach()) if self.descend(list(gradients)) else float("nan")

    def passes_per_step(self) -> dict[str, int]:
        """Return what one step adds to the ledger."""
        m = self.task.k * self.points_per_class
        return {"real_forward": self.real_of_all_classes, "synthetic_forward": m, "synthetic_backward": m}

    def calls_per_step(self) -> int:
        """Return how often one step calls a network: three times a class."""
        return 3 * self.task.k

    def objective(self, inputs: np.ndarray, labels: np.ndarray, learned: Mapping[str, float]) -> Objective | None:
        """Return the squared distances of class means in pixels: a linear network has nothing before its classifier.

        One point a class, the mean, makes it 0 (T20c).
        """
        if self.config.network != "linear" or self.config.augment:
            return None
        means = inputs.reshape(self.task.k, self.points_per_class, -1).mean(axis=1)
        reached = sum(
            float(np.sum((means[label] - sums.C[label]) ** 2)) for label, sums in enumerate(class_sums(self.task))
        )
        return Objective(reached, 0.0, "T20c")
