"""Linear gradient matching: images on which a random linear head of a frozen network has the gradient of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.kernel_config import feature_map_of
from analytic_dd.baselines.methods.method import Config, Method, named, part
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.optimizers import Adam
from analytic_dd.features import check_text

__all__ = ["LgmConfig", "LinearGradientMatching", "head_gradient"]

_BLOCK = 128  # synthetic images that pass back through the network at a time
_BACKBONE = "network:analytic_dd.features.backbones:efficientnet_lite0"


@dataclass(frozen=True)
class LgmConfig(Config):
    """Options of linear gradient matching; the defaults are ours."""

    features: str = _BACKBONE  # the frozen map, as on the command line: a backbone, or any other
    batch: int = 128  # number of real samples of a class in a step; a class with fewer gives all
    lr: float = 0.01  # step size of Adam
    init: str = "real"  # whether the images start as ``real`` samples or standard normal ``noise``
    # The images are sums of so many resolutions, each half of the one before; 1 is the images themselves
    levels: int = 1
    augment: bool = False  # whether real and synthetic images go through the same random operation

    quick: ClassVar[Mapping[str, Any]] = {"features": "fcnn", "batch": 64, "steps": 100}

    def __post_init__(self) -> None:
        check_text(self.features)
        self.require_choice("init", ("real", "noise"))
        self.require_at_least(0, "steps")
        self.require_at_least(1, "batch", "levels")
        self.require_positive("lr")


def head_gradient(Phi: torch.Tensor, classes: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
    r"""Return the gradient of the cross-entropy by the linear head ``W`` (k, p) at features ``Phi`` (n, p).

        (softmax(Phi W^T) - Y)^T Phi / n

    Examples
    --------
    >>> head_gradient(torch.tensor([[2.0, 4.0]]), torch.tensor([0]), torch.zeros(2, 2))
    tensor([[-1., -2.],
            [ 1.,  2.]])
    """
    residual = torch.softmax(Phi @ W.T, dim=1) - F.one_hot(classes, len(W)).to(Phi.dtype)
    return residual.T @ Phi / len(Phi)


class LinearGradientMatching(Method):
    r"""LGM: the gradients of random linear heads on a frozen network psi agree in direction.

        min over S   E_W  1 - cos( gradient at W on real x, gradient at W on s ),     W ~ N(0, 1), (k, p)

    Notes
    -----
    *Cost.* A step maps k batch real and m synthetic images, and goes back through m; above 128 images in blocks, whose
    features are computed twice so that memory holds one block.
    As published, in a pyramid of resolutions (``levels``); colours are not decorrelated here.

    References
    ----------
    "Linear gradient matching", NeurIPS 2025.
    """

    name = "lgm"
    config_type = LgmConfig
    config: LgmConfig

    def start(self) -> None:
        """Take real samples or noise, in the finest resolution; the others start at 0."""
        self._prepare()
        images = self.task.first_images(self.config.init, self.points_per_class, self.rng(-1))
        self.levels = {"0": images} | {
            f"{level}": images.new_zeros((*images.shape[:2], *(max(1, n >> level) for n in images.shape[2:])))
            for level in range(1, self.config.levels)
        }

    def _prepare(self) -> None:
        self.map = feature_map_of(self.config.features, self.task, self.rng(-1, 1))
        self.augmentation = Augmentation.for_images(self.task.shape) if self.config.augment else None
        self.adam = Adam(self.config.lr)

    def images(self, levels: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the resolutions."""
        size = levels["0"].shape[2:]
        coarse = [F.interpolate(level, size=size, mode="bilinear") for key, level in levels.items() if key != "0"]
        return sum(coarse, levels["0"])

    def step(self, index: int) -> float:
        """Draw a head and move the images towards its gradient on a real batch."""
        rng, generator, task = self.rng(index), self.generator(index), self.task
        W = torch.randn((task.k, self.map.p), generator=generator, dtype=task.dtype).to(task.device)
        rows = np.concatenate([task.draw(label, self.config.batch, rng) for label in range(task.k)])
        leaves = {key: level.detach().requires_grad_() for key, level in self.levels.items()}
        real, synthetic = task.images(rows), self.images(leaves)
        if self.augmentation is not None:
            shared = self.augmentation.draw(1, generator)
            real, synthetic = self.augmentation(real, shared), self.augmentation(synthetic, shared)
        with torch.no_grad():
            wanted = head_gradient(self.map(task.as_rows(real)), task.labels(rows), W)
        loss, along = self._loss(task.as_rows(synthetic).detach(), wanted, W)
        gradients = torch.autograd.grad(task.as_rows(synthetic), list(leaves.values()), along)
        with torch.no_grad():
            self.levels = self.adam.step(self.levels, dict(zip(leaves, gradients, strict=True)))
        m = len(synthetic)
        self.ledger.add(real_forward=len(rows), synthetic_forward=m, synthetic_backward=m)
        return loss

    def _loss(self, X: torch.Tensor, wanted: torch.Tensor, W: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return the loss at rows X (m, d) and its gradient; the network is passed back through a block at a time."""
        blocks = [X[start : start + _BLOCK].requires_grad_() for start in range(0, len(X), _BLOCK)]
        one = self.map(blocks[0]) if len(blocks) == 1 else None  # its graph is kept, no feature is computed twice
        with torch.no_grad():
            Phi = torch.cat([self.map(block) for block in blocks]) if one is None else one.detach()
        found = head_gradient(Phi.requires_grad_(), self.classes_of_points, W)
        loss = 1.0 - F.cosine_similarity(found.reshape(-1), wanted.reshape(-1), dim=0)
        (along,) = torch.autograd.grad(loss, Phi)
        of_blocks = [
            torch.autograd.grad(self.map(block) if one is None else one, block, part)[0]
            for block, part in zip(blocks, torch.split(along, _BLOCK), strict=True)
        ]
        return float(loss.detach()), torch.cat(of_blocks)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the resolutions and the moments of Adam."""
        return named("levels", {key: level.clone() for key, level in self.levels.items()}) | named(
            "adam", self.adam.state()
        )

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state."""
        self._prepare()
        self.levels = {key: level.clone() for key, level in part("levels", state).items()}
        self.adam.restore(part("adam", state))

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and one-hot labels."""
        return self.images(self.levels).clone(), F.one_hot(self.classes_of_points, self.task.k).to(self.task.dtype)

    @property
    def knob(self) -> str:
        """Name the step size to lower."""
        return f"lower lr (step size of Adam, {self.config.lr:g} now)"
