"""What the matching methods share: images that descend, and in each step a fresh network and real batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.method import Config, Method, named, part
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.named import network_named
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.baselines.nets.optimizers import Sgd
from analytic_dd.baselines.nets.training import Course, trained

__all__ = ["QUICK", "Augmented", "Matching", "MatchingConfig"]

QUICK: dict[str, Any] = {"batch": 64, "width": 32, "depth": 2}  # sizes for digits


@dataclass(frozen=True)
class MatchingConfig(Config):
    """Options of every matching method."""

    network: str = "convnet"  # ``convnet``, ``mlp``, or ``linear``: no intercept, width and depth do not count
    width: int = 128  # number of channels of a convolution, or of units of a hidden layer
    # Number of blocks (3 by default) or of hidden layers (2 by default)
    depth: int = None  # type: ignore[assignment]  # never None once made
    batch: int = 256  # number of real samples of a class in a step; a class with fewer gives all
    lr: float = 0.1  # step size and momentum of the images
    momentum: float = 0.5
    init: str = "real"  # whether the images start as ``real`` samples or standard normal ``noise``

    def network_for(self, task: Task) -> Network:
        """Return the network for the images of a task."""
        return network_named(self.network, task.shape, task.k, width=self.width, depth=self.depth)

    def __post_init__(self) -> None:
        self.require_choice("network", ("convnet", "mlp", "linear"))
        self.require_choice("init", ("real", "noise"))
        published = 3 if self.network == "convnet" else 2
        object.__setattr__(self, "depth", published if self.depth is None else self.depth)
        self.require_at_least(0, "steps")
        self.require_at_least(1, "depth", "width", "batch")
        self.require_positive("lr")
        self.require_fraction("momentum")


@dataclass(frozen=True)
class Augmented(Config):
    """Options of a method that changes real and synthetic images by one random operation alike."""

    augment: bool = True
    digits: bool = False  # whether to leave out mirror images, in which digits and letters mean something else

    def augmentation(self, task: Task) -> Augmentation | None:
        """Return the augmentation for the images of a task, or None where it is switched off."""
        return Augmentation.for_images(task.shape, digits=self.digits) if self.augment else None


class Matching(Method):
    """Synthetic images that descend so that they act on random networks as real ones do.

    Each step draws one network. Labels are fixed and class-major, and SGD with momentum moves all images.
    """

    config: MatchingConfig

    def start(self) -> None:
        """Take real samples or standard normal noise."""
        self._prepare()
        self.images = self.task.first_images(self.config.init, self.points_per_class, self.rng(-1))

    def _prepare(self) -> None:
        """Make what follows from the config and the task."""
        self.network = self.config.network_for(self.task)
        self.augmentation = self.config.augmentation(self.task) if isinstance(self.config, Augmented) else None
        self.sgd = Sgd(self.config.lr, momentum=self.config.momentum)

    def draw_network(self, generator: torch.Generator) -> Parameters:
        """Return a fresh network."""
        return self.network.draw(generator, device=self.task.device, dtype=self.task.dtype)

    def synthetic(self, label: int) -> torch.Tensor:
        """Return the images of a class, as a leaf of a new graph."""
        first = label * self.points_per_class
        return self.images[first : first + self.points_per_class].detach().requires_grad_()

    def batches(
        self, label: int, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return a real batch of a class and its synthetic images, augmented alike, and the leaf of the latter."""
        leaf = self.synthetic(label)
        real, synthetic = self.task.images(self.task.draw(label, self.config.batch, rng)), leaf
        if self.augmentation is not None:
            shared = self.augmentation.draw(1, generator)
            real, synthetic = self.augmentation(real, shared), self.augmentation(leaf, shared)
        return real, synthetic, leaf

    def trained_on_set(
        self, weights: Parameters, generator: torch.Generator, epochs: int, *, lr: float, batch: int
    ) -> Parameters:
        """Return a network after epochs of plain gradient descent on the images as they are."""

        def samples(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            rows = rows.to(self.task.device)
            return self.images[rows], self.classes_of_points[rows]

        course = Course(epochs, batch, lr, augmentation=self.augmentation, always_shuffled=True)
        m = len(self.images)
        return trained(self.network, weights, samples, m, course, generators=[generator], ledger=self.ledger)

    @property
    def real_of_all_classes(self) -> int:
        """Number of real samples in the batches of all classes."""
        return sum(min(self.config.batch, len(found)) for found in self.task.members)

    def descend(self, gradients: list[torch.Tensor]) -> bool:
        """Move the images against the gradients of their classes, and say whether the descent can go on.

        It cannot where the squares of the images overflow: an instance norm makes such images zero, and the loss
        constant.
        """
        with torch.no_grad():
            self.images = self.sgd.step({"images": self.images}, {"images": torch.cat(gradients)})["images"]
        return bool(torch.isfinite((self.images * self.images).sum()))

    def state(self) -> dict[str, torch.Tensor]:
        """Return the images and their velocities."""
        return {"images": self.images.clone()} | named("sgd", self.sgd.state())

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state."""
        self._prepare()
        self.images = state["images"].clone()
        self.sgd.restore(part("sgd", state))

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and one-hot labels."""
        return self.images.clone(), F.one_hot(self.classes_of_points, self.task.k).to(self.task.dtype)

    @property
    def knob(self) -> str:
        """Name the step size to lower."""
        return f"lower lr (step size of the images, {self.config.lr:g} now)"
