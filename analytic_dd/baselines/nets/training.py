"""Training networks from scratch by stochastic gradient descent, one by one or stacked in one computation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import vmap
from torch.nn import functional as F

from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.each_image import EachImage
from analytic_dd.baselines.nets.network import ConvNet, MultiLayerPerceptron, Network, Parameters, apart, stacked
from analytic_dd.baselines.nets.optimizers import Sgd

__all__ = ["Course", "Samples", "summed_loss", "train_networks", "trained", "weights_by_epoch"]

_TOGETHER = 2_000  # pixels of a batch up to which networks train together on a CPU, see the notes of train_networks

Samples = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]  # rows to images and targets


@dataclass(frozen=True)
class Course:
    """How networks are trained."""

    epochs: int  # passes over the set; the last batch of an epoch may be smaller
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    drops: bool = False  # whether the step size falls to a tenth in the second half of the epochs
    # Each batch goes through one operation with parameters for each image, or each image through its own
    augmentation: Augmentation | EachImage | None = None
    # Whether a batch that holds the whole set is shuffled too, as in the published gradient matching
    always_shuffled: bool = False

    def rate(self, epoch: int) -> float:
        """Return the step size of an epoch."""
        return self.lr / 10.0 if self.drops and 2 * epoch >= self.epochs else self.lr


def weights_by_epoch(
    network: Network,
    weights: Parameters,
    samples: Samples,
    n: int,
    course: Course,
    *,
    generators: Sequence[torch.Generator],
    ledger: Ledger | None = None,
) -> Iterator[Parameters]:
    r"""Train, and yield the weights after every epoch.

        v <- momentum v + grad (mean over the batch of -y . log softmax f(x)) + weight_decay theta
        theta <- theta - lr v

    Parameters
    ----------
    weights : Parameters
        The first weights of one network, or stacked ones where there are several generators.
    samples : callable
        It takes row numbers to images and targets, which are classes or probabilities.
    n : int
        Number of samples.
    generators : sequence of torch.Generator
        One for each network, which draws its batches and its augmentation.
    ledger : Ledger, optional
        It counts the steps, and every sample that passes as a synthetic one.
    """
    sgd = Sgd(course.lr, momentum=course.momentum, weight_decay=course.weight_decay)
    for epoch in range(course.epochs):
        sgd.lr = course.rate(epoch)
        for rows in _batches(n, course, generators):
            drawn = [_drawn(samples, one, course, generator) for one, generator in zip(rows, generators, strict=True)]
            images, targets = (part[0] if len(part) == 1 else torch.stack(part) for part in zip(*drawn, strict=True))
            leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
            loss = summed_loss(network, leaves, images, targets, together=len(generators) > 1)
            gradients = torch.autograd.grad(loss, list(leaves.values()))
            with torch.no_grad():
                weights = sgd.step(leaves, dict(zip(leaves, gradients, strict=True)))
            if ledger is not None:
                seen = sum(map(len, rows))
                ledger.add(network_steps=len(rows), synthetic_forward=seen, synthetic_backward=seen)
        yield weights


def trained(network: Network, weights: Parameters, *rest: Any, **options: Any) -> Parameters:
    """Return the weights after the last epoch of :func:`weights_by_epoch`; those given where there is no epoch."""
    for found in weights_by_epoch(network, weights, *rest, **options):
        weights = found
    return weights


def summed_loss(
    network: Network,
    weights: Parameters,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    together: bool,
    shared: bool = False,
) -> torch.Tensor:
    """Return the mean cross-entropy of a network, or the sum over stacked networks, whose gradients do not mix.

    Parameters
    ----------
    together : bool
        Whether the weights are stacked.
    shared : bool
        Whether all stacked networks see the same images; otherwise images and targets are stacked too.
    """

    def loss(weights: Parameters, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(network.logits(weights, images), targets)

    if not together:
        return loss(weights, images, targets)
    axes = (0, None, None) if shared else (0, 0, 0)
    each: torch.Tensor = vmap(loss, in_dims=axes)(weights, images, targets)
    return each.sum()


def _batches(n: int, course: Course, generators: Sequence[torch.Generator]) -> list[list[torch.Tensor]]:
    """Return, for each step of an epoch, the rows that each network sees."""
    if course.batch >= n and not course.always_shuffled:
        return [[torch.arange(n)] * len(generators)]
    orders = [torch.randperm(n, generator=generator).split(course.batch) for generator in generators]
    return [list(step) for step in zip(*orders, strict=True)]


def _drawn(
    samples: Samples, rows: torch.Tensor, course: Course, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the (augmented) images of some rows and their targets."""
    images, targets = samples(rows)
    if course.augmentation is not None:
        images = course.augmentation.augmented(images, generator)
    return images, targets


def train_networks(
    network: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    course: Course,
    generators: Sequence[torch.Generator],
    together: bool | None = None,
) -> list[Parameters]:
    r"""Train networks from scratch on one set of images; see :func:`weights_by_epoch`.

    Parameters
    ----------
    network : Network
    images : (m, c, h, w) tensor
    labels : (m,) int64 or (m, k) float tensor
        Classes, or target probabilities.
    course : Course
    generators : sequence of torch.Generator
        One for each network, on the CPU. It draws the first weights, the order of the samples and the augmentation, so
        that a network does not depend on the others.
    together : bool, optional
        Whether one vectorised computation trains all. By default that is done where it is faster.

    Returns
    -------
    list of Parameters

    Notes
    -----
    *Cost.* epochs * ceil(m / batch) steps for each network. Measured on one core, five networks together are 1.2 to 1.6
    times as fast as one by one where a batch has 640 pixels, 0.9 to 1.2 times at 7,840, and slower (a grouped
    convolution) above. On a GPU the smaller networks always train together, because small batches leave it idle; that
    was not measured.
    *Numerics.* Trained together or one by one, networks agree to rounding, which training amplifies.
    """
    for name, value in (("epochs", course.epochs), ("batch", course.batch)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    targets = labels if labels.ndim == 1 else labels.to(images.dtype)
    if together is None:
        together = _faster_together(network, images, course.batch)

    def samples(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images[rows.to(images.device)], targets[rows.to(targets.device)]

    made: list[Parameters] = []
    for group in [list(generators)] if together else [[generator] for generator in generators]:
        drawn = [network.draw(generator, device=images.device, dtype=images.dtype) for generator in group]
        weights = drawn[0] if len(group) == 1 else stacked(drawn)
        weights = trained(network, weights, samples, len(images), course, generators=group)
        made += [weights] if len(group) == 1 else apart(weights)
    return made


def _faster_together(network: Network, images: torch.Tensor, batch: int) -> bool:
    if images.device.type != "cpu":
        return isinstance(network, ConvNet | MultiLayerPerceptron)
    return bool(min(batch, len(images)) * math.prod(images.shape[2:]) <= _TOGETHER)
