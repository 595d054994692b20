"""CAFE: synthetic images that a network being trained on them maps, layer by layer, to where it maps real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from analytic_dd.baselines.methods.matching import QUICK, Augmented, Matching, MatchingConfig
from analytic_dd.baselines.nets.network import Network, Parameters

__all__ = ["CafeConfig", "FeatureAlignment", "class_means", "feature_loss", "layer_features"]

_HALVED_AT = (1_200, 1_600, 1_800)  # steps at which the step size of the images is halved, as published


@dataclass(frozen=True)
class CafeConfig(MatchingConfig, Augmented):
    """Options of CAFE; see :class:`MatchingConfig` for the others."""

    steps: int = 2_000
    init: str = "noise"
    # Weights of the squared distances in all layers but the last two, and in the last two. They are those of the
    # project's reference; the published code has 0.1 and 1.
    early_weight: float = 1.0
    late_weight: float = 0.1
    # Weight of the cross-entropy of real images by their products with the synthetic centres
    discrimination: float = 0.01
    window: int = 10  # number of accuracies whose spread decides when a loop ends
    settled: float = 0.04  # the updates of a step end when the last accuracies differ by less
    grown: float = 0.03  # the training between two updates ends when the last accuracies differ by more
    most_updates: int = 100  # both loops end there at the latest; the published code has no such end and may not return
    most_epochs: int = 1_000
    held: int = 128  # number of real samples of a class on which an accuracy is measured
    net_lr: float = 0.01  # step size of the training, without momentum
    net_batch: int = 256
    augment: bool = False

    quick: ClassVar[Mapping[str, Any]] = QUICK | {
        "steps": 8,
        "init": "real",
        "window": 3,
        "most_updates": 6,
        "most_epochs": 4,
        "held": 16,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(0, "early_weight", "late_weight", "discrimination", "settled", "grown")
        self.require_at_least(1, "window", "most_updates", "most_epochs", "held", "net_batch")
        self.require_positive("net_lr")


class _Layers(nn.Module):
    """A network that also returns what its layers give."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, hidden: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        *before, classifier = self.network.children()
        layers = [one for part in before for one in (part if isinstance(part, nn.Sequential) else [part])]
        found = []
        for layer in layers:
            hidden = layer(hidden)
            if isinstance(layer, nn.ReLU):
                found.append(hidden)
        if not (layers and isinstance(layers[-1], nn.ReLU)):
            found.append(hidden)
        return found, classifier(hidden)


