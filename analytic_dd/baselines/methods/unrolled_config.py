"""Options of the methods that differentiate through the training of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.experts import Experts, Training
from analytic_dd.baselines.methods.method import Config
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import UNROLLS
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.named import NETWORKS, network_named
from analytic_dd.baselines.nets.network import SCHEMES, Network

__all__ = ["QUICK", "UnrolledConfig", "out_of_range", "remedy"]

_GRAPH = 2.0  # numbers that the graph of a gradient keeps for one that a layer puts out (1.7 measured on ConvNet)
QUICK: dict[str, Any] = {"network": "mlp", "width": 64, "depth": 1, "steps": 150}  # sizes for digits


@dataclass(frozen=True)
class UnrolledConfig(Config):
    """A network, how experts of it are trained, and how the unroll is differentiated."""

    network: str = "convnet"  # ``convnet``, ``mlp``, ``resnet18``, ``vgg11`` or ``alexnet``
    width: int | None = None  # see :func:`network_named`
    depth: int | None = None
    # How the first weights are drawn: ``xavier``, ``he`` or ``uniform``, see :meth:`Network.draw`
    scheme: str = "uniform"
    experts: int = 100  # number of networks that are trained on the training part
    expert_epochs: int = None  # type: ignore[assignment]  # each method says what it needs
    expert_lr: float = 0.01  # step size of their plain gradient descent
    expert_batch: int = 256
    # Runs with the same number share their experts. It is the seed of the run by default.
    expert_seed: int | None = None
    expert_folder: str | None = None  # folder that keeps experts for runs to come; without it they stay in memory
    expert_memory: float = 2e9  # bytes of experts to hold in memory where the folder has them too
    # ``recompute`` bounds the memory and ``graph`` is faster, see :func:`unrolled_gradient`; ``auto`` keeps the graph
    # where it is expected to take at most ``unroll_memory`` bytes
    unroll: str = "auto"
    unroll_memory: float = 4e9

    learns_step_size: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.require_choice("network", NETWORKS)
        self.require_choice("scheme", SCHEMES)
        self.require_choice("unroll", ("auto", *UNROLLS))
        if self.expert_folder is not None:
            object.__setattr__(self, "expert_folder", str(self.expert_folder))
        self.require_at_least(0, "steps", "expert_seed")
        self.require_at_least(1, "width", "depth", "experts", "expert_epochs", "expert_batch")
        self.require_positive("expert_lr", "expert_memory", "unroll_memory")

    def network_for(self, task: Task) -> Network:
        """Return the network for the images of a task."""
        return network_named(self.network, task.shape, task.k, width=self.width, depth=self.depth)

    def experts_for(
        self, task: Task, *, seed: int, ledger: Ledger, augmentation: Augmentation | None = None, every: bool = True
    ) -> Experts:
        """Return the experts, each of which is trained when it is first asked for."""
        epochs, lr, batch = self.expert_epochs, self.expert_lr, self.expert_batch
        training = Training(epochs, lr, batch, self.scheme, augmentation, every)
        seed = seed if self.expert_seed is None else self.expert_seed
        network, folder = self.network_for(task), self.expert_folder
        return Experts(network, task, training, seed=seed, ledger=ledger, folder=folder, memory=self.expert_memory)

    def unroll_of(self, samples: int, task: Task) -> str:
        """Return ``graph`` or ``recompute`` for a descent whose steps see so many samples in all."""
        if self.unroll != "auto":
            return self.unroll
        item = torch.empty(0, dtype=task.dtype).element_size()
        graph = _GRAPH * item * samples * sum(numbers for _, numbers in self.network_for(task).outputs)
        return "graph" if graph <= self.unroll_memory else "recompute"


def out_of_range(values: Mapping[str, torch.Tensor], sizes: torch.Tensor) -> str:
    """Return what can no longer be computed with: "sizes" for step sizes, "values" for what is learned, or "".

    Step sizes must be positive and finite, and the squares of the values finite. Networks that normalise would turn
    larger images into constants and go on with a finite loss.
    """
    if not bool(((sizes > 0.0) & sizes.isfinite()).all()):
        return "sizes"
    return "" if all(bool((one * one).sum().isfinite()) for one in values.values()) else "values"


def remedy(config: UnrolledConfig, fault: str, used: float, *, first: str, sizes: str, values: str) -> str:
    """Return what to change after a descent at step sizes up to ``used``, by the names of the three options.

    Parameters
    ----------
    fault : str
        What :func:`out_of_range` found.
    first, sizes, values : str
        The options that say the first step size, how fast step sizes move, and how fast the images do.
    """
    now = {name: f"{name} ({getattr(config, name):g} now)" for name in (first, sizes, values)}
    if fault:
        return f"lower {now[sizes if fault == 'sizes' else values]}"
    return f"the networks diverged at step sizes up to {used:.3g}; lower {now[first]}, {now[sizes]} or {now[values]}"
