"""Dataset distillation by unrolled descent: synthetic images from which a few gradient steps lead to a good network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.methods.experts import Experts
from analytic_dd.baselines.methods.method import Method, named, part
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import Loss, Variables, passes, unrolled_gradient
from analytic_dd.baselines.methods.unrolled_config import QUICK, UnrolledConfig, out_of_range, remedy
from analytic_dd.baselines.nets.network import Parameters, stacked
from analytic_dd.baselines.nets.optimizers import Adam, Optimizer, Sgd
from analytic_dd.baselines.nets.training import summed_loss

__all__ = ["WEIGHTS", "DdConfig", "UnrolledDistillation", "schedule"]

WEIGHTS = ("random", "fixed", "pretrained-random", "pretrained-fixed")


@dataclass(frozen=True)
class DdConfig(UnrolledConfig):
    """Options of unrolled distillation; see :class:`UnrolledConfig` for the network and the experts."""

    steps: int = 23_600
    scheme: str = "xavier"
    experts: int = 200
    expert_epochs: int = 40
    # Where networks start: at ``random`` weights, new ones in each step; at ``fixed`` weights in all steps; at some of
    # the experts after their last epoch (``pretrained-random``), or at the first expert (``pretrained-fixed``)
    weights: str = "random"
    inits: int = 4  # number of networks in a step where they are random
    inner_steps: int = 10  # each epoch has ``inner_steps`` gradient steps
    inner_epochs: int = 3
    # The set is cut into so many parts with equally many images of each class, and the gradient steps see one part
    # after the other. There are ``inner_steps`` parts by default, as published, and at most one for each image of a
    # class.
    parts: int | None = None
    step_size: float = 0.02  # first step size
    step_sizes: str = "each"  # whether ``each`` step of each epoch learns its own step size, or all learn ``one``
    batch: int = 1024  # number of real samples in a step
    optimizer: str = "adam"  # ``adam`` or ``sgd`` moves the images and the logarithms of the step sizes
    lr: float = 0.01  # step size of the images
    lr_step: float = 0.01  # step size of the logarithms; 0 keeps the step sizes as they are
    momentum: float = 0.5  # momentum of ``sgd``
    decay: float = 0.9  # first decay of ``adam``; it is published as 0.5
    # Number of outer steps after which both step sizes are halved, or 0 for never. The default stands for 40 of the
    # published 400 epochs of MNIST.
    halve_every: int = 2_360
    init: str = "noise"  # whether the images start as ``noise`` or ``real`` samples
    # Name or path of the data that experts are trained on, with images of the same shape and as many classes; the data
    # themselves by default
    expert_data: str | None = None
    # Whether the set hinders: networks that train on it shall take ``attack_class`` for ``target_class``, while real
    # images keep the classes of all others. Networks are best ``pretrained-fixed`` or ``pretrained-random``. The
    # predictor ``own-steps`` says in its row which part of the class is ``taken``.
    attack: bool = False
    attack_class: int = 0
    target_class: int = 1

    quick: ClassVar[Mapping[str, Any]] = QUICK | {"inits": 2, "inner_epochs": 1, "batch": 256, "halve_every": 0}
    own_predictor: ClassVar[str | None] = "own-steps"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("weights", WEIGHTS)
        self.require_choice("step_sizes", ("each", "one"))
        self.require_choice("optimizer", ("adam", "sgd"))
        self.require_choice("init", ("noise", "real"))
        self.require_at_least(1, "inits", "inner_steps", "inner_epochs", "parts", "batch")
        self.require_positive("step_size", "lr")
        self.require_at_least(0, "halve_every", "lr_step", "attack_class", "target_class")
        self.require_fraction("momentum", "decay")
        if self.attack and self.attack_class == self.target_class:
            raise ValueError(f"attack_class and target_class must differ, got {self.attack_class} for both")

    @property
    def unrolled(self) -> int:
        """T, all gradient steps of a network."""
        return self.inner_steps * self.inner_epochs

    @property
    def networks(self) -> int:
        """Networks in an outer step."""
        if self.weights.endswith("fixed"):
            return 1
        return min(self.inits, self.experts) if self.weights == "pretrained-random" else self.inits


def schedule(k: int, points_per_class: int, *, parts: int, inner_steps: int, inner_epochs: int) -> list[torch.Tensor]:
    """Return the rows of a class-major set that each gradient step sees, equally many of each class.

    Examples
    --------
    >>> [rows.tolist() for rows in schedule(2, 3, parts=2, inner_steps=3, inner_epochs=1)]
    [[0, 2, 3, 5], [1, 4], [0, 2, 3, 5]]
    """
    parts = min(parts, points_per_class)
    rows = torch.arange(k * points_per_class).reshape(k, points_per_class)
    epoch = [rows[:, step % parts :: parts].flatten() for step in range(inner_steps)]
    return epoch * inner_epochs


class UnrolledDistillation(Method):
    r"""DD: descend on images and step sizes so that networks that train on them fit the training part.

        min over S and eta > 0   E   sum over w_0 of   l(w_T; real batch),     w_(i+1) = w_i - eta_i grad l(w_i; S_i)

    The mean is over the first weights w_0, and the derivative through all T steps is exact.

    Notes
    -----
    *Cost.* With r networks a step takes r batch passes of real samples forward and backward, and 2 r T m / parts passes
    of synthetic samples forward and 3 r T m / parts backward (1 and 2 times with the whole graph). Memory holds one
    gradient step of r networks and r (T + 1) weights.
    *Numerics.* The logarithms of the step sizes are learned, so that step sizes stay positive.

    References
    ----------
    Wang, Zhu, Torralba, Efros, "Dataset distillation", arXiv:1811.10959, 2018.
    """

    name = "dd"
    config_type = DdConfig
    config: DdConfig

    def start(self) -> None:
        """Take noise or real samples, and equal step sizes."""
        self.prepare()
        self.variables = self.first_variables()
        count = self.config.unrolled if self.config.step_sizes == "each" else 1
        self.log_sizes = torch.full((count,), self.config.step_size, dtype=torch.float64).log()

    def first_variables(self) -> dict[str, torch.Tensor]:
        """Return what is learned as it is before the first step."""
        return {"images": self.task.first_images(self.config.init, self.points_per_class, self.rng(-1))}

    def points(self, variables: Variables) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and labels (m, k), differentiable in what is learned."""
        return variables["images"], F.one_hot(self.classes_of_points, self.task.k).to(self.task.dtype)

    def prepare(self) -> None:
        """Make what follows from the config, the task and the seed."""
        config, task = self.config, self.task
        if config.attack and max(config.attack_class, config.target_class) >= task.k:
            raise ValueError(f"attack_class and target_class must be below {task.k}, the number of classes")
        self.network = config.network_for(task)
        self.experts = self._experts()
        self.rows = [rows.to(task.device) for rows in self._schedule()]
        self.counts = self.passes_per_step()
        self.optimizer, self.optimizer_sizes = (self._optimizer(lr) for lr in (config.lr, config.lr_step))
        self.fault, self.used = "", self.config.step_size

    def _experts(self) -> Experts:
        return self.config.experts_for(self._expert_task(), seed=self.seed, ledger=self.ledger, every=False)

    def _expert_task(self) -> Task:
        """Return what experts are trained on."""
        task, name = self.task, self.config.expert_data
        if name is None:
            return task
        (loaded,) = data.load_several([name], offline=True)
        other = Task.of(loaded, device=str(task.device), dtype=task.dtype)
        if (other.shape, other.k) != (task.shape, task.k):
            raise ValueError(
                f"expert_data must have {task.k} classes of images {task.shape}, {name} has {other.k} of {other.shape}"
            )
        return other

    def _schedule(self) -> list[torch.Tensor]:
        config = self.config
        steps, epochs, parts = config.inner_steps, config.inner_epochs, config.parts or config.inner_steps
        return schedule(self.task.k, self.points_per_class, parts=parts, inner_steps=steps, inner_epochs=epochs)

    def _samples(self) -> int:
        """Return how many samples the gradient steps of all networks see."""
        return self.config.networks * sum(len(rows) for rows in self._schedule())

    def _unroll(self) -> str:
        return self.config.unroll_of(self._samples(), self.task)

    def _optimizer(self, lr: float) -> Optimizer:
        config = self.config
        return Adam(lr, decay=config.decay) if config.optimizer == "adam" else Sgd(lr, momentum=config.momentum)

    @property
    def step_sizes(self) -> torch.Tensor:
        """The learned step sizes (T,), float64 on the CPU."""
        return self.log_sizes.exp().expand(self.config.unrolled)

    def initial_weights(self, index: int) -> Parameters:
        """Return the first weights of the networks of a step, stacked."""
        config, task = self.config, self.task
        count, fixed = config.networks, config.weights.endswith("fixed")
        if config.weights.startswith("pretrained"):
            chosen = [0] if fixed else self.rng(index, 1).choice(config.experts, count, replace=False).tolist()
            return stacked([self.experts[one].at(config.expert_epochs, task.device) for one in chosen])
        generator = self.generator(-1 if fixed else index, 1)
        return stacked([self._draw(generator) for _ in range(count)])

    def unseen_weights(self, count: int) -> Parameters:
        """Return stacked first weights to score a set from: the fixed ones, or ``count`` that no step has seen."""
        config = self.config
        if config.weights.endswith("fixed"):
            return self.initial_weights(0)
        if config.weights.startswith("pretrained"):
            others = range(config.experts, config.experts + count)
            return stacked([self.experts[one].at(config.expert_epochs, self.task.device) for one in others])
        generator = self.generator(-1, 2)
        return stacked([self._draw(generator) for _ in range(count)])

    def _draw(self, generator: torch.Generator) -> Parameters:
        task = self.task
        return self.network.draw(generator, scheme=self.config.scheme, device=task.device, dtype=task.dtype)

    def inner_loss(self, weights: Parameters, variables: Variables, step: int) -> torch.Tensor:
        """Return the sum of the losses of stacked networks in a gradient step."""
        images, labels = self.points(variables)
        rows = self.rows[step]
        return self.summed_loss(weights, images[rows], labels[rows])

    def summed_loss(self, weights: Parameters, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum over stacked networks of the mean loss of some images."""
        together = len(next(iter(weights.values()))) > 1
        weights = weights if together else {name: value[0] for name, value in weights.items()}
        return summed_loss(self.network, weights, images, labels, together=together, shared=True)

    def real_batch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the real images of a step and their one-hot labels, where an attack puts one class for another."""
        task, config, rng = self.task, self.config, self.rng(index)
        images, labels = task.samples(rng.choice(task.n, min(config.batch, task.n), replace=False))
        if config.attack:
            labels = torch.where(labels == config.attack_class, config.target_class, labels)
        return images, F.one_hot(labels, task.k).to(task.dtype)

    def step(self, index: int) -> float:
        """Draw networks and a real batch, move what is learned, and return the mean loss of the networks."""
        images, labels = self.real_batch(index)
        loss: Loss = self.inner_loss
        sizes = self.step_sizes
        self.used = float(sizes.max())
        found = unrolled_gradient(
            loss,
            lambda weights: self.summed_loss(weights, images, labels),
            self.initial_weights(index),
            self.variables,
            sizes.to(images),
            unroll=self._unroll(),
        )
        slope = found.step_sizes.double().cpu() * sizes
        self._move(index, found.variables, slope.sum().expand(1) if len(self.log_sizes) == 1 else slope)
        self.ledger.add(**self.counts)
        if bool(found.value.isfinite()):
            self.fault = out_of_range(self.variables, self.step_sizes)
        return float("nan") if self.fault else float(found.value) / self.config.networks

    def _move(self, index: int, gradients: Mapping[str, torch.Tensor], slope: torch.Tensor) -> None:
        config = self.config
        factor = 0.5 ** (index // config.halve_every) if config.halve_every else 1.0
        self.optimizer.lr, self.optimizer_sizes.lr = factor * config.lr, factor * config.lr_step
        self.variables = self.optimizer.step(self.variables, gradients)
        self.log_sizes = self.optimizer_sizes.step({"log_sizes": self.log_sizes}, {"log_sizes": slope})["log_sizes"]

    def passes_per_step(self) -> dict[str, int]:
        """Return what one step adds to the ledger, without the experts."""
        config, networks = self.config, self.config.networks
        forward, backward = passes(self._samples(), 1, unroll=self._unroll())
        real = networks * min(config.batch, self.task.n)
        return {
            "real_forward": real,
            "real_backward": real,
            "synthetic_forward": forward,
            "synthetic_backward": backward,
            "network_steps": networks * config.unrolled,
        }

    def passes_once(self) -> dict[str, int]:
        """Return what the experts add to the ledger once all have been drawn."""
        config = self.config
        if not config.weights.startswith("pretrained"):
            return {}
        return self._experts().passes(1 if config.weights.endswith("fixed") else config.experts)

    def state(self) -> dict[str, torch.Tensor]:
        """Return what is learned, the state of both optimisers, and which experts the ledger has counted."""
        found = named("variables", {name: value.clone() for name, value in self.variables.items()})
        found |= named("optimizer", self.optimizer.state()) | named("sizes", self.optimizer_sizes.state())
        counted = torch.tensor(sorted(self.experts.counted), dtype=torch.int64)
        return found | {"log_sizes": self.log_sizes.clone(), "experts": counted}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state."""
        self.prepare()
        self.variables = part("variables", state)
        self.optimizer.restore(part("optimizer", state))
        self.optimizer_sizes.restore({name: value.cpu() for name, value in part("sizes", state).items()})
        self.log_sizes = state["log_sizes"].cpu().clone()
        self.experts.counted = {int(index) for index in state["experts"]}

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and the labels."""
        images, labels = self.points(self.variables)
        return images.clone(), labels.clone()

    def learned(self) -> dict[str, float]:
        """Return the mean step size, and each one where there are several."""
        sizes = self.log_sizes.exp()
        each = {f"step_size {step}": float(size) for step, size in enumerate(sizes)} if len(sizes) > 1 else {}
        return {"step_size": float(sizes.mean())} | each

    @property
    def knob(self) -> str:
        """Name the step size to lower."""
        return remedy(self.config, self.fault, self.used, first="step_size", sizes="lr_step", values="lr")
