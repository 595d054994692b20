"""Gradient matching: synthetic images that give a network the gradients that real ones give it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from analytic_dd.baselines.methods.matching import QUICK, Matching, MatchingConfig
from analytic_dd.baselines.methods.objective import Objective, class_sums
from analytic_dd.baselines.nets.network import Network, Parameters
from analytic_dd.baselines.optimum import dc_bound

__all__ = ["LOOPS", "DcConfig", "GradientMatching", "gradient_distance", "loss_gradient"]

LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}  # IPC: (outer, inner)


@dataclass(frozen=True)
class DcConfig(MatchingConfig):
    """Options of gradient matching; see :class:`MatchingConfig` for the others."""

    steps: int = 1_000
    init: str = "noise"
    # Number of matching updates in one step. It has a published default for 1, 10, 20, 30, 40 or 50 images a class.
    outer: int | None = None
    inner: int | None = None  # number of epochs of training between two updates, with published defaults too
    net_lr: float = 0.01  # step size of that training, without momentum
    net_batch: int = 256
    # ``cosine``, or ``published``, which adds 1e-6 to each product of norms, or ``squared``, the squared norm of the
    # difference
    distance: str = "cosine"
    # ``cross-entropy``, or ``squared`` for half of |logits - one-hot label|^2. The training between updates always
    # minimises cross-entropy.
    loss: str = "cross-entropy"

    quick: ClassVar[Mapping[str, Any]] = QUICK | {"steps": 150, "init": "real"}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("distance", ("cosine", "published", "squared"))
        self.require_choice("loss", ("cross-entropy", "squared"))
        self.require_at_least(0, "inner")
        self.require_at_least(1, "outer", "net_batch")
        self.require_positive("net_lr")

    def loops(self, points_per_class: int) -> tuple[int, int]:
        """Return (outer, inner) for a number of images a class.

        Raises
        ------
        ValueError
            The config leaves one of the two open, and none is published for that number.
        """
        if self.outer is not None and self.inner is not None:
            return self.outer, self.inner
        if points_per_class not in LOOPS:
            known = ", ".join(map(str, LOOPS))
            raise ValueError(
                f"loops are published for {known} images a class, not for {points_per_class}; set outer and inner"
            )
        outer, inner = LOOPS[points_per_class]
        return (outer if self.outer is None else self.outer), (inner if self.inner is None else self.inner)


def gradient_distance(
    one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor], *, distance: str = "cosine"
) -> torch.Tensor:
    r"""Return the distance of two gradients, the sum over the output units of all layers.

        D(a, b) = sum over layers, sum over rows i of   1 - <a_i, b_i> / (|a_i| |b_i|)

    A row belongs to one output unit, as a filter of a convolution or a row of a matrix. Biases and norms do not count.

    Parameters
    ----------
    one, other : mapping of str to tensor
        Gradients by the name of the parameter, with the same names and shapes.
    distance : str
        ``cosine``; ``published`` with |a_i| |b_i| + 1e-6; ``squared``: sum |a_i - b_i|^2.

    Notes
    -----
    *Numerics.* It is computed as half of |a_i / |a_i| - b_i / |b_i||^2, so that D(a, a) is exactly 0 and small
    distances keep their digits. A row of zeros has no direction, and counts 1/2 against another row and 0 against a row
    of zeros. The published form depends on the size of the gradients: with rows of norm 1e-3, D(a, a) is half the
    number of rows.

    Examples
    --------
    >>> a, b = {"w": torch.tensor([[3.0, 0.0], [0.0, 1.0]])}, {"w": torch.tensor([[1.0, 0.0], [2.0, 0.0]])}
    >>> gradient_distance(a, b), gradient_distance(a, a)
    (tensor(1.), tensor(0.))
    """
    terms = []
    for name, a in one.items():
        if a.ndim < 2:
            continue
        a, b = a.flatten(1), other[name].flatten(1)
        if distance == "squared":
            terms.append((a - b).square().sum())
        elif distance == "published":
            norms = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
            terms.append((1.0 - (a * b).sum(dim=1) / (norms + 1e-6)).sum())
        else:
            chord = _directions(a) - _directions(b)
            terms.append(0.5 * (chord * chord).sum())
    return torch.stack(terms).sum()


def _directions(rows: torch.Tensor) -> torch.Tensor:
    """Return each row divided by its norm; a row of zeros stays."""
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(norms > 0.0, norms, 1.0)


def loss_gradient(
    network: Network,
    weights: Parameters,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    create_graph: bool = False,
    loss: str = "cross-entropy",
) -> dict[str, torch.Tensor]:
    """Return the gradient of the mean loss in those weights that are matrices or filters.

    With ``create_graph`` the gradient can be differentiated in the images (n, c, h, w), whose classes are ``labels``.
    The ``loss`` is "cross-entropy" or "squared".
    """
    leaves = {name: value.detach().requires_grad_() for name, value in weights.items() if value.ndim > 1}
    logits = network.logits(weights | leaves, images)
    if loss == "squared":
        value = 0.5 * (logits - F.one_hot(labels, logits.shape[1])).square().sum(dim=1).mean()
    else:
        value = F.cross_entropy(logits, labels)
    found = torch.autograd.grad(value, list(leaves.values()), create_graph=create_graph)
    return dict(zip(leaves, found, strict=True))


class GradientMatching(Matching):
    r"""DC: the gradients of the loss agree, class by class, along the training of random networks theta on the set.

        min over S   E_theta_0 sum_t sum_c D(grad l(theta_t; real batch of c), grad l(theta_t; S_c))
        theta_t+1 = theta_t after ``inner`` epochs on S

    A step draws theta_0, updates the images ``outer`` times and trains the network between two updates.

    Notes
    -----
    *Cost.* A step takes outer k batch passes of real samples forward and backward, outer m passes of synthetic samples
    forward and 2 outer m backward, and (outer - 1) inner epochs on m images. Memory holds one class.
    *Numerics.* The networks normalise each image by itself, so no statistics of a batch have to be frozen.

    References
    ----------
    Zhao, Mopuri, Bilen, "Dataset condensation with gradient matching", ICLR 2021.
    """

    name = "dc"
    config_type = DcConfig
    config: DcConfig

    def _prepare(self) -> None:
        super()._prepare()
        self.outer, self.inner = self.config.loops(self.points_per_class)

    def step(self, index: int) -> float:
        """Draw a network, match and train it in turns, and return the mean over turns of the sum over classes."""
        rng, generator = self.rng(index), self.generator(index)
        weights, losses = self.draw_network(generator), []
        for turn in range(self.outer):
            distances, gradients = [], []
            # One pass for all classes would keep the graphs of all of them
            for label in range(self.task.k):
                real, synthetic, leaf = self.batches(label, rng, generator)
                distance = self.distance(weights, real, synthetic, label)
                gradients.append(torch.autograd.grad(distance, leaf)[0])
                distances.append(distance.detach())
            losses.append(torch.stack(distances).sum())
            if not self.descend(gradients):
                return float("nan")
            if turn < self.outer - 1:
                lr, batch = self.config.net_lr, self.config.net_batch
                weights = self.trained_on_set(weights, generator, self.inner, lr=lr, batch=batch)
        return float(torch.stack(losses).mean())

    def distance(self, weights: Parameters, real: torch.Tensor, synthetic: torch.Tensor, label: int) -> torch.Tensor:
        """Return the distance of the gradients that two batches of one class give."""

        def gradient(images: torch.Tensor, create_graph: bool) -> dict[str, torch.Tensor]:
            labels = torch.full((len(images),), label, device=images.device)
            return loss_gradient(
                self.network, weights, images, labels, create_graph=create_graph, loss=self.config.loss
            )

        n, m = len(real), len(synthetic)
        self.ledger.add(real_forward=n, real_backward=n, synthetic_forward=m, synthetic_backward=2 * m)
        return gradient_distance(gradient(real, False), gradient(synthetic, True), distance=self.config.distance)

    def passes_per_step(self) -> dict[str, int]:
        """Return what one step adds to the ledger."""
        (outer, inner), m = self.config.loops(self.points_per_class), self.task.k * self.points_per_class
        real, epochs = outer * self.real_of_all_classes, (outer - 1) * inner
        return {
            "real_forward": real,
            "real_backward": real,
            "synthetic_forward": (outer + epochs) * m,
            "synthetic_backward": (2 * outer + epochs) * m,
            "network_steps": epochs * math.ceil(m / self.config.net_batch),
        }

    def calls_per_step(self) -> int:
        """Return how often one step calls a network: five times a class and update, twice a step of training."""
        outer, _ = self.config.loops(self.points_per_class)
        return 5 * outer * self.task.k + 2 * self.passes_per_step()["network_steps"]

    def objective(self, inputs: np.ndarray, labels: np.ndarray, learned: Mapping[str, float]) -> Objective | None:
        """Return the mean over fresh weights of a linear network with squared loss, summed over classes (T20b).

        It is what a run with one update a network (``outer`` = 1) minimises.
        """
        config = self.config
        if (config.network, config.loss, config.distance) != ("linear", "squared", "squared"):
            return None
        if config.loops(self.points_per_class)[0] != 1:
            return None
        k, ipc, variance = self.task.k, self.points_per_class, 1.0 / (3.0 * self.task.d)  # uniform on +- 1 / sqrt(d)
        reached = optimum = 0.0
        for label, sums in enumerate(class_sums(self.task)):
            Phis, Ys = (A[label * ipc : (label + 1) * ipc] / np.sqrt(ipc) for A in (inputs, labels))
            reached += k * variance * float(np.sum((Phis.T @ Phis - sums.G) ** 2))
            reached += float(np.sum((Ys.T @ Phis - sums.C) ** 2))
            optimum += dc_bound(sums, points=ipc, weight_std=variance**0.5, rounds=0).bound
        return Objective(reached, optimum, "T20b")

    @property
    def knob(self) -> str:
        """Name the step sizes to lower."""
        config = self.config
        return f"lower lr (step size of the images, {config.lr:g} now) or net_lr (of the networks, {config.net_lr:g})"
