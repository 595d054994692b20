"""Options of the methods that differentiate through the training of a network: the network, its experts, the unroll."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.experts import Experts, Training
from analytic_dd.baselines.methods.method import Config, require_choice
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import UNROLLS
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.named import NETWORKS, network_named
from analytic_dd.baselines.nets.network import SCHEMES, Network

__all__ = ["QUICK", "UnrolledConfig", "out_of_range", "require_at_least", "require_positive"]

QUICK: dict[str, Any] = {"network": "mlp", "width": 64, "depth": 1, "steps": 150}  # sizes for digits


@dataclass(frozen=True)
class UnrolledConfig(Config):
    """A network, how experts of it are trained, and how the unroll is differentiated.

    Attributes
    ----------
    network : str
        ``convnet``, ``mlp``, ``resnet18``, ``vgg11`` or ``alexnet``.
    width, depth : int, optional
        Of the network, see :func:`network_named`.
    scheme : str
        First weights: ``xavier``, ``he`` or ``uniform``, see :meth:`Network.draw`.
    experts : int
        Networks that are trained on the training part.
    expert_epochs : int
    expert_lr : float
        Step size of their plain gradient descent.
    expert_batch : int
    expert_seed : int, optional
        Runs with the same number share their experts. Default: the seed of the run.
    expert_folder : str, optional
        Where experts are kept, for runs to come; in memory only by default.
    expert_memory : float
        Bytes of experts in memory where they are on file.
    unroll : str
        ``recompute`` bounds the memory, ``graph`` is faster; see :func:`unrolled_gradient`.
    """

    network: str = "convnet"
    width: int | None = None
    depth: int | None = None
    scheme: str = "uniform"
    experts: int = 100
    expert_epochs: int = None  # type: ignore[assignment]  # each method says what it needs
    expert_lr: float = 0.01
    expert_batch: int = 256
    expert_seed: int | None = None
    expert_folder: str | None = None
    expert_memory: float = 2e9
    unroll: str = "recompute"

    def __post_init__(self) -> None:
        require_choice("network", self.network, NETWORKS)
        require_choice("scheme", self.scheme, SCHEMES)
        require_choice("unroll", self.unroll, UNROLLS)
        if self.expert_folder is not None:
            object.__setattr__(self, "expert_folder", str(self.expert_folder))
        require_at_least(self, 0, "steps", "expert_seed")
        require_at_least(self, 1, "width", "depth", "experts", "expert_epochs", "expert_batch")
        require_positive(self, "expert_lr", "expert_memory")

    def network_for(self, task: Task) -> Network:
        """Return the network for the images of a task."""
        return network_named(self.network, task.shape, task.k, width=self.width, depth=self.depth)

    def experts_for(
        self, task: Task, *, seed: int, ledger: Ledger, augmentation: Augmentation | None = None, every: bool = True
    ) -> Experts:
        """Return the experts; none is trained before it is asked for."""
        epochs, lr, batch = self.expert_epochs, self.expert_lr, self.expert_batch
        training = Training(epochs, lr, batch, self.scheme, augmentation, every)
        seed = seed if self.expert_seed is None else self.expert_seed
        network, folder = self.network_for(task), self.expert_folder
        return Experts(network, task, training, seed=seed, ledger=ledger, folder=folder, memory=self.expert_memory)


def require_at_least(config: Config, least: int, *names: str) -> None:
    """Refuse options below ``least``; None is no number."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"{name} must be >= {least}, got {value}")


def require_positive(config: Config, *names: str) -> None:
    """Refuse options that are not positive and finite; None is no number."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be > 0 and finite, got {value}")


def out_of_range(values: Mapping[str, torch.Tensor], sizes: torch.Tensor) -> str:
    """Return what is no number any more: ``values`` whose squares overflow, step ``sizes`` that do or vanish; or "".

    Networks that normalise would make images as large constants, and go on with a finite loss.
    """
    if not bool(((sizes > 0.0) & sizes.isfinite()).all()):
        return "sizes"
    return "" if all(bool((one * one).sum().isfinite()) for one in values.values()) else "values"
