"""Kernel Inducing Points: synthetic inputs such that kernel ridge regression on them predicts the training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from analytic_dd.baselines.methods.kernel_config import KernelConfig, first_points, kernel_of
from analytic_dd.baselines.methods.kernel_target import KernelTarget
from analytic_dd.baselines.methods.kernels import FeatureKernel, Linear
from analytic_dd.baselines.methods.krr import feature_loss, kernel_loss, ridge_value, sums_loss
from analytic_dd.baselines.methods.method import Method, named, part
from analytic_dd.baselines.methods.objective import Objective
from analytic_dd.baselines.methods.solved_labels import feature_labels, kernel_labels, labels_in_graph
from analytic_dd.baselines.nets.optimizers import Adam
from analytic_dd.baselines.optimum import kip_optimum
from analytic_dd.errors import DivergenceError

__all__ = ["KernelInducingPoints", "KipConfig"]

LABELS = ("fixed", "learned", "solved", "solved-in-graph")


@dataclass(frozen=True)
class KipConfig(KernelConfig):
    """Options of KIP; see :class:`KernelConfig` for the kernel or the features."""

    # They are published as 300 with a kernel (the recorded run) and 30,000 with finite features
    steps: int = None  # type: ignore[assignment]  # never None once made
    # ``fixed``, or ``learned`` by Adam with the inputs, or ``solved`` for the whole training set before each step and
    # constant in it, or ``solved-in-graph`` with gradients through the solution. As published, they are fixed with a
    # kernel and solved-in-graph with finite features.
    labels: str = None  # type: ignore[assignment]
    # Number of training samples in a step, class-balanced; 0 is the whole training set, which finite features take by
    # its sums
    target_batch: int = 5_000
    # Step size of Adam. It is published as 0.04 with a kernel and 0.01 with finite features.
    lr: float = None  # type: ignore[assignment]

    quick: ClassVar[Mapping[str, Any]] = {"target_batch": 500, "steps": 300}

    def __post_init__(self) -> None:
        super().__post_init__()
        finite = self.features is not None
        published = {
            "steps": 30_000 if finite else 300,
            "labels": "solved-in-graph" if finite else "fixed",
            "lr": 0.01 if finite else 0.04,
        }
        for name, value in published.items():
            if getattr(self, name) is None:
                self._set(name, value)
        self.require_choice("labels", LABELS)
        if self.target_batch < 0 or not self.lr > 0.0 or self.steps < 0:
            raise ValueError(
                f"target_batch and steps must be >= 0 and lr > 0, got {self.target_batch}, {self.steps} and {self.lr}"
            )

    @property
    def soft_labels(self) -> bool:
        """Whether the labels stay one-hot."""
        return self.labels == "fixed" and not self.centred


class KernelInducingPoints(Method):
    r"""KIP: descend on the inputs (and labels) of kernel ridge regression, with the training set as target.

        min over X_s (and y_s)   |K_ts (K_ss + lambda I)^-1 y_s - y_t|^2 / (2 b k),    lambda = 1e-6 trace(K_ss) / m

    Adam moves points in float64 that start at real samples, with class-balanced target batches.

    Notes
    -----
    *Cost.* A step takes m^3 / 3 flops and m^2 + b m entries of a kernel; with finite features it takes 2 m^2 p + 4 b p
    k flops, since the features of the training set are computed once. Labels that are ``solved`` add a pass of the
    kernel over the training set, or 2 m p^2 + 4 m^2 p flops and no pass with finite features. The published
    ``solved-in-graph`` takes a pseudo-inverse of an (n, m) matrix and its derivative at every step. With solved labels
    and finite features the ridge has no influence, because the predictor is the least-squares fit of the training set
    among all weights in the span of the points.
    *Numerics.* On the whole training set the gradient with solved labels is that of solved-in-graph (envelope theorem).
    On a batch the latter has one more term, whose mean over batches is 0.

    References
    ----------
    Nguyen, Chen, Lee, "Dataset meta-learning from kernel ridge-regression", ICLR 2021. Chen, Liu, Vogelstein et al.,
    "Provable and efficient dataset distillation for kernel ridge regression", 2024 (finite features).
    """

    name = "kip"
    config_type = KipConfig
    dtype = torch.float64
    config: KipConfig

    def start(self) -> None:
        """Take real samples or standard normal noise."""
        self._prepare()
        self.x = first_points(self.config, self.task, self.points_per_class, self.rng(-1, 1))
        self.y = self.target.encode(self.classes_of_points)

    def _prepare(self) -> None:
        """Make the kernel, the target, its sums and Adam."""
        config = self.config
        self.kernel = kernel_of(config, self.task, seed=self.seed)
        self.target = KernelTarget(
            self.task, self.kernel, centred=config.centred, memory=config.feature_memory, ledger=self.ledger
        )
        self.adam = Adam(config.lr)
        finite = isinstance(self.kernel, FeatureKernel)
        self._sums = self.target.sums() if finite and (config.labels == "solved" or not config.target_batch) else None

    def step(self, index: int) -> float:
        """Draw a batch, solve the labels where the config says so, and take a step of Adam."""
        if not bool(torch.isfinite(self.x).all()):
            return float("nan")
        try:
            if self.config.labels == "solved":
                self.y = self.solved()
            variables = {"x": self.x.detach().requires_grad_()}
            if self.config.labels == "learned":
                variables["y"] = self.y.detach().requires_grad_()
            rows = self._rows(index)
            loss = self.loss(variables["x"], variables.get("y", self.y), rows)
        except torch.linalg.LinAlgError as error:
            raise DivergenceError(f"step {index}: {str(error).split(';')[0]}; {self.knob}") from error
        found = torch.autograd.grad(loss, list(variables.values()))
        with torch.no_grad():
            moved = self.adam.step(variables, dict(zip(variables, found, strict=True)))
        self.x, self.y = moved["x"].detach(), moved.get("y", self.y).detach()
        self._count(self.task.n if rows is None else len(rows))
        return float(loss.detach())

    def _rows(self, index: int) -> torch.Tensor | None:
        """Return the target samples of a step, or None for all of them."""
        batch = self.config.target_batch
        if not batch:
            return None
        return torch.from_numpy(self.task.draw_balanced(batch, self.rng(index))).to(self.task.device)

    def loss(self, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Return the loss at inputs ``x`` (m, d), labels ``y`` (m, k) and the targets ``rows``, or at all targets.

        Labels that are solved in the graph take the place of ``y``.
        """
        kernel, in_graph = self.kernel, self.config.labels == "solved-in-graph"
        if isinstance(kernel, FeatureKernel):
            Phis = kernel.features(x)
            ridge = self._ridge((Phis * Phis).sum())
            if in_graph:
                Phi, Y = self.target.all()
                y = labels_in_graph(Phis @ Phis.T, Phi @ Phis.T, Y, ridge)
            if rows is None:
                assert self._sums is not None
                return sums_loss(Phis, self._sums, y, ridge)
            return feature_loss(Phis, self.target.points(rows), y, self.target.labels(rows), ridge)
        K_ss = kernel(x)
        ridge = self._ridge(K_ss.trace())
        if in_graph:
            y = labels_in_graph(K_ss, self.target.matrix(None, x), self.target.labels(slice(None)), ridge)
        Yt = self.target.labels(slice(None) if rows is None else rows)
        return kernel_loss(K_ss, self.target.matrix(rows, x), y, Yt, ridge)

    def _ridge(self, trace: torch.Tensor) -> torch.Tensor:
        m = self.task.k * self.points_per_class
        return ridge_value(trace, m, relative=self.config.ridge_relative, absolute=self.config.ridge)

    def solved(self) -> torch.Tensor:
        """Return the best labels of the points as they are, for the whole training set."""
        kernel = self.kernel
        with torch.no_grad():
            if isinstance(kernel, FeatureKernel):
                self._sums = self.target.sums() if self._sums is None else self._sums
                Phis = kernel.features(self.x)
                return feature_labels(Phis, self._sums.G, self._sums.C, self._ridge((Phis * Phis).sum()))
            K_ss = kernel(self.x)
            blocks = ((kernel(X, self.x), Y) for X, Y in self.target.blocks())
            return kernel_labels(K_ss, blocks, self._ridge(K_ss.trace())).labels

    def _count(self, batch: int) -> None:
        """Count what a step has done with the points, while the target counts its own samples."""
        m, n, config, ledger = len(self.x), self.task.n, self.config, self.ledger
        solved, in_graph = config.labels == "solved", config.labels == "solved-in-graph"
        ledger.synthetic_backward += m
        ledger.kernel_entries += m * m + in_graph * n * m
        if isinstance(self.kernel, FeatureKernel):
            ledger.synthetic_forward += m * (1 + solved)
        else:
            ledger.kernel_entries += batch * m + solved * (m * m + n * m)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the inputs, the labels and the moments of Adam."""
        return {"x": self.x.clone(), "y": self.y.clone()} | named("adam", self.adam.state())

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state, with the kernel and the target made again."""
        self._prepare()
        self.x, self.y = state["x"].clone(), state["y"].clone()
        self.adam.restore(part("adam", state))

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and the labels, which are solved once more for the images as they are."""
        y = self.solved() if self.config.labels.startswith("solved") else self.y
        return self.task.as_images(self.x).contiguous(), y.clone()

    def objective(self, inputs: np.ndarray, labels: np.ndarray, learned: Mapping[str, float]) -> Objective | None:
        """Return the loss on all the training part (T20d); an infinite kernel has no sums to compute its optimum from.

        A relative ridge is no limit for labels that are given, so the optimum is that of ridge 0.
        """
        config, kernel = self.config, kernel_of(self.config, self.task, seed=self.seed)
        if not isinstance(kernel, (FeatureKernel, Linear)):
            return None
        target = KernelTarget(
            self.task, kernel, centred=config.centred, memory=config.feature_memory, ledger=self.ledger
        )
        sums, x = target.sums(), torch.from_numpy(inputs).to(self.task.device)
        Phis = kernel.features(x) if isinstance(kernel, FeatureKernel) else x
        y = torch.from_numpy(labels).to(x)
        reached = float(sums_loss(Phis, sums, y, self._ridge((Phis * Phis).sum())))
        host = sums.sums().on_host()
        if config.labels == "fixed":
            best = kip_optimum(host, labels=labels, ridge=config.ridge or 0.0)
        else:
            best = kip_optimum(host, points=len(x))
        return Objective(reached, best.bound / (2 * sums.n * sums.k), "T20d")

    @property
    def knob(self) -> str:
        """Name the options to change."""
        return "lower lr or raise ridge_relative"