def layer_features(
    network: Network, parameters: Parameters, images: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return what a network has after each ReLU and before its classifier, and the logits (n, k).

    Examples
    --------
    >>> from analytic_dd.baselines.nets.network import ConvNet
    >>> network = ConvNet((1, 8, 8), 10, width=4, depth=2)
    >>> parameters = network.draw(torch.Generator().manual_seed(0))
    >>> features, logits = layer_features(network, parameters, torch.zeros(5, 1, 8, 8))
    >>> [tuple(one.shape) for one in features], tuple(logits.shape)
    ([(5, 4, 8, 8), (5, 4, 4, 4), (5, 16)], (5, 10))
    """
    named = {f"network.{name}": value for name, value in parameters.items()}
    found: tuple[list[torch.Tensor], torch.Tensor]
    found = functional_call(_Layers(network), named, (images,), tie_weights=False)
    return found


def class_means(features: torch.Tensor, classes: torch.Tensor, k: int) -> torch.Tensor:
    """Return the mean (k, p) over the samples of each class of features (n, ...), each of p numbers.

    Examples
    --------
    >>> class_means(torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1]), 2)
    tensor([[2.],
            [7.]])
    """
    shares = F.one_hot(classes, k).to(features.dtype)
    return (shares / shares.sum(dim=0)).T @ features.flatten(1)


def feature_loss(
    real: Sequence[torch.Tensor],
    synthetic: Sequence[torch.Tensor],
    classes_of_real: torch.Tensor,
    classes: torch.Tensor,
    k: int,
    *,
    weights: Sequence[float],
    discrimination: float,
) -> torch.Tensor:
    r"""Return the alignment of the layers and the discrimination of real images by synthetic centres.

        sum over layers l of  w_l |M_l(real) - M_l(synthetic)|^2  +  |M(real) - M(synthetic)|^2
        + discrimination  sum over real x of  -log softmax( M(synthetic) psi(x) )_class of x

    M_l are the class means of layer l; psi is the last layer, the embedding, and M its class means.

    Parameters
    ----------
    real, synthetic : sequence of (n, ...) and (m, ...) tensors
        What each layer gives, the embedding last.
    classes_of_real, classes : (n,) and (m,) int64 tensors
    k : int
    weights : sequence of float
        w_l, one a layer.
    discrimination : float
    """
    pairs = [
        (class_means(a, classes_of_real, k), class_means(b, classes, k)) for a, b in zip(real, synthetic, strict=True)
    ]
    distances = [(one - other).square().sum() for one, other in pairs]
    aligned = sum((w * distance for w, distance in zip(weights, distances, strict=True)), distances[-1])
    products = real[-1].flatten(1) @ pairs[-1][1].T
    return aligned + discrimination * F.cross_entropy(products, classes_of_real, reduction="sum")


class FeatureAlignment(Matching):
    r"""CAFE: the features of all layers agree in their class means, along the training of random networks on the set.

        min over S   E  feature_loss(layers of real batches, layers of S)  +  cross entropy of the real batches

    A step draws a network, and updates the images until ``window`` accuracies of the network on real samples are close
    to each other; between two updates the network trains on the set until ``window`` accuracies are not. The last term
    does not depend on S and is only part of the loss that is reported.

    Notes
    -----
    *Cost.* An update takes k batch passes of real and m of synthetic samples forward, and m backward. Every accuracy
    takes k ``held`` passes forward, every epoch of training m passes forward and backward. Memory holds one update.

    References
    ----------
    Wang, Zhao, Peng et al., "CAFE: learning to condense dataset by aligning features", CVPR 2022.
    """

    name = "cafe"
    config_type = CafeConfig
    config: CafeConfig

    def step(self, index: int) -> float:
        """Draw a network, update the images and train it in turns, and return the mean loss of the updates."""
        config, rng, generator = self.config, self.rng(index), self.generator(index)
        self.sgd.lr = config.lr * 0.5 ** sum(index >= halved for halved in _HALVED_AT)
        weights, losses, accuracies = self.draw_network(generator), [], _Last(config.window)
        while True:
            loss, gradient = self.matched(weights, rng, generator)
            losses.append(loss)
            if not self.descend([gradient]):
                return float("nan")
            accuracies.add(self.accuracy(weights, rng))
            if accuracies.spread(lambda spread: spread < config.settled) or len(losses) == config.most_updates:
                return float(torch.stack(losses).mean())
            weights = self.train(weights, rng, generator)

    def matched(
        self, weights: Parameters, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of fresh real batches of all classes, and its gradient in the images."""
        config, k = self.config, self.task.k
        real, synthetic, leaves = zip(*(self.batches(label, rng, generator) for label in range(k)), strict=True)
        classes_of_real = torch.cat([torch.full((len(one),), label) for label, one in enumerate(real)])
        classes_of_real = classes_of_real.to(self.task.device)
        with torch.no_grad():
            wanted, logits = layer_features(self.network, weights, torch.cat(real))
            constant = F.cross_entropy(logits, classes_of_real)
        found, _ = layer_features(self.network, weights, torch.cat(synthetic))
        late = min(2, len(found))
        layers = [config.early_weight] * (len(found) - late) + [config.late_weight] * late
        loss = feature_loss(
            wanted,
            found,
            classes_of_real,
            self.classes_of_points,
            k,
            weights=layers,
            discrimination=config.discrimination,
        )
        gradients = torch.autograd.grad(loss, leaves)
        m = len(self.images)
        self.ledger.add(real_forward=len(classes_of_real), synthetic_forward=m, synthetic_backward=m)
        return loss.detach() + constant, torch.cat(gradients)

    def train(self, weights: Parameters, rng: np.random.Generator, generator: torch.Generator) -> Parameters:
        """Return the network after epochs on the images, until its accuracy on real samples has changed."""
        config, accuracies = self.config, _Last(self.config.window)
        for _ in range(config.most_epochs):
            weights = self.trained_on_set(weights, generator, 1, lr=config.net_lr, batch=config.net_batch)
            accuracies.add(self.accuracy(weights, rng))
            if accuracies.spread(lambda spread: spread > config.grown):
                break
        return weights

    def accuracy(self, weights: Parameters, rng: np.random.Generator) -> float:
        """Return the mean over classes of the accuracy on ``held`` real samples of each."""
        task = self.task
        rows = [task.draw(label, self.config.held, rng) for label in range(task.k)]
        with torch.no_grad():
            images, classes = task.samples(np.concatenate(rows))
            right = self.network.logits(weights, images).argmax(dim=1) == classes
        self.ledger.add(real_forward=len(classes))
        return float(class_means(right[:, None].to(task.dtype), classes, task.k).mean())


class _Last:
    """The last accuracies of a loop."""

    def __init__(self, window: int) -> None:
        self.window, self.values = window, list[float]()

    def add(self, value: float) -> None:
        """Add one, and forget the oldest of too many."""
        self.values = [*self.values, value][-self.window :]

    def spread(self, ends: Callable[[float], bool]) -> bool:
        """Whether there are enough, and the difference of the largest and the smallest ends the loop."""
        return len(self.values) == self.window and ends(max(self.values) - min(self.values))
