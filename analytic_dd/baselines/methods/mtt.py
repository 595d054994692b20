"""Trajectory matching: on the synthetic set a network moves as experts moved on the training part."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.matching import Augmented
from analytic_dd.baselines.methods.method import Method, named, part
from analytic_dd.baselines.methods.objective import Objective
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.methods.unroll import Variables, descend, passes, unrolled_gradient
from analytic_dd.baselines.methods.unrolled_config import QUICK, UnrolledConfig, out_of_range, remedy
from analytic_dd.baselines.nets.augment import AugmentParameters
from analytic_dd.baselines.nets.network import Parameters
from analytic_dd.baselines.nets.optimizers import Sgd
from analytic_dd.baselines.optimum import mtt_bound

__all__ = ["PUBLISHED", "MttConfig", "TrajectoryMatching", "student_batches", "trajectory_distance"]

_TABLE = ("student_steps", "expert_span", "max_start", "lr_img", "lr_lr", "lr_0")

PUBLISHED: dict[tuple[str, int], dict[str, float]] = {  # (data, images a class): options
    (data, ipc): dict(zip(_TABLE, values, strict=True))
    for (data, ipc), values in {
        ("cifar10", 1): (50, 2, 2, 100.0, 1e-7, 0.01),
        ("cifar10", 10): (30, 2, 20, 100.0, 1e-5, 0.001),
        ("cifar10", 50): (30, 2, 40, 1000.0, 1e-5, 0.001),
        ("cifar100", 1): (20, 3, 20, 1000.0, 1e-5, 0.01),
        ("cifar100", 10): (20, 2, 20, 1000.0, 1e-5, 0.01),
        ("cifar100", 50): (80, 2, 40, 1000.0, 1e-5, 0.01),
    }.items()
}


@dataclass(frozen=True)
class MttConfig(UnrolledConfig, Augmented):
    """Options of trajectory matching; see :class:`UnrolledConfig` for the network and the experts.

    By default the max_start - 1 + M epochs that are matched are trained (``expert_epochs``). Experts have a constant
    step size, so that further epochs change nothing. Experts and students train with Siamese augmentation, with
    parameters for each image.
    """

    steps: int = 5_000
    # N, the number of gradient steps on the synthetic set. This and the next five options have published values for
    # 32 x 32 colour images of 10 or 100 classes with 1, 10 or 50 images a class; other data need them.
    student_steps: int = None  # type: ignore[assignment]  # never None once completed, like the next five
    # M, the number of epochs of the expert that a student covers
    expert_span: int = None  # type: ignore[assignment]
    # Students start at one of the expert's epochs 0 .. max_start - 1
    max_start: int = None  # type: ignore[assignment]
    # Step size of the images
    lr_img: float = None  # type: ignore[assignment]
    # Step size of the learned step size eta. It is log eta that moves, by lr_lr / lr_0^2, so that the first move of eta
    # is the published one to first order.
    lr_lr: float = None  # type: ignore[assignment]
    # First eta
    lr_0: float = None  # type: ignore[assignment]
    momentum: float = 0.5  # momentum of the images and of eta
    synthetic_batch: int | None = None  # number of images in a step of the student; all by default
    init: str = "real"  # whether the images start as ``real`` samples or ``noise``

    quick: ClassVar[Mapping[str, Any]] = QUICK | {
        "experts": 5,
        "expert_epochs": 15,
        "expert_lr": 0.05,
        "expert_batch": 64,
        "student_steps": 10,
        "expert_span": 2,
        "max_start": 4,
        "lr_img": 10.0,
        "lr_lr": 1e-3,
        "lr_0": 0.2,
        "augment": False,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("init", ("real", "noise"))
        self.require_at_least(0, "student_steps", "lr_lr")
        self.require_at_least(1, "expert_span", "max_start", "synthetic_batch")
        self.require_positive("lr_img", "lr_0")
        self.require_fraction("momentum")
        if None not in (self.expert_epochs, self.max_start, self.expert_span):
            needed = self.max_start - 1 + self.expert_span
            if self.expert_epochs < needed:
                raise ValueError(
                    f"expert_epochs must be >= max_start - 1 + expert_span = {needed}, got {self.expert_epochs}"
                )

    def completed(self, task: Task, points_per_class: int) -> MttConfig:
        """Return the config with the published values in place of those that are missing.

        Raises
        ------
        ValueError
            Nothing is published for such data and so many images a class.
        """
        missing = [name for name in _TABLE if getattr(self, name) is None]
        table: Mapping[str, Any] = {}
        if missing:
            data = {((3, 32, 32), 10): "cifar10", ((3, 32, 32), 100): "cifar100"}.get((task.shape, task.k), "")
            if (data, points_per_class) not in PUBLISHED:
                raise ValueError(
                    f"nothing is published for {task.k} classes of images {task.shape} with {points_per_class} a "
                    f"class; set {', '.join(missing)}"
                )
            table = PUBLISHED[data, points_per_class]
        values = {name: table[name] if name in missing else getattr(self, name) for name in _TABLE}
        epochs, m = values["max_start"] - 1 + values["expert_span"], task.k * points_per_class
        unroll = self.unroll_of(values["student_steps"] * min(self.synthetic_batch or m, m), task)
        return replace(self, **values, expert_epochs=self.expert_epochs or epochs, unroll=unroll)


def trajectory_distance(student: Parameters, start: Parameters, target: Parameters) -> torch.Tensor:
    r"""Return |student - target|^2 / |start - target|^2: 0 at the target, 1 for a student that did not move.

    Examples
    --------
    >>> start, target = {"w": torch.tensor([0.0, 0.0])}, {"w": torch.tensor([3.0, 4.0])}
    >>> trajectory_distance({"w": torch.tensor([3.0, 2.0])}, start, target)
    tensor(0.1600)
    """
    return _squared_distance(student, target) / _squared_distance(start, target)


def _squared_distance(one: Parameters, other: Parameters) -> torch.Tensor:
    return torch.stack([(value - other[name]).square().sum() for name, value in one.items()]).sum()


def student_batches(m: int, batch: int, steps: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Return the rows of each step, from epochs of shuffled batches; a batch that holds the set keeps its order.

    Examples
    --------
    >>> [len(rows) for rows in student_batches(5, 2, 4, torch.Generator().manual_seed(0))]
    [2, 2, 1, 2]
    """
    if batch >= m:
        return [torch.arange(m)] * steps
    found: list[torch.Tensor] = []
    while len(found) < steps:
        found += torch.randperm(m, generator=generator).split(batch)
    return found[:steps]


class TrajectoryMatching(Method):
    r"""MTT: N steps of a student on the synthetic set S end near M epochs of an expert on the training part.

        min over S and eta > 0   E   |w_N - w*_(t+M)|^2 / |w*_t - w*_(t+M)|^2,     w_0 = w*_t
        w_(i+1) = w_i - eta grad l(w_i; batch i of S)

    The mean is over experts w* and start epochs t; SGD with momentum moves S and log eta.

    Notes
    -----
    *Cost.* A step takes 2 N forward and 3 N backward passes of a batch of S (N and 2 N with the whole graph). An
    expert is trained when it is first drawn, by n passes forward and backward an epoch, and its weights are kept.
    Memory holds one step and N + 1 weights, or N steps with the whole graph, and the experts.
    *Whitening.* Published sets of CIFAR-10 at 1 and 10 images a class, and of CIFAR-100 at 1 and 50, are of whitened
    images: ``--preprocess zca:mtt`` by this project's reference, ``zca:pixels`` by the authors' code, which differ in
    what is added to the eigenvalues (0.094 or 1.6 of their mean).
    *Numerics.* Student and expert do the same arithmetic, so that the distance is exactly 0 on the batches and with the
    step size of the expert. Too large an eta makes the student diverge, and then the run stops.

    References
    ----------
    Cazenavette, Wang, Torralba, Efros, Zhu, "Dataset distillation by matching training trajectories", CVPR 2022.
    """

    name = "mtt"
    config_type = MttConfig
    config: MttConfig

    def start(self) -> None:
        """Take real samples or standard normal noise, and the step size lr_0."""
        self._prepare()
        self.images = self.task.first_images(self.config.init, self.points_per_class, self.rng(-1))
        self.log_lr = torch.zeros((), dtype=torch.float64)

    def _prepare(self) -> None:
        """Make what follows from the config, the task and the seed."""
        self.settings = settings = self.config.completed(self.task, self.points_per_class)
        self.network = settings.network_for(self.task)
        self.augmentation = self.config.augmentation(self.task)
        self.experts = settings.experts_for(
            self.task, seed=self.seed, ledger=self.ledger, augmentation=self.augmentation
        )
        self.sgd = Sgd(settings.lr_img, momentum=settings.momentum)
        self.sgd_lr = Sgd(settings.lr_lr / settings.lr_0**2, momentum=settings.momentum)
        self.counts = self.passes_per_step()
        self.fault, self.used = "", settings.lr_0

    @property
    def step_size(self) -> torch.Tensor:
        """The learned step size lr_0 exp(log_lr), float64 on the CPU; it starts at lr_0 to the bit."""
        return self.settings.lr_0 * self.log_lr.exp()

    def step(self, index: int) -> float:
        """Draw an expert, an epoch and batches, and move the images and the step size."""
        settings, device = self.settings, self.task.device
        rng, generator = self.rng(index), self.generator(index)
        self.used = float(self.step_size)
        expert = self.experts[int(rng.integers(settings.experts))]
        epoch = int(rng.integers(settings.max_start))
        first, target = expert.at(epoch, device), expert.at(epoch + settings.expert_span, device)
        found = unrolled_gradient(
            self.student_loss(generator),
            functools.partial(trajectory_distance, start=first, target=target),
            first,
            {"images": self.images},
            self.step_size.to(self.images).expand(settings.student_steps),
            unroll=settings.unroll,
        )
        slope = found.step_sizes.sum().double().cpu() * self.step_size
        self.images = self.sgd.step({"images": self.images}, found.variables)["images"]
        self.log_lr = self.sgd_lr.step({"log_lr": self.log_lr}, {"log_lr": slope})["log_lr"]
        self.ledger.add(**self.counts)
        if bool(found.value.isfinite()):
            self.fault = out_of_range({"images": self.images}, self.step_size)
        return float("nan") if self.fault else float(found.value)

    def student_loss(self, generator: torch.Generator) -> Any:
        """Return the loss of each step of a student, whose batches and augmentation are drawn here once."""
        settings, m = self.settings, self.task.k * self.points_per_class
        batches = student_batches(m, settings.synthetic_batch or m, settings.student_steps, generator)
        drawn: list[AugmentParameters] = []
        if self.augmentation is not None:
            drawn = [self.augmentation.draw(len(rows), generator) for rows in batches]
        classes = self.classes_of_points

        def loss(weights: Parameters, variables: Variables, step: int) -> torch.Tensor:
            rows = batches[step].to(self.task.device)
            images = variables["images"][rows]
            if self.augmentation is not None:
                images = self.augmentation(images, drawn[step])
            return F.cross_entropy(self.network.logits(weights, images), classes[rows])

        return loss

    def passes_per_step(self) -> dict[str, int]:
        """Return what one step adds to the ledger, on average over steps and without the experts."""
        settings, m = self.config.completed(self.task, self.points_per_class), self.task.k * self.points_per_class
        generator = torch.Generator().manual_seed(0)
        batches = student_batches(m, settings.synthetic_batch or m, settings.student_steps, generator)
        forward, backward = passes(sum(map(len, batches)), 1, unroll=settings.unroll)
        steps = settings.student_steps
        return {"synthetic_forward": forward, "synthetic_backward": backward, "network_steps": steps}

    def passes_once(self) -> dict[str, int]:
        """Return what the experts add to the ledger once all have been drawn."""
        settings = self.config.completed(self.task, self.points_per_class)
        return settings.experts_for(self.task, seed=self.seed, ledger=self.ledger).passes(settings.experts)

    def state(self) -> dict[str, torch.Tensor]:
        """Return images, step size, velocities, and which experts the ledger has counted."""
        found = {"images": self.images.clone(), "log_lr": self.log_lr.clone()}
        found |= named("sgd", self.sgd.state()) | named("sgd_lr", self.sgd_lr.state())
        return found | {"experts": torch.tensor(sorted(self.experts.counted), dtype=torch.int64)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state; experts are read or trained again when they are drawn."""
        self._prepare()
        self.images, self.log_lr = state["images"].clone(), state["log_lr"].cpu().clone()
        self.sgd.restore(part("sgd", state))
        self.sgd_lr.restore({name: value.cpu() for name, value in part("sgd_lr", state).items()})
        self.experts.counted = {int(index) for index in state["experts"]}

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and one-hot labels."""
        return self.images.clone(), F.one_hot(self.classes_of_points, self.task.k).to(self.task.dtype)

    def learned(self) -> dict[str, float]:
        """Return the step size."""
        return {"step_size": float(self.step_size)}

    def objective(self, inputs: np.ndarray, labels: np.ndarray, learned: Mapping[str, float]) -> Objective | None:
        """Return the mean over all experts and start epochs, in float64; their displacements bound it (T20b).

        It is known for a linear network without augmentation whose student sees all images in each step. Experts that
        are not in a folder are trained again.
        """
        settings = self.config.completed(self.task, self.points_per_class)
        if settings.network != "linear" or settings.augment or settings.synthetic_batch is not None:
            return None
        experts = settings.experts_for(self.task, seed=self.seed, ledger=self.ledger)
        model = settings.network_for(self.task)
        images, classes = self.task.as_images(torch.from_numpy(inputs)).contiguous(), self.classes_of_points.cpu()
        sizes = torch.full((settings.student_steps,), learned["step_size"], dtype=torch.float64)

        def loss(weights: Parameters, variables: Variables, step: int) -> torch.Tensor:
            return F.cross_entropy(model.logits(weights, images), classes)

        distances, displacements = [], []
        for index in range(settings.experts):
            for epoch in range(settings.max_start):
                first, target = (
                    {name: value.double() for name, value in experts[index].at(at).items()}
                    for at in (epoch, epoch + settings.expert_span)
                )
                last = descend(loss, first, {}, sizes)
                distances.append(float(trajectory_distance(last, first, target)))
                moved = {name: (target[name] - value).numpy() for name, value in first.items()}
                displacements.append(moved["classifier.weight"])
        bound = mtt_bound(np.stack(displacements), points=len(inputs))
        return Objective(float(np.mean(distances)), bound, "T20b")

    @property
    def knob(self) -> str:
        """Name the step size to lower."""
        return remedy(self.settings, self.fault, self.used, first="lr_0", sizes="lr_lr", values="lr_img")
